"""How sure a share is: over SAE seeds (a jackknife), over documents (a bootstrap), over both."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.jackknife import LEVEL, Interval, jackknife, together
from featflow.analysis.judged import Bests, pooled, tally
from featflow.analysis.lines import Line
from featflow.analysis.ratios import ratios
from featflow.analysis.tables import Edge
from featflow.artifacts.io import load_table
from featflow.features.strata import Stratum


class OverSeeds(NamedTuple):
    """The mean of an edge's share over all pairs of seeds; (T,) each, a number a threshold."""

    mean: np.ndarray
    low: np.ndarray
    """Of the interval over the seeds of those ends that have several, all else fixed."""
    high: np.ndarray
    low_both: np.ndarray
    """Of the interval over the seeds of both ends and, where there is a bootstrap, documents."""
    high_both: np.ndarray
    documents: bool
    """Whether there is one."""
    fragile: np.ndarray
    """Of all that is found in the grid the part that hangs on a handful of rows."""


def over_seeds(
    bests: Bests,
    edge: Edge,
    seeds: tuple[Sequence[str], Sequence[str]],
    domain: str,
    thresholds: np.ndarray,
    replicates: "Replicates",
) -> dict[Stratum, OverSeeds]:
    """An edge's share by stratum: its mean over all pairs of seeds, and that mean's intervals.

    A stratum in which a pair of seeds has no living feature has none.

    Args:
        bests: the tables of stage shares.
        edge: parent and child.
        seeds: their SAEs.
        domain: where features are judged.
        thresholds: (T,) τ.
        replicates: of the edge's document bootstrap.

    Returns:
        Empty where neither end has a reseed.
    """
    if len(seeds[0]) == len(seeds[1]) == 1:
        return {}
    grid = [
        [tally(bests.get(*edge, (a, b, domain, "a")), thresholds) for b in seeds[1]]
        for a in seeds[0]
    ]
    common = set.intersection(*(set(each) for row in grid for each in row))
    found = {}
    for stratum in common:
        shares = np.array([[each[stratum].share for each in row] for row in grid])
        everywhere, fragile = pooled([each[stratum] for row in grid for each in row])
        drawn = [replicates.get((*stratum, tau)) for tau in thresholds]
        scatter = [0.0 if each is None else float(each.var()) for each in drawn]
        alone = [jackknife(shares[:, :, i]) for i in range(len(thresholds))]
        both = [together(shares[:, :, i], part) for i, part in enumerate(scatter)]
        (mean, low, high), (_, low_both, high_both) = _columns(alone), _columns(both)
        has_documents = all(each is not None for each in drawn)
        part = ratios(fragile, everywhere)
        found[stratum] = OverSeeds(mean, low, high, low_both, high_both, has_documents, part)
    return found


def _columns(intervals: Sequence[Interval]) -> np.ndarray:
    return np.array(intervals).T


Replicates = Mapping[tuple[str, str, float], pd.Series]
"""By kind, stratum and threshold, the shares of a bootstrap's replicates: two or more."""


def replicates(file: Path) -> Replicates:
    """Those of the parent's features in bootstrap.parquet; none where it has no rows."""
    table = load_table(file, "side", "kind", "stratum", "threshold", "share")
    table = table[(table["side"] == "a") & table["share"].notna()]
    found: dict[tuple[str, str, float], pd.Series] = {}
    for key, each in table.groupby(["kind", "stratum", "threshold"])["share"]:
        if len(each) > 1:
            found[key] = each  # type: ignore[index]
    return found


def over_documents(
    drawn: Replicates, own: Sequence[Line], thresholds: np.ndarray
) -> Iterator[Line]:
    """An edge's share once more, with the percentile interval of its document bootstrap.

    Args:
        drawn: the bootstrap; without replicates there is nothing to say.
        own: the edge's own shares.
        thresholds: (T,) τ.
    """
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    for line in own:
        found = [drawn.get((*line.stratum, tau), pd.Series(dtype=float)) for tau in thresholds]
        if any(map(len, found)):
            low, high = np.array([each.quantile(ends).to_numpy() for each in found]).T
            yield line._replace(control="bootstrap", low=low, high=high)
