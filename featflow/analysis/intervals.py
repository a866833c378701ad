"""How sure a share is: over SAE seeds (a jackknife), and over documents (a bootstrap)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featflow.analysis.best import Bests, parts, pooled, tally
from featflow.analysis.jackknife import LEVEL, jackknife
from featflow.analysis.lines import Line
from featflow.analysis.tables import Edge
from featflow.core.artifacts import load_table
from featflow.features.strata import Stratum


def over_seeds(
    bests: Bests,
    edge: Edge,
    seeds: tuple[Sequence[str], Sequence[str]],
    domain: str,
    thresholds: np.ndarray,
) -> dict[Stratum, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """An edge's share by stratum: its mean over all pairs of seeds, and that mean's interval.

    A stratum in which a pair of seeds has no living feature has none.

    Args:
        bests: the tables of stage shares.
        edge: parent and child.
        seeds: their SAEs.
        domain: where features are judged.
        thresholds: (T,) τ.

    Returns:
        mean, low, high, and of all that is found in the grid the part that hangs on a handful of
        rows (analysis/fragile.py), (T,) each; empty where neither end has a reseed.
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
        mean, low, high = np.array([jackknife(shares[:, :, i]) for i in range(len(thresholds))]).T
        everywhere, fragile = pooled([each[stratum] for row in grid for each in row])
        found[stratum] = mean, low, high, parts(fragile, everywhere)
    return found


def over_documents(file: Path, own: Sequence[Line], thresholds: np.ndarray) -> Iterator[Line]:
    """An edge's share once more, with the percentile interval of its document bootstrap.

    Args:
        file: bootstrap.parquet of the edge; without rows there is nothing to say.
        own: the edge's own shares.
        thresholds: (T,) τ.
    """
    table = load_table(file, "side", "kind", "stratum", "threshold", "share")
    table = table[(table["side"] == "a") & table["share"].notna()]
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    shares = dict(list(table.groupby(["kind", "stratum", "threshold"])["share"]))
    for line in own:
        found = [shares.get((*line.stratum, tau), pd.Series(dtype=float)) for tau in thresholds]
        if any(map(len, found)):
            low, high = np.array([each.quantile(ends).to_numpy() for each in found]).T
            yield line._replace(control="bootstrap", low=low, high=high)
