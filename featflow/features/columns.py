"""Sparse activations read feature by feature: where each fires, and how strongly.

A kernel here works on a block of features and lets go of Python's lock, so that threads share the
blocks; each writes only its own features' results, which are thus the same whatever the scheduling.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import config, njit

from featflow.features.stacked import Activations, Part, Stacked, stacked
from featflow.runtime import scratch
from featflow.runtime.log import progress

CHUNKS, LEAST_ROWS = 4, 4096
"""Pieces of a matrix that a thread sorts, and rows that each has at least."""


Fill = Callable[[int, int, np.ndarray, np.ndarray], None]


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


def columns(activations: Activations) -> Columns:
    """The columns of a matrix (T, m): a counting sort, twice over the rows.

    Threads share the rows; where each writes follows from what those before it count, so the result
    is that of one thread. Large ones lie in a file (`in_ranges`).
    """
    matrix = stacked(activations)
    chunks = _chunks(matrix)
    counts = np.zeros((len(chunks), matrix.features), np.int64)
    by_blocks(lambda i, _: _count(chunks[i].part, counts[i]), len(chunks), 1)
    edges = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    counts = np.cumsum(counts, axis=0) - counts + edges[:-1]  # where each chunk's entries begin

    def fill(first: int, stop: int, rows: np.ndarray, values: np.ndarray) -> None:
        places = counts - edges[first]
        by_blocks(
            lambda i, _: _place(*chunks[i], first, stop, places[i], rows, values), len(chunks), 1
        )

    index = np.int32 if matrix.shape[0] <= np.iinfo(np.int32).max else np.int64
    value = matrix.parts[0].values.dtype if matrix.parts else np.float32
    return in_ranges(edges, (index, value), fill)


def in_ranges(edges: np.ndarray, dtypes: tuple[Any, Any], fill: Fill) -> Columns:
    """Make columns, those that would take much memory range by range, into files.

    (To write all over a mapped file is slow: the file system hears of each page.)

    Args:
        edges: (m + 1,) where each feature's entries begin.
        dtypes: of the rows and of the values.
        fill: called with features first … stop − 1 and with room for their rows and values.
    """
    features, limit = len(edges) - 1, scratch.limit()
    widest = max(np.dtype(dtype).itemsize for dtype in dtypes)
    if edges[-1] * widest < limit:
        arrays = [np.empty(edges[-1], dtype) for dtype in dtypes]
        fill(0, features, *arrays)
        return Columns(edges[:-1], edges[1:], *arrays)
    with scratch.Writer() as rows, scratch.Writer() as values:
        first = 0
        while first < features:
            most = edges[first] + max(limit // widest, 1)
            stop = max(first + 1, int(np.searchsorted(edges, most, side="right")) - 1)
            room = [np.empty(edges[stop] - edges[first], dtype) for dtype in dtypes]
            fill(first, stop, *room)
            rows.add(room[0])
            values.add(room[1])
            first = stop
        return Columns(edges[:-1], edges[1:], rows.array(dtypes[0]), values.array(dtypes[1]))


class _Chunk(NamedTuple):
    part: Part
    row: int
    """The number of its first row."""


def _chunks(matrix: Stacked) -> list[_Chunk]:
    """The rows in pieces: some for each thread, so that none waits long for another."""
    threads = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    size = max(LEAST_ROWS, -(-matrix.shape[0] // (CHUNKS * threads)))
    return [
        _Chunk(part.cut(start, min(start + size, part.rows)), first + start)
        for part, first in zip(matrix.parts, matrix.starts, strict=True)
        for start in range(0, part.rows, size)
    ]


def within(all_rows: Columns, scope: range) -> Columns:
    """The same columns, only their firings in a range of rows; nothing is copied."""
    starts, stops = np.empty_like(all_rows.starts), np.empty_like(all_rows.stops)
    _cut(all_rows, scope.start, scope.stop, starts, stops)
    return all_rows._replace(starts=starts, stops=stops)


def by_blocks(
    work: Callable[[int, int], Any],
    count: int,
    size: int = 64,
    what: str | None = None,
    then: Callable[[Any], None] | None = None,
) -> None:
    """Call work(first, stop) for blocks of features, on as many threads as numba would use.

    Args:
        work: what to do for features first … stop − 1; it writes to those features' results only.
        count: how many features there are.
        size: features a block.
        what: shows progress under this name.
        then: is called with what `work` returns, block after block in their order.
    """
    firsts = range(0, count, size)
    threads = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    with ThreadPoolExecutor(threads) as pool:
        done: Iterable[Any] = pool.map(lambda first: work(first, min(first + size, count)), firsts)
        for made in progress(done, what, total=len(firsts)) if what else done:
            if then is not None:
                then(made)


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
def _count(part, counts):
    for k in range(part.indptr[0], part.indptr[-1]):
        counts[part.indices[k]] += 1


@njit(cache=True, nogil=True)
def _place(part, row, first, stop, place, rows, values):
    first, size = np.uint32(first), np.uint32(stop - first)
    for t in range(len(part.indptr) - 1):
        for k in range(part.indptr[t], part.indptr[t + 1]):
            feature = part.indices[k]
            if np.uint32(feature - first) < size:  # of one before `first` it is huge
                to = place[feature]
                rows[to], values[to] = row + t, part.values[k]
                place[feature] = to + 1


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
