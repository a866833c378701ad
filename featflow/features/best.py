"""The best partners of every feature on many sets of rows, without a matrix of all pairs.

r is made block by block, as in features/moments.py, for each set from the moments of its stretches;
of every block only the partners that may still be among the best are kept. So memory is a few
blocks a thread, whatever the number of features and of sets.
"""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from featflow.features.columns import Columns, by_blocks
from featflow.features.moments import BLOCK, correlated, cross_moments


class Judged(NamedTuple):
    """What is known of m features on a set of rows; (m,) each."""

    mean: np.ndarray
    scale: np.ndarray
    """1/σ; NaN where the feature is constant."""
    counting: np.ndarray
    """bool: whether it counts as a partner there."""


class Ranked(NamedTuple):
    """The best partners of m features, k each: best first, of equal ones the lower index first."""

    partners: np.ndarray
    """(m, k) int32; −1: there are no more."""
    r: np.ndarray
    """(m, k) float32; NaN where there is no partner."""


class Question(NamedTuple):
    """A set of rows, and how many partners are wanted there."""

    rows: int
    stretches: list[int]
    """Which of the parts it consists of."""
    a: Judged
    b: Judged
    of_a: int
    """Partners for each feature of a (0: none are wanted)."""
    of_b: int


def best_on_sets(
    parts: Sequence[Columns], b: csr_array, questions: Sequence[Question]
) -> list[tuple[Ranked, Ranked]]:
    """The best partners that count, of every feature of either side, on each set of rows.

    Args:
        parts: a's firings in each stretch of rows (`columns.within`).
        b: b's activations (T, m_b) on all rows.
        questions: the sets.

    Returns:
        For each set those of a's features and those of b's, by r in float32.
    """
    features = len(parts[0].starts)
    needed = sorted({s for question in questions for s in question.stretches})
    of_a = [_nobody(features, question.of_a) for question in questions]
    of_b = [_nobody(b.shape[1], question.of_b) for question in questions]
    lock = Lock()

    def work(first: int, stop: int) -> None:
        moments = {s: cross_moments(parts[s], b, first, stop) for s in needed}
        for question, mine, theirs in zip(questions, of_a, of_b, strict=True):
            r = _r(question, moments, first, stop)
            if question.of_a:
                _rank_rows(r, first, question.b.counting, *mine)
            if question.of_b:
                found = _nobody(r.shape[1], question.of_b)
                _rank_columns(r, first, question.a.counting, *found)
                with (
                    lock
                ):  # blocks come in any order: ties are broken by index, not by coming first
                    _merge(*found, *theirs)

    by_blocks(work, features, BLOCK, "blocks of features")
    return [(_ranked(*mine), _ranked(*theirs)) for mine, theirs in zip(of_a, of_b, strict=True)]


def _r(question: Question, moments: dict[int, np.ndarray], first: int, stop: int) -> np.ndarray:
    """r of features first … stop − 1 of a with all of b, on a set: (stop − first, m_b) float32."""
    one, *others = (moments[s] for s in question.stretches)
    total = one.copy() if others else one
    for other in others:
        total += other
    r = np.empty(total.shape, np.float32)
    mean, scale = question.a.mean[first:stop], question.a.scale[first:stop]
    correlated(total, question.rows, mean, scale, question.b.mean, question.b.scale, 0, r)
    return r


def _nobody(features: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    partners = np.full((features, count), -1, np.int32)
    return partners, np.full((features, count), -np.inf, np.float32)


def _ranked(partners: np.ndarray, r: np.ndarray) -> Ranked:
    return Ranked(partners, np.where(partners < 0, np.float32(np.nan), r))


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
def _rank_columns(r, first, counting, partners, best):
    for i in range(len(r)):
        if counting[first + i]:
            for j in range(r.shape[1]):
                if _before(r[i, j], first + i, best[j, -1], partners[j, -1]):
                    _insert(partners[j], best[j], first + i, r[i, j])


@njit(cache=True, nogil=True)
def _merge(new_partners, new, partners, best):
    for j in range(len(best)):
        for k in range(best.shape[1]):
            if not _before(new[j, k], new_partners[j, k], best[j, -1], partners[j, -1]):
                break  # those that follow are no better
            _insert(partners[j], best[j], new_partners[j, k], new[j, k])
