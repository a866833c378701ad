"""Pearson's r between the features of two dictionaries, from moments that add up over rows.

With S_ij = Σ_t a_ti b_tj, the mean μ and the deviation σ of a feature over the T rows of a scope,
rows where it does not fire included,

    r_ij = (S_ij / T − μ_i μ_j) / (σ_i σ_j).

S is a product of two sparse matrices; the rest is a rank-one correction. Everything accumulates in
float64 and in a fixed order.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from featflow.features.columns import Columns, by_blocks, columns, sums, within
from featflow.features.prefetch import LINE, prefetch

UNRESOLVED = 1e-10
"""A variance below this share of the mean square is rounding: the feature is constant."""

BLOCK = 16
"""Features of a block: its moments (16, m_b) in float64 stay in the second-level cache."""

AHEAD = 8
"""Firings by which rows of b are asked for before they are needed."""

LINES = 3
"""Cache lines of a row that are asked for: 48 features, more than most rows have."""


def pearson(a: csr_array, b: csr_array, scopes: Sequence[range] | None = None) -> list[np.ndarray]:
    """Pearson's r of every feature of a with every feature of b, once for each scope.

    Args:
        a: activations (T, m_a), float32.
        b: activations (T, m_b) on the same rows, float32.
        scopes: ranges of rows (default: all of them). Moments are computed once for each stretch
            between the scopes' ends, and added up to those of each scope.

    Returns:
        For each scope r (m_a, m_b), float32; NaN where either feature is constant there (a feature
        that never fires is).
    """
    scopes = [range(a.shape[0])] if scopes is None else scopes
    return pearson_of_columns(columns(a), b, columns(b), scopes)


def pearson_of_columns(
    a: Columns, b: csr_array, b_columns: Columns, scopes: Sequence[range]
) -> list[np.ndarray]:
    """`pearson` for who has a by column, and b both by row and by column."""
    shape = len(a.starts), b.shape[1]
    results = [np.empty(shape, np.float32) for _ in scopes]
    standard_a = [standardised(within(a, scope), len(scope)) for scope in scopes]
    standard_b = [standardised(within(b_columns, scope), len(scope)) for scope in scopes]
    edges = sorted({edge for scope in scopes for edge in (scope.start, scope.stop)})
    stretches = [range(low, high) for low, high in pairwise(edges)]
    parts = [within(a, stretch) for stretch in stretches]

    def work(first: int, stop: int) -> None:
        moments = [cross_moments(part, b, first, stop) for part in parts]
        for scope, result, of_a, of_b in zip(scopes, results, standard_a, standard_b, strict=True):
            inside = [
                moment
                for moment, stretch in zip(moments, stretches, strict=True)
                if scope.start <= stretch.start and stretch.stop <= scope.stop
            ]
            total = inside[0] if len(inside) == 1 else np.sum(inside, axis=0)
            correlated(total, len(scope), *of_a, *of_b, first, result)

    by_blocks(work, shape[0], BLOCK, "blocks of features")
    return results


def cross_moments(a: Columns, b: csr_array, first: int, stop: int) -> np.ndarray:
    """Σ_t a_ti b_tj for features i = first … stop − 1 of a: (stop − first, m_b), float64."""
    moments = np.zeros((stop - first, b.shape[1]))
    # unsigned, so that the kernel need not ask whether an index counts from the end
    _add_cross(a, first, stop, b.indptr, b.indices.view(f"u{b.indices.itemsize}"), b.data, moments)
    return moments


def standardised(columns: Columns, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Each feature's mean and 1/σ over all rows; NaN for 1/σ where it is constant."""
    total, squares = sums(columns)
    mean, square = total / rows, squares / rows
    variance = square - mean**2
    resolved = variance > UNRESOLVED * square
    return mean, np.where(resolved, 1 / np.sqrt(np.where(resolved, variance, 1)), np.nan)


@njit(cache=True, nogil=True)
def _add_cross(a, first, stop, indptr, indices, values, moments):
    # A feature's firings lie all over b, which no cache holds: without the prefetches, the kernel
    # waits for memory five sixths of its time.
    for i in range(first, stop):
        row, end = moments[i - first], a.stops[i]
        for k in range(a.starts[i], end):
            if k + 2 * AHEAD < end:
                prefetch(indptr, a.rows[k + 2 * AHEAD])
            if k + AHEAD < end:
                place = indptr[a.rows[k + AHEAD]]
                for line in range(LINES):
                    prefetch(indices, place + line * LINE)
                    prefetch(values, place + line * LINE)
            value, token = np.float64(a.values[k]), a.rows[k]
            for j in range(indptr[token], indptr[token + 1]):
                row[indices[j]] += value * values[j]


@njit(cache=True, nogil=True)
def correlated(moments, rows, mean_a, scale_a, mean_b, scale_b, first, result):
    """Write r of features first … of a (rows of `moments`) with all of b into `result`.

    Args: means and 1/σ as `standardised` gives them, over so many rows.
    """
    for i in range(first, first + len(moments)):
        mean, scale = mean_a[i], scale_a[i]
        for j in range(len(mean_b)):
            r = (moments[i - first, j] / rows - mean * mean_b[j]) * (scale * scale_b[j])
            result[i, j] = 1.0 if r > 1 else -1.0 if r < -1 else r  # a NaN stays one
