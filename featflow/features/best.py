"""The best partners of every feature on many sets of rows, without a matrix of all pairs.

r is made block by block, as in features/moments.py, for each set from the moments of its stretches;
of every block only the best partners so far are kept (features/partners.py). So memory is a few
blocks a thread, whatever the number of features and of sets.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from featflow.features.columns import Columns
from featflow.features.keeping import Keep, passing
from featflow.features.moments import Scope, r_by_blocks
from featflow.features.partners import BestPartners, Ranked
from featflow.features.stacked import Activations


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
