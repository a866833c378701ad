"""Sparse activations read feature by feature: where each fires, and how strongly.

A kernel here works on a block of features and lets go of Python's lock, so that threads share the
blocks; each writes only its own features' results, which are thus the same whatever the scheduling.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import config, njit
from scipy.sparse import csr_array

from featflow.core.runtime import progress


class Columns(NamedTuple):
    """Activations (T, m) by feature: feature i fires at `rows[starts[i]:stops[i]]`, ascending."""

    starts: np.ndarray
    """(m,) int64."""
    stops: np.ndarray
    """(m,) int64."""
    rows: np.ndarray
    """(nnz,) the rows of all features, one feature after another."""
    values: np.ndarray
    """(nnz,) float32, positive."""

    @property
    def firings(self) -> np.ndarray:
        """How many rows each feature fires on: (m,) int64."""
        return self.stops - self.starts


def columns(activations: csr_array) -> Columns:
    """The columns of a CSR matrix (T, m)."""
    matrix = activations.tocsc()
    edges = matrix.indptr.astype(np.int64)
    return Columns(edges[:-1], edges[1:], matrix.indices, matrix.data)


def within(all_rows: Columns, scope: range) -> Columns:
    """The same columns, only their firings in a range of rows; nothing is copied."""
    starts, stops = np.empty_like(all_rows.starts), np.empty_like(all_rows.stops)
    _cut(all_rows, scope.start, scope.stop, starts, stops)
    return all_rows._replace(starts=starts, stops=stops)


def by_blocks(
    work: Callable[[int, int], None], count: int, size: int = 64, what: str | None = None
) -> None:
    """Call work(first, stop) for blocks of features, on as many threads as numba would use.

    Args:
        work: what to do for features first … stop − 1; it writes to those features' results only.
        count: how many features there are.
        size: features a block.
        what: shows progress under this name.
    """
    firsts = range(0, count, size)
    threads = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    with ThreadPoolExecutor(threads) as pool:
        done: Iterable[None] = pool.map(lambda first: work(first, min(first + size, count)), firsts)
        for _ in progress(done, what, total=len(firsts)) if what else done:
            pass


def sums(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Each feature's sum of activations and of squared ones: (m,) and (m,), float64."""
    count = len(columns.starts)
    total, squares = np.zeros(count), np.zeros(count)
    by_blocks(lambda first, stop: _sums(columns, first, stop, total, squares), count)
    return total, squares


def documents(columns: Columns, document: np.ndarray) -> np.ndarray:
    """In how many documents each feature fires: (m,) int64.

    Args:
        document: (T,) int64, the document of each row, from 0 on.
    """
    found = np.zeros(len(columns.starts), np.int64)
    count = int(document.max(initial=-1)) + 1
    by_blocks(
        lambda first, stop: _documents(columns, first, stop, document, count, found), len(found)
    )
    return found


@njit(cache=True, nogil=True)
def _cut(columns, low, high, starts, stops):
    for i in range(len(starts)):
        column = columns.rows[columns.starts[i] : columns.stops[i]]
        starts[i] = columns.starts[i] + np.searchsorted(column, low)
        stops[i] = columns.starts[i] + np.searchsorted(column, high)


@njit(cache=True, nogil=True)
def _sums(columns, first, stop, total, squares):
    for i in range(first, stop):
        for k in range(columns.starts[i], columns.stops[i]):
            value = np.float64(columns.values[k])
            total[i] += value
            squares[i] += value * value


@njit(cache=True, nogil=True)
def _documents(columns, first, stop, document, count, found):
    last = np.full(count, -1, np.int64)  # the feature last seen in each document
    for i in range(first, stop):
        for k in range(columns.starts[i], columns.stops[i]):
            where = document[columns.rows[k]]
            if last[where] != i:
                last[where] = i
                found[i] += 1
