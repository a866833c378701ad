"""The best partners of every feature on many sets of rows, without a matrix of all pairs.

r is made block by block, as in features/moments.py, for each set from the moments of its stretches;
of every block only the best partners so far are kept (features/partners.py), unless all pairs are
asked for, or those from a floor on. So memory is a few blocks a thread, whatever the number of
features and of sets.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from featflow.features.columns import Columns
from featflow.features.moments import Room, Scope, ThreadBuffers, Use, r_by_blocks
from featflow.features.partners import BestPartners, Ranked
from featflow.features.stacked import Activations
from featflow.runtime import scratch


class Judged(NamedTuple):
    """What is known of m features on a set of rows; (m,) each."""

    mean: np.ndarray
    scale: np.ndarray
    """1/σ; NaN where the feature is constant."""
    counting: np.ndarray
    """bool: whether it counts as a partner there."""


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
    own = ThreadBuffers()
    return lambda _, first, stop: own.array("r", (stop - first, width), np.float32)


class Keep(NamedTuple):
    """What becomes of each block of r: the arguments of `moments.r_by_blocks`."""

    room: Room
    use: Use = nothing
    then: Callable[[list[Any]], None] | None = None


def best_partners(
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
        For each set those of a's features and those of b's (features/partners.py has the order).
    """
    of_a = [BestPartners(len(parts[0].starts), question.of_a) for question in questions]
    of_b = [BestPartners(b.shape[1], question.of_b) for question in questions]
    made = keep or Keep(passing(b.shape[1]))

    def use(number: int, first: int, r: np.ndarray) -> Any:
        question = questions[number]
        of_a[number].see_rows(r, first, question.b.counting)
        of_b[number].see_columns(r, first, question.a.counting)
        return made.use(number, first, r)

    scopes = [Scope(q.rows, q.stretches, q.a[:2], q.b[:2]) for q in questions]
    r_by_blocks(parts, scopes, b, made.room, use, made.then)
    return [(mine.ranked(), theirs.ranked()) for mine, theirs in zip(of_a, of_b, strict=True)]


class AllPairs:
    """Full matrices (m_a, m_b) of some scopes, in memory."""

    def __init__(self, shape: tuple[int, int], scopes: int):
        self.r = [np.empty(shape, np.float32) for _ in range(scopes)]

    def keep(self) -> Keep:
        """For `best_partners`."""
        return Keep(lambda scope, first, stop: self.r[scope][first:stop])


class PairsFromFloor:
    """The pairs of |r| ≥ floor, row by row, in files without names once they are many."""

    def __init__(self, shape: tuple[int, int], scopes: int, floor: float):
        """Raises WriteError when the folder of the checkpoints may not be written."""
        self.shape, self.floor = shape, np.float32(floor)
        self._counts: list[list[np.ndarray]] = [[] for _ in range(scopes)]
        self._files = [(scratch.Writer(), scratch.Writer()) for _ in range(scopes)]

    def __enter__(self) -> "PairsFromFloor":
        return self

    def __exit__(self, *_: object) -> None:
        for pair in self._files:
            for file in pair:
                file.close()

    def keep(self) -> Keep:
        """For `best_partners`."""
        return Keep(
            passing(self.shape[1]),
            lambda scope, first, r: _from(r, self.floor),
            self._add,
        )

    def matrices(self) -> list[csr_array]:
        """What was kept of each scope."""
        found = []
        for counts, (indices, values) in zip(self._counts, self._files, strict=True):
            indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
            if indptr[-1] <= np.iinfo(np.int32).max:
                indptr = indptr.astype(np.int32)  # else scipy widens the indices
            arrays = values.array(np.float32), indices.array(np.int32), indptr
            found.append(csr_array(arrays, shape=self.shape))
        return found

    def _add(self, made: Sequence[Any]) -> None:
        for every, files, (counts, *arrays) in zip(self._counts, self._files, made, strict=True):
            every.append(counts)
            for file, array in zip(files, arrays, strict=True):
                file.add(array)


@njit(cache=True, nogil=True)
def _from(r, floor):
    """The pairs of a block: how many each row has, their columns, their r."""
    counts = np.zeros(len(r), np.int64)
    for i in range(len(r)):
        for j in range(r.shape[1]):
            counts[i] += abs(r[i, j]) >= floor  # a NaN is not
    size = counts.sum()
    columns, values, place = np.empty(size, np.int32), np.empty(size, np.float32), 0
    for i in range(len(r)):
        for j in range(r.shape[1]):
            if abs(r[i, j]) >= floor:
                columns[place], values[place] = j, r[i, j]
                place += 1
    return counts, columns, values
