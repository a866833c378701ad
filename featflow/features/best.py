"""The best partners of every feature on many sets of rows, without a matrix of all pairs.

r is made block by block, as in features/moments.py, for each set from the moments of its stretches;
of every block only the partners that may still be among the best are kept. So memory is a few
blocks a thread, whatever the number of features and of sets.
"""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from featflow.features.columns import Columns
from featflow.features.moments import Own, Room, Scope, Use, r_by_blocks
from featflow.features.stacked import Activations


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


def nothing(*_: object) -> None:
    """For what is dropped."""


def passing(width: int) -> Room:
    """For blocks of r (n, width) of which nobody keeps a view: each thread's are in one place."""
    own = Own()
    return lambda _, first, stop: own.array("r", (stop - first, width), np.float32)


class Keep(NamedTuple):
    """What becomes of each block of r: the arguments of `moments.r_by_blocks`."""

    room: Room
    use: Use = nothing
    then: Callable[[list[Any]], None] | None = None


def best_on_sets(
    parts: Sequence[Columns],
    b: Activations,
    questions: Sequence[Question],
    keep: Keep | None = None,
) -> list[tuple[Ranked, Ranked]]:
    """The best partners that count, of every feature of either side, on each set of rows.

    Args:
        parts: a's firings in each stretch of rows (`columns.within`).
        b: b's activations (T, m_b) on all rows.
        questions: the sets.
        keep: what else becomes of each block of r (None: it is dropped).

    Returns:
        For each set those of a's features and those of b's, by r in float32.
    """
    of_a = [_nobody(len(parts[0].starts), question.of_a) for question in questions]
    of_b = [_nobody(b.shape[1], question.of_b) for question in questions]
    locks = [Lock() for _ in questions]
    made = keep or Keep(passing(b.shape[1]))

    def use(number: int, first: int, r: np.ndarray) -> Any:
        question, mine, theirs = questions[number], of_a[number], of_b[number]
        if question.of_a:
            _rank_rows(r, first, question.b.counting, *mine)
        if question.of_b:
            partners, columns, best = _candidates(r, first, question.a.counting, theirs[1])
            with locks[number]:  # blocks come in any order: ties are broken by index
                _merge(partners, columns, best, *theirs)
        return made.use(number, first, r)

    scopes = [Scope(q.rows, q.stretches, q.a[:2], q.b[:2]) for q in questions]
    r_by_blocks(parts, scopes, b, made.room, use, made.then)
    return [(_ranked(*mine), _ranked(*theirs)) for mine, theirs in zip(of_a, of_b, strict=True)]


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
def _merge(new_partners, columns, new, partners, best):
    for k in range(len(new)):
        j = columns[k]
        if _before(new[k], new_partners[k], best[j, -1], partners[j, -1]):
            _insert(partners[j], best[j], new_partners[k], new[k])
