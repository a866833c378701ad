"""The best of many: each feature's partners by r, and its rows by activation."""

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


def top_rows(columns: Columns, document: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each feature is strongest, at most one row a document.

    Args:
        columns: the activations, m features.
        document: (T,) the document of each row, ascending.
        count: rows a feature, k.

    Returns:
        Rows (m, k), strongest first, of equal ones the first, −1 where there is none; and their
        activations (m, k) float32, −inf where there is none.
    """
    features = len(columns.starts)
    rows, values = np.full((features, count), -1), np.full((features, count), -np.inf, np.float32)
    by_blocks(lambda first, stop: _top_rows(columns, first, stop, document, rows, values), features)
    return rows, values


def _none(features: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((features, count), -1), np.full((features, count), -np.inf, np.float32)


@njit(cache=True, nogil=True)
def _insert(partners, best, partner, value):
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
                _insert(partners[i], best[i], j, r[i, j])


@njit(cache=True, nogil=True)
def _best_of_columns(r, first, stop, partners, best):
    for i in range(r.shape[0]):
        for j in range(first, stop):
            if r[i, j] > best[j, -1]:
                _insert(partners[j], best[j], i, r[i, j])


@njit(cache=True, nogil=True)
def _top_rows(columns, first, stop, document, rows, values):
    for i in range(first, stop):
        best, value = -1, np.float32(0)  # of the document being read
        for k in range(columns.starts[i], columns.stops[i]):
            row = columns.rows[k]
            if best >= 0 and document[row] != document[best]:
                if value > values[i, -1]:
                    _insert(rows[i], values[i], best, value)
                best, value = -1, np.float32(0)
            if columns.values[k] > value:
                best, value = row, columns.values[k]
        if best >= 0 and value > values[i, -1]:
            _insert(rows[i], values[i], best, value)
