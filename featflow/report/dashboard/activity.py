"""How strongly a feature fires, and on which tokens."""

from typing import NamedTuple

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks

BINS = 20
"""Of a histogram."""

TYPICAL = 10
"""Tokens a feature."""


class Typical(NamedTuple):
    """The tokens on which each of m features' activations add up to most, best first."""

    ids: np.ndarray
    """(m, TYPICAL) int64; −1: there are no more."""
    sums: np.ndarray
    """(m, TYPICAL) float64: of its activations on that token."""
    firings: np.ndarray
    """(m, TYPICAL) int64: rows of that token on which it fires."""


def histogram(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """How often each feature fires how strongly, in BINS equal bins from 0 to its maximum.

    They are equal in the activation, not in its logarithm, so that each interval that contexts are
    drawn from is a run of them.

    Returns:
        Each feature's maximum (m,) float32, 0 if it never fires; and counts (m, BINS) int64. A bin
        has its upper end, but not its lower one.
    """
    count = len(columns.starts)
    highest, counts = np.zeros(count, np.float32), np.zeros((count, BINS), np.int64)
    by_blocks(lambda first, stop: _histogram(columns, first, stop, highest, counts), count)
    return highest, counts


def typical(columns: Columns, tokens: np.ndarray) -> Typical:
    """The tokens that each feature is most about: those with the largest sum of its activation.

    Args:
        columns: the activations, m features.
        tokens: (T,) the token id of every row.
    """
    shape = len(columns.starts), TYPICAL
    found = Typical(np.full(shape, -1), np.zeros(shape), np.zeros(shape, np.int64))
    size = int(tokens.max(initial=0)) + 1
    by_blocks(lambda first, stop: _typical(columns, first, stop, tokens, size, found), shape[0])
    return found


@njit(cache=True, nogil=True)
def _histogram(columns, first, stop, highest, counts):
    for i in range(first, stop):
        for k in range(columns.starts[i], columns.stops[i]):
            highest[i] = max(highest[i], columns.values[k])
        for k in range(columns.starts[i], columns.stops[i]):
            counts[i, bin_of(columns.values[k], highest[i], counts.shape[1])] += 1


@njit(cache=True, nogil=True)
def bin_of(value, highest, count):
    """Which of `count` equal parts of (0, highest] an activation lies in; upper ends are inside."""
    part = min(int(np.float64(value) * count / highest), count - 1)
    while part > 0 and np.float64(value) * count <= np.float64(highest) * part:
        part -= 1
    return part


@njit(cache=True, nogil=True)
def _typical(columns, first, stop, tokens, size, found):
    sums, firings, touched = np.zeros(size), np.zeros(size, np.int64), np.empty(size, np.int64)
    for i in range(first, stop):
        count = 0
        for k in range(columns.starts[i], columns.stops[i]):
            token = tokens[columns.rows[k]]
            if firings[token] == 0:
                touched[count] = token
                count += 1
            sums[token] += columns.values[k]
            firings[token] += 1
        for token in touched[:count]:
            _insert(found.ids[i], found.sums[i], found.firings[i], token, sums, firings)
        for token in touched[:count]:
            sums[token], firings[token] = 0.0, 0


@njit(cache=True, nogil=True)
def _insert(ids, totals, counts, token, sums, firings):
    """Put a token into the sorted list; of equal sums the lower id comes first."""
    place = len(ids)
    while place > 0:
        before = ids[place - 1]
        worse = before < 0 or totals[place - 1] < sums[token]
        if not (worse or (totals[place - 1] == sums[token] and token < before)):
            break
        place -= 1
    for k in range(len(ids) - 1, place, -1):
        ids[k], totals[k], counts[k] = ids[k - 1], totals[k - 1], counts[k - 1]
    if place < len(ids):
        ids[place], totals[place], counts[place] = token, sums[token], firings[token]
