"""Whether a correlation hangs on a handful of rows: Pearson's r without those that make it.

For a pair of features, r_trimmed is r over the rows that are left when those are taken out on
which the product a_t b_t is largest: 1 % of the n rows on which both fire, rounded up, and at least
5 (all n, where there are fewer); of equal products the earlier row goes first. A row that is taken
out is in no moment of either feature: means, deviations and product are those of the T − k rows
that stay, rows on which only one of them fires included. It is NaN where one is constant there.

r is a sum of products over the root of two sums of squares, so that a row counts by the square of
its size: a few rows on which many features are huge at once (attention sinks, block starts, damaged
text) make features correlate that have nothing else in common. Of a real match the other rows say
the same, and r_trimmed is nearly r. Only rows on which both fire raise r, and a_t b_t is what they
raise it by; who took out the rows of the largest norm, or of the largest a_t, would also take out
what holds r down.

It is lower than r by construction, for it takes out what speaks for the match alone. The fewer rows
two features share, the larger is the part that goes: 5 of 20 are a quarter.
"""

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks
from featflow.features.moments import UNRESOLVED
from featflow.features.partners import Ranked

LEAST = 5
"""Rows that are taken out, at least."""

PART = 100
"""One of so many rows on which both fire is taken out."""


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


def trimmed_of(best: Ranked, own: Columns, other: Columns, rows: int) -> np.ndarray:
    """r_trimmed of m features with their best partner: (m,) float32, NaN where there is none.

    Args:
        best: the partners.
        own: the features' firings.
        other: the partners', on the same rows.
        rows: T, of both.
    """
    partner = best.partners[:, 0]
    r_trimmed = np.full(len(partner), np.nan, np.float32)
    has = np.flatnonzero(partner >= 0)
    r_trimmed[has] = trimmed_r(own, other, rows, has, partner[has])
    return r_trimmed


@njit(cache=True, nogil=True)
def _trimmed(a, b, rows, first, second, start, stop, found):
    for pair in range(start, stop):
        i, j = first[pair], second[pair]
        mine, theirs = slice(a.starts[i], a.stops[i]), slice(b.starts[j], b.stops[j])
        of_a, of_b = (a.rows[mine], a.values[mine]), (b.rows[theirs], b.values[theirs])
        found[pair] = _r(*of_a, *of_b, rows)


@njit(cache=True, nogil=True)
def _r(rows_a, values_a, rows_b, values_b, rows):
    # How many rows both fire on shows at the end alone, so as many are held back as may go; one
    # that falls out of the heap joins the sums. To take rows out of sums would leave nothing right
    # of the small rows beside giant ones.
    most = _taken(min(len(rows_a), len(rows_b)))
    products, entries = np.empty(most), np.empty((2, most), np.int64)  # a heap of the largest
    a = b = (0.0, 0.0)  # sums and sums of squares over the rows that stay
    product = 0.0
    p, q, both = 0, 0, 0
    while p < len(rows_a) and q < len(rows_b):
        if rows_a[p] < rows_b[q]:
            a, p = _plus(a, values_a[p]), p + 1
        elif rows_a[p] > rows_b[q]:
            b, q = _plus(b, values_b[q]), q + 1
        else:
            one = np.float64(values_a[p]) * np.float64(values_b[q])
            if both < most:
                products[both], entries[0, both], entries[1, both] = one, p, q
                if both == most - 1:
                    _order(products, entries, most)
            elif one <= products[0]:
                a, b, product = _plus(a, values_a[p]), _plus(b, values_b[q]), product + one
            else:
                x, y = values_a[entries[0, 0]], values_b[entries[1, 0]]
                a, b, product = _plus(a, x), _plus(b, y), product + products[0]
                products[0], entries[0, 0], entries[1, 0] = one, p, q
                _sink(products, entries, 0, most)
            p, q, both = p + 1, q + 1, both + 1
    for k in range(p, len(rows_a)):
        a = _plus(a, values_a[k])
    for k in range(q, len(rows_b)):
        b = _plus(b, values_b[k])
    size, out = min(both, most), _taken(both)
    _order(products, entries, size)
    while size > out:
        x, y = values_a[entries[0, 0]], values_b[entries[1, 0]]
        a, b, product, size = _plus(a, x), _plus(b, y), product + products[0], size - 1
        products[0], entries[0, 0], entries[1, 0] = (
            products[size],
            entries[0, size],
            entries[1, size],
        )
        _sink(products, entries, 0, size)
    left = rows - out
    if left == 0:
        return np.nan
    (mean_a, scale_a), (mean_b, scale_b) = _standard(a, left), _standard(b, left)
    r = (product / left - mean_a * mean_b) * (scale_a * scale_b)
    return 1.0 if r > 1 else -1.0 if r < -1 else r  # a NaN stays one


@njit(cache=True, nogil=True)
def _taken(both):
    return min(both, max(LEAST, -(-both // PART)))


@njit(cache=True, nogil=True)
def _plus(sums, value):
    x = np.float64(value)
    return sums[0] + x, sums[1] + x * x


@njit(cache=True, nogil=True)
def _standard(sums, rows):
    """Mean and 1/σ; NaN for a constant."""
    mean, square = sums[0] / rows, sums[1] / rows
    variance = square - mean**2
    return mean, 1 / np.sqrt(variance) if variance > UNRESOLVED * square else np.nan


@njit(cache=True, nogil=True)
def _order(products, entries, size):
    """Make a heap: on top is what stays in first, the least product, of equal ones the latest."""
    for place in range(size // 2 - 1, -1, -1):
        _sink(products, entries, place, size)


@njit(cache=True, nogil=True)
def _sink(products, entries, place, size):
    product, p, q = products[place], entries[0, place], entries[1, place]
    child = 2 * place + 1
    while child < size:
        if child + 1 < size and _above(
            products[child + 1], entries[0, child + 1], products[child], entries[0, child]
        ):
            child += 1
        if _above(product, p, products[child], entries[0, child]):
            break
        products[place] = products[child]
        entries[0, place], entries[1, place] = entries[0, child], entries[1, child]
        place, child = child, 2 * child + 1
    products[place], entries[0, place], entries[1, place] = product, p, q


@njit(cache=True, nogil=True)
def _above(product, entry, other, other_entry):
    return product < other or (product == other and entry > other_entry)
