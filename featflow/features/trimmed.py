"""Whether a correlation hangs on a handful of rows: Pearson's r without those that make it.

For a pair of features, r_trimmed is r over the rows that are left when those are taken out on which
the product a_t b_t is largest: 1 % of the n rows on which both fire, rounded up, and at least 5 (all
n, where there are fewer); of equal products the earlier row goes first. What is taken out is in no
moment: mean, deviation and product of both features are those of the T − k rows that stay, rows on
which only one fires included. It is NaN where either feature is constant on them.

r is a sum of products over a sum of squares, so a row counts by the square of its size: a few rows
on which many features are huge at once (attention sinks, block starts, damaged text) make features
correlate that have nothing else in common. Of a real match r_trimmed is nearly r: the rest of the
rows says the same. Only the rows on which *both* fire raise r, so only they are taken out; by rows
with a large norm, or a large a_t alone, one would also take out what holds r down.

It is biased downwards, for it takes out the best rows alone: of two exponential features at r 0.9
some 0.01 is lost, and more where a feature fires seldom, since 5 rows of 20 are a quarter.
"""

import heapq

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks
from featflow.features.moments import UNRESOLVED

LEAST = 5
"""Rows that are taken out, at least."""

PART = 100
"""One of so many rows on which both fire is taken out."""

BUFFER = 1024
"""Rows on which both fire that are found before they are looked at: a loop without a branch."""


def trimmed_r(
    a: Columns, b: Columns, rows: int, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """r of pairs of features, without the rows that contribute most to each: (p,) float32.

    It takes the time to read the firings of both, and memory for the rows that are taken out.

    Args:
        a: one side's firings.
        b: the other side's, on the same rows.
        rows: T, of both.
        first: (p,) features of a.
        second: (p,) features of b.

    Returns:
        NaN where a feature is constant on the rows that stay.
    """
    found = np.full(len(first), np.nan, np.float32)
    by_blocks(
        lambda start, stop: _trimmed(a, b, rows, first, second, start, stop, found), len(first)
    )
    return found


@njit(cache=True, nogil=True)
def _trimmed(a, b, rows, first, second, start, stop, found):
    at = np.empty((2, BUFFER), np.int64)
    for pair in range(start, stop):
        i, j = first[pair], second[pair]
        largest = [(0.0, 0, 0.0, 0.0)][:0]  # a heap of (product, −row, a, b): the least comes first
        most = _taken(min(a.stops[i] - a.starts[i], b.stops[j] - b.starts[j]))
        p, q, both, product = a.starts[i], b.starts[j], 0, 0.0
        while p < a.stops[i] and q < b.stops[j]:
            p, q, size = _meet(a.rows, p, a.stops[i], b.rows, q, b.stops[j], at)
            both += size
            for k in range(size):
                x, y = np.float64(a.values[at[0, k]]), np.float64(b.values[at[1, k]])
                one = (x * y, -np.int64(a.rows[at[0, k]]), x, y)
                if len(largest) < most:
                    heapq.heappush(largest, one)
                elif one[0] > largest[0][0]:
                    product += heapq.heapreplace(largest, one)[0]
                else:
                    product += one[0]
        out = _taken(both)
        while len(largest) > out:
            product += heapq.heappop(largest)[0]
        gone = np.array([-one[1] for one in largest], np.int64)
        gone.sort()
        left = rows - out
        if left > 0:
            mean_a, deviation_a = _without(a, i, gone, left)
            mean_b, deviation_b = _without(b, j, gone, left)
            if deviation_a > 0 and deviation_b > 0:
                r = (product / left - mean_a * mean_b) / (deviation_a * deviation_b)
                found[pair] = min(max(r, -1.0), 1.0)


@njit(cache=True, nogil=True)
def _taken(both):
    return min(both, max(LEAST, -(-both // PART)))


@njit(cache=True, nogil=True)
def _meet(rows_a, p, stop_a, rows_b, q, stop_b, at):
    """Where both fire, until `at` is full or one of them ends: entries of a and of b."""
    size = 0
    while p < stop_a and q < stop_b and size < BUFFER:
        row, other = rows_a[p], rows_b[q]
        at[0, size], at[1, size] = p, q
        size += row == other
        p += row <= other
        q += other <= row
    return p, q, size


@njit(cache=True, nogil=True)
def _without(columns, i, gone, left):
    """Mean and deviation of a feature on the rows that stay; 0 for the latter: it is constant."""
    total, squares, k = 0.0, 0.0, 0
    for p in range(columns.starts[i], columns.stops[i]):
        if k < len(gone) and columns.rows[p] == gone[k]:
            k += 1
            continue
        value = np.float64(columns.values[p])
        total += value
        squares += value * value
    mean, square = total / left, squares / left
    variance = square - mean**2
    return mean, np.sqrt(variance) if variance > UNRESOLVED * square else 0.0
