"""How often two features fire together."""

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks


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
