"""How well an explanation predicts: correlation of simulated activations, detection, fuzzing.

A score that cannot be had is None, never 0: an explanation that was not tested is not a bad one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.interpret.providers import Marked, Record

EACH = 2
"""Records with the feature, and without it, that an accuracy needs."""


class Correlation(NamedTuple):
    """Of predicted and true activations; None where either is constant."""

    pearson: float | None
    spearman: float | None


def simulation(records: Sequence[Record], predicted: Sequence[Sequence[float]]) -> Correlation:
    """Correlation of predictions and activations over the concatenated tokens of all records.

    Every token weighs the same (Bills et al. 2023). True activations are the exact ones, not their
    levels. Spearman's is Pearson's of the ranks, equal values with their mean rank.

    Args:
        records: with what the feature does.
        predicted: a value for each token of each record, on any scale.

    Raises:
        ValueError: when a record and its prediction are not of one length.
    """
    pairs = [
        (value, guess)
        for record, guesses in zip(records, predicted, strict=True)
        for value, guess in zip(record.values, guesses, strict=True)
    ]
    if not pairs:
        return Correlation(None, None)
    truth, guess = np.array(pairs, dtype=np.float64).T
    return Correlation(pearson(truth, guess), pearson(ranks(truth), ranks(guess)))


def ranks(values: np.ndarray) -> np.ndarray:
    """The ranks (n,) of some numbers, from 1; equal ones have their mean rank."""
    return pd.Series(values).rank().to_numpy()


def pearson(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's r of two vectors (n,); None where either is constant."""
    if not len(x) or not np.ptp(x) or not np.ptp(y):
        return None
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))


def balanced_accuracy(truth: Sequence[bool], answers: Sequence[bool]) -> float | None:
    """The mean of the shares of true and of false ones that are answered right.

    None where there are fewer than EACH of either. 0.5 is chance, whatever their numbers.
    """
    right = np.array(truth, dtype=bool) == np.array(answers, dtype=bool)
    true = np.array(truth, dtype=bool)
    if min(true.sum(), (~true).sum()) < EACH:
        return None
    return float((right[true].mean() + right[~true].mean()) / 2)


def contains(record: Record) -> bool | None:
    """Whether a record has the feature: a token of level 1 or more.

    None where it fires too weakly for that: such a record is neither, and is not asked about.
    """
    return True if max(record.levels) >= 1 else None if any(record.values) else False


def markings(record: Record, rng: np.random.Generator) -> tuple[Marked, Marked] | None:
    """A record with its firing tokens marked (level 1 or more), and with as many silent ones.

    Returns:
        The right and the wrong marks; None where nothing fires, or too few tokens are silent.
    """
    firing = np.flatnonzero(np.array(record.levels) >= 1)
    silent = np.flatnonzero(np.array(record.values) == 0)
    if not len(firing) or len(silent) < len(firing):
        return None
    wrong = np.sort(rng.choice(silent, len(firing), replace=False))
    return Marked(record, tuple(firing.tolist())), Marked(record, tuple(wrong.tolist()))


class Matched(NamedTuple):
    """Two groups of scores, compared among features that fire equally often."""

    difference: float
    """Mean score of the first minus that of the second."""
    pairs: int
    """What that rests on: the smaller group's size, summed over the bins."""


def matched(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], width: float = 0.5
) -> Matched | None:
    """The difference of two groups' mean scores, matched on density.

    Within bins of log10 density the groups' means are compared; a bin weighs as much as its smaller
    group has features.

    Args:
        first: densities (n,), above 0, and scores (n,).
        second: the same of the other group.
        width: of a bin, in powers of ten.

    Returns:
        None where no bin has both.
    """
    sides = [(np.floor(np.log10(density) / width), score) for density, score in (first, second)]
    total, pairs = 0.0, 0
    for each in np.unique(sides[0][0]):
        one, other = (score[bins == each] for bins, score in sides)
        if weight := min(len(one), len(other)):
            total += weight * (one.mean() - other.mean())
            pairs += weight
    return Matched(float(total / pairs), pairs) if pairs else None
