"""The best partners of each feature in a matrix of correlations, and how often both fire."""

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks


def best_partners(r: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row's largest correlations.

    Args:
        r: (m_a, m_b); NaN is never a partner.
        count: partners a feature, k.

    Returns:
        Partners (m_a, k) int64, best first, of equal ones the lower index first, −1 where there is
        none; and their r (m_a, k) float32, NaN where there is none.
    """
    partners, best = _none(r.shape[0], count)
    by_blocks(lambda first, stop: _best_of_rows(r, first, stop, partners, best), r.shape[0])
    return partners, np.where(partners < 0, np.float32(np.nan), best)


def best_partners_of_columns(r: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`best_partners` of r's transpose, read in the order in which r lies in memory."""
    partners, best = _none(r.shape[1], count)
    by_blocks(lambda first, stop: _best_of_columns(r, first, stop, partners, best), r.shape[1], 256)
    return partners, np.where(partners < 0, np.float32(np.nan), best)


def cofirings(
    a: Columns, b: Columns, rows: int, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """On how many rows feature first[p] of a and feature second[p] of b both fire: (p,) int64.

    Args:
        a: one side's firings.
        b: the other side's.
        rows: of both, T.
        first: (p,) features of a, the pairs of one side by side.
        second: (p,) features of b.
    """
    counts = np.zeros(len(first), np.int64)
    by_blocks(
        lambda start, stop: _cofirings(a, b, rows, first, second, start, stop, counts),
        len(first),
        1024,
    )
    return counts


def jaccard(firings_a: np.ndarray, firings_b: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Rows where both fire, as a share of those where either does; NaN where neither does."""
    either = firings_a + firings_b - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def _none(features: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((features, count), -1), np.full((features, count), -np.inf, np.float32)


@njit(cache=True, nogil=True)
def insert(partners, best, partner, value):
    """Put a partner into a list sorted by r; one that comes later loses a tie."""
    place = len(best) - 1
    while place > 0 and best[place - 1] < value:
        best[place], partners[place] = best[place - 1], partners[place - 1]
        place -= 1
    best[place], partners[place] = value, partner


@njit(cache=True, nogil=True)
def _best_of_rows(r, first, stop, partners, best):
    for i in range(first, stop):
        for j in range(r.shape[1]):
            if r[i, j] > best[i, -1]:
                insert(partners[i], best[i], j, r[i, j])


@njit(cache=True, nogil=True)
def _best_of_columns(r, first, stop, partners, best):
    for i in range(r.shape[0]):
        for j in range(first, stop):
            if r[i, j] > best[j, -1]:
                insert(partners[j], best[j], i, r[i, j])


@njit(cache=True, nogil=True)
def _cofirings(a, b, rows, first, second, start, stop, counts):
    fires = np.zeros(rows, np.uint8)  # whether the pair's first feature does
    for pair in range(start, stop):
        i, j = first[pair], second[pair]
        if pair == start or i != first[pair - 1]:
            if pair > start:
                old = first[pair - 1]
                for k in range(a.starts[old], a.stops[old]):
                    fires[a.rows[k]] = 0
            for k in range(a.starts[i], a.stops[i]):
                fires[a.rows[k]] = 1
        for k in range(b.starts[j], b.stops[j]):
            counts[pair] += fires[b.rows[k]]
