"""A dictionary's activations by feature: on the whole probe, and on the rows of a scope."""

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks, columns, in_ranges
from featflow.features.probe import Activations
from featflow.features.scope import Rows, stack, whole


def columns_of(found: Activations) -> Columns:
    """The activations of the whole probe by feature."""
    return columns(stack(whole(found.counts), found.corpora))


def places(rows: Rows, counts: dict[str, int]) -> np.ndarray:
    """Which row of a scope each row of the probe is: (T,) int64, −1 where it is none."""
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]), strict=False))
    found, at = np.full(sum(counts.values()), -1), 0
    for piece in rows.pieces:
        start = starts[piece.corpus]
        size = piece.stop - piece.start
        found[start + piece.start : start + piece.stop] = np.arange(at, at + size)
        at += size
    return found


def restricted(columns: Columns, place: np.ndarray) -> Columns:
    """The firings on some of the rows, these numbered anew: place (T,), −1 where one is left out.

    The places ascend, those that are left out aside.
    """
    count = len(columns.starts)
    sizes = np.zeros(count + 1, np.int64)
    by_blocks(lambda first, stop: _count(columns, first, stop, place, sizes), count)
    edges = np.cumsum(sizes)

    def fill(low: int, high: int, rows: np.ndarray, values: np.ndarray) -> None:
        starts = edges - edges[low]
        by_blocks(
            lambda first, stop: _copy(
                columns, low + first, low + stop, place, starts, rows, values
            ),
            high - low,
        )

    return in_ranges(edges, (columns.rows.dtype, np.float32), fill)


@njit(cache=True, nogil=True)
def _count(columns, first, stop, place, sizes):
    for i in range(first, stop):
        for k in range(columns.starts[i], columns.stops[i]):
            if place[columns.rows[k]] >= 0:
                sizes[i + 1] += 1


@njit(cache=True, nogil=True)
def _copy(columns, first, stop, place, starts, rows, values):
    for i in range(first, stop):
        at = starts[i]
        for k in range(columns.starts[i], columns.stops[i]):
            row = place[columns.rows[k]]
            if row >= 0:
                rows[at], values[at] = row, columns.values[k]
                at += 1
