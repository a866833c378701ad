"""Best partners: the one order in which a feature's partners stand, wherever r comes from.

The best partner has the largest r, in float32, and of equal ones the lower index; a NaN is no r,
and only features that count are partners at all (`rule.alive` on the scope of the feature that is
judged). Blocks and pairs may come in any order, from many threads.
"""

from threading import Lock
from typing import NamedTuple

import numpy as np
from numba import njit


class Ranked(NamedTuple):
    """The best partners of m features, k each: best first."""

    partners: np.ndarray
    """(m, k) int32; −1: there are no more."""
    r: np.ndarray
    """(m, k) float32; NaN where there is no partner."""

    def mutual(self, other: "Ranked") -> np.ndarray:
        """Which features are the best partner of their own best partner: (m,) bool.

        Args:
            other: the other side's.
        """
        best = self.partners[:, 0]
        back = np.append(other.partners[:, 0], -1)[best]  # of partner −1 that is −1
        found: np.ndarray = back == np.arange(len(best))
        return found


class BestPartners:
    """The best partners, of all that were seen so far, of the m features of one side."""

    def __init__(self, features: int, count: int):
        """Args: m, and k; 0: none are wanted."""
        self._partners = np.full((features, count), -1, np.int32)
        self._r = np.full((features, count), -np.inf, np.float32)
        self._lock = Lock()

    def see_rows(self, r: np.ndarray, first: int, counting: np.ndarray) -> None:
        """Look through a block that no other thread has rows of.

        Args:
            r: (n, p) float32, of these features first … first + n − 1 with all of the other side.
            first: feature.
            counting: (p,) bool, which of the other side count.
        """
        if self._r.shape[1]:
            _rank_rows(r, first, counting, self._partners, self._r)

    def see_columns(self, r: np.ndarray, first: int, counting: np.ndarray) -> None:
        """Look through a block whose columns are these features.

        Args:
            r: (n, m) float32, of features first … first + n − 1 of the other side.
            first: the other side's.
            counting: (p,) bool, which of the other side count.
        """
        if self._r.shape[1]:
            self._merge(*_candidates(r, first, counting, self._r))

    def see_pairs(self, feature: np.ndarray, partner: np.ndarray, r: np.ndarray) -> None:
        """Look through some pairs (n,) whose partner counts, and their r, float32."""
        if self._r.shape[1]:
            self._merge(partner, feature, r)

    def _merge(self, partner: np.ndarray, feature: np.ndarray, r: np.ndarray) -> None:
        with self._lock:
            _merge(partner, feature, r, self._partners, self._r)

    def ranked(self) -> Ranked:
        """What was found."""
        r = np.where(self._partners < 0, np.float32(np.nan), self._r)
        return Ranked(self._partners, r)


@njit(cache=True, nogil=True)
def _before(r, partner, other, other_partner):
    return r > other or (r == other and partner < other_partner)  # a NaN is before nobody


@njit(cache=True, nogil=True)
def _insert(partners, best, partner, r):
    place = len(best) - 1
    while place > 0 and _before(r, partner, best[place - 1], partners[place - 1]):
        best[place], partners[place] = best[place - 1], partners[place - 1]
        place -= 1
    best[place], partners[place] = r, partner


@njit(cache=True, nogil=True)
def _rank_rows(r, first, counting, partners, best):
    for i in range(len(r)):
        own, top = partners[first + i], best[first + i]
        for j in range(r.shape[1]):
            if counting[j] and _before(r[i, j], j, top[-1], own[-1]):
                _insert(own, top, j, r[i, j])


@njit(cache=True, nogil=True)
def _candidates(r, first, counting, best):
    """What may be among the best of the columns: its partners, columns and r.

    Other threads may raise `best` meanwhile. It never falls, so nothing that belongs there is lost.
    """
    size = 0
    for i in range(len(r)):
        if counting[first + i]:
            for j in range(r.shape[1]):
                size += r[i, j] >= best[j, -1]  # a NaN is not
    partners, columns = np.empty(size, np.int32), np.empty(size, np.int32)
    found, place = np.empty(size, np.float32), 0
    for i in range(len(r)):
        if counting[first + i]:
            for j in range(r.shape[1]):
                if place < size and r[i, j] >= best[j, -1]:
                    partners[place], columns[place], found[place] = first + i, j, r[i, j]
                    place += 1
    return partners[:place], columns[:place], found[:place]


@njit(cache=True, nogil=True)
def _merge(new_partners, features, new, partners, best):
    for k in range(len(new)):
        j = features[k]
        if _before(new[k], new_partners[k], best[j, -1], partners[j, -1]):
            _insert(partners[j], best[j], new_partners[k], new[k])
