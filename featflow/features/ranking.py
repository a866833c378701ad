"""The best of many: each feature's rows by activation."""

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks


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


@njit(cache=True, nogil=True)
def insert(partners, best, partner, value):
    """Put a partner into a list sorted by r; one that comes later loses a tie."""
    place = len(best) - 1
    while place > 0 and best[place - 1] < value:
        best[place], partners[place] = best[place - 1], partners[place - 1]
        place -= 1
    best[place], partners[place] = value, partner


@njit(cache=True, nogil=True)
def _top_rows(columns, first, stop, document, rows, values):
    for i in range(first, stop):
        best, value = -1, np.float32(0)  # of the document being read
        for k in range(columns.starts[i], columns.stops[i]):
            row = columns.rows[k]
            if best >= 0 and document[row] != document[best]:
                if value > values[i, -1]:
                    insert(rows[i], values[i], best, value)
                best, value = -1, np.float32(0)
            if columns.values[k] > value:
                best, value = row, columns.values[k]
        if best >= 0 and value > values[i, -1]:
            insert(rows[i], values[i], best, value)
