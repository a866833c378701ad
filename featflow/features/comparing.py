"""Two dictionaries, each judged against the other on some domains."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.features import rule
from featflow.features.best import Question, best_partners
from featflow.features.dictionary import Dictionary, Facts
from featflow.features.domains import Layout
from featflow.features.partners import Ranked
from featflow.features.stacked import Activations
from featflow.features.trimmed import trimmed_of

COLUMNS = {
    "a": "str",
    "b": "str",
    "domain": "str",
    "side": "str",
    "feature": "int32",
    "firings": "int64",
    "documents": "int64",
    "tokens": "int64",
    "lookup_r": "float32",
    "partner": "int32",
    "r": "float32",
    "mutual": "bool",
    "r_trimmed": "float32",
}
"""Of best.parquet."""

TOLD = 0.8
"""The paper's threshold: of the shares that the log tells, and of nothing else."""


class Best(NamedTuple):
    """The best partners of m features, k each."""

    ranked: Ranked
    r_trimmed: np.ndarray
    """(m,) float32, with the first one (features/trimmed.py); NaN: none, or undefined."""


Both = tuple[Best, Best]
"""The best partners of a's features on a's rows of a domain, and of b's on b's."""


def compare(
    a: Dictionary, b: Dictionary, stacked: Activations, rows: Layout, wanted: Mapping[str, int]
) -> dict[str, Both]:
    """The best partners that count, on every domain.

    Args:
        a: a dictionary on the layout's rows.
        b: another one on the same rows.
        stacked: b's activations (T, m_b).
        rows: the layout.
        wanted: the domains, and how many partners a feature.
    """
    counts: tuple[dict[int, int], dict[int, int]] = {}, {}  # of each side, by set of rows
    for domain, count in wanted.items():
        for side, index in zip(counts, rows.sides[domain], strict=True):
            side[index] = max(count, side.get(index, 0))
    sets = sorted({*counts[0], *counts[1]})
    questions = [
        Question(
            rows.length(index),
            rows.sets[index],
            a.judged(index),
            b.judged(index),
            *(side.get(index, 0) for side in counts),
        )
        for index in sets
    ]
    found = dict(zip(sets, best_partners(a.parts, stacked, questions), strict=True))
    of_a, of_b = {}, {}
    for index in sets:
        mine, theirs = (each.columns_as_they_lie(index) for each in (a, b))
        length = rows.length(index)
        if index in counts[0]:
            ranked = found[index][0]
            of_a[index] = Best(ranked, trimmed_of(ranked, mine, theirs, length))
        if index in counts[1]:
            ranked = found[index][1]
            of_b[index] = Best(ranked, trimmed_of(ranked, theirs, mine, length))
    sides = {domain: rows.sides[domain] for domain in wanted}
    return {domain: (of_a[first], of_b[second]) for domain, (first, second) in sides.items()}


def table(both: Both, facts: tuple[Facts, Facts], names: Mapping[str, str]) -> pd.DataFrame:
    """The rows of best.parquet for one domain: a's features, then b's.

    Args:
        both: the best partners.
        facts: what a's features do on a's rows of the domain, and b's on b's.
        names: a, b and domain.
    """
    sides = []
    for side, mine, theirs, known in zip("ab", both, reversed(both), facts, strict=True):
        partner = mine.ranked.partners[:, 0]
        values = {
            "feature": np.arange(len(partner)),
            "firings": known.firings,
            "documents": known.documents,
            "tokens": known.rows,
            "lookup_r": known.lookup_r,
            "partner": partner,
            "r": mine.ranked.r[:, 0],
            "mutual": mine.ranked.mutual(theirs.ranked),
            "r_trimmed": mine.r_trimmed,
        }
        sides.append(pd.DataFrame({**names, "side": side, **values}))
    return pd.concat(sides, ignore_index=True)[list(COLUMNS)].astype(COLUMNS)


def line(both: Both, alive: tuple[np.ndarray, np.ndarray]) -> str:
    """What is found again at the paper's threshold, in words for the log.

    Args:
        both: the best partners.
        alive: (m,) bool of either side.
    """
    counted = []
    for best, judged in zip(both, alive, strict=True):
        matched, total = judged & rule.above(best.ranked.r[:, 0], TOLD), int(judged.sum())
        fragile = int((matched & ~rule.above(best.r_trimmed, TOLD)).sum())
        found = int(matched.sum())
        share = f"{found:,} of {total:,} ({found / max(total, 1):.1%}"
        counted.append(f"{share}, {fragile:,} of them on a handful of rows)")
    return f"above {TOLD:g}: {counted[0]} features of a, {counted[1]} of b"
