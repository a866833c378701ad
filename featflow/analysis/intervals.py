"""How sure a share is: over SAE seeds (a jackknife), over documents (a bootstrap), over both.

A share is taken between one dictionary of the parent and one of the child; either was trained from
one seed of many. With K_a seeds of the parent's SAE and K_b of the child's there are K_a · K_b
shares s_ij, which are not independent: a row has one parent seed in common, a column one child
seed. So whole seeds are left out, not shares (Efron & Stein 1981; Owen 2007, *The pigeonhole
bootstrap*, for the crossed case):

    var(θ) = Σ over both sides of (K − 1) / K · Σ_k (θ_(−k) − θ̄)²

with θ the mean of the grid, θ_(−k) that without seed k, θ̄ their mean. A side with one seed adds
nothing. The interval is θ ± t · √var, t the 97.5 % quantile of Student's t with the degrees of
freedom of Welch & Satterthwaite, K − 1 a side, cut to [0, 1]: how far the share would move
with other seeds of the SAEs.

`together` adds what `jackknife` leaves fixed: the seeds of an end that has one SAE, which is taken
to scatter as the other end's, and the documents. Seeds and documents are drawn independently of one
another, so their variances add (docs/methods.md).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from featflow.analysis.persistence import Bests, Edge, pooled, tally
from featflow.analysis.ratios import ratios
from featflow.artifacts.io import load_table
from featflow.features.strata import Stratum

LEVEL = 0.95
"""Of all intervals: how often it should hold what it is about."""


class Interval(NamedTuple):
    """What a share is over seeds, and between what: NaN where that cannot be said."""

    estimate: float
    """The mean of the grid: the interval's centre."""
    low: float
    high: float


def jackknife(shares: np.ndarray) -> Interval:
    """The mean share over seeds, with its 95 % interval.

    It is an interval for the *mean over seeds*, not for the share of one pair of seeds, which
    scatters more and may lie outside. Where one side has a single seed it is an interval for the
    mean over the other side's seeds, given that one dictionary: too narrow for a statement about
    both. Interaction between the two seeds counts twice, so the interval is a little too wide
    rather than too narrow.

    Args:
        shares: (K_a, K_b), a row a seed of the parent's SAE, a column a seed of the child's.

    Returns:
        `low` and `high` are NaN where both sides have one seed, or a share is NaN.
    """
    shares = np.asarray(shares, dtype=np.float64)
    return _interval(float(shares.mean()), _parts(shares))


def together(shares: np.ndarray, documents: float) -> Interval:
    """The mean share over seeds, with its 95 % interval over seeds of both ends and documents.

    With K seeds at one end and one SAE at the other, the jackknife gives σ²/K for the end that has
    seeds; the other end, where nothing says how much seeds would do, is taken to have the same σ²
    and adds it whole, since its SAE is a single draw.

    Args:
        shares: (K_a, K_b), a row a seed of the parent's SAE, a column a seed of the child's.
        documents: what the documents add to the variance of the mean: that over the replicates of
            a bootstrap, with these dictionaries; 0: the documents are fixed.

    Returns:
        `low` and `high` are NaN where both sides have one seed, or a share is NaN.
    """
    shares = np.asarray(shares, dtype=np.float64)
    parts = _parts(shares)
    if 1 in shares.shape:
        parts = [(part * (1 + shares.size), freedom) for part, freedom in parts]
    return _interval(float(shares.mean()), parts, documents)


def _parts(shares: np.ndarray) -> list[tuple[float, int]]:
    """What each side with several seeds adds to the variance, with its degrees of freedom."""
    parts = [(variance(shares, axis), shares.shape[axis] - 1) for axis in (0, 1)]
    return [(part, freedom) for part, freedom in parts if freedom]


def _interval(mean: float, parts: list[tuple[float, int]], known: float = 0.0) -> Interval:
    """Args: the estimate; the parts of its variance that rest on few seeds; the part that does not.

    The latter is estimated from hundreds of replicates: it has no degrees of freedom to count, and
    so more certainty about the sum. It never makes an interval narrower than the seeds' own.
    """
    if not parts or np.isnan(mean):
        return Interval(mean, np.nan, np.nan)
    half = max(_half(parts, 0.0), _half(parts, known))
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


def _half(parts: list[tuple[float, int]], known: float) -> float:
    """Half the width: t √var, with the degrees of freedom of Welch & Satterthwaite."""
    total = known + sum(part for part, _ in parts)
    uncertain = sum(part**2 / freedom for part, freedom in parts)
    freedom = total**2 / uncertain if uncertain else np.inf
    return float(stdtrit(freedom, (1 + LEVEL) / 2)) * total**0.5


def variance(shares: np.ndarray, axis: int) -> float:
    """What the seeds along an axis add to the variance of the grid's mean: delete-one jackknife.

    Args:
        shares: (K_a, K_b).
        axis: 0: the parent's seeds, 1: the child's.
    """
    size = shares.shape[axis]
    if size == 1:
        return 0.0
    left = np.array([np.delete(shares, k, axis).mean() for k in range(size)])
    return float((size - 1) / size * np.sum((left - left.mean()) ** 2))


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
    replicates: Replicates,
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


def over_documents(
    drawn: Replicates, stratum: Stratum, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The percentile interval of a document bootstrap, in one stratum.

    Args:
        drawn: the bootstrap.
        stratum: which.
        thresholds: (T,) τ.

    Returns:
        Its low and its high ends, (T,) each; None: it has no replicates there.
    """
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    shares = [drawn.get((*stratum, tau), pd.Series(dtype=float)) for tau in thresholds]
    if not any(map(len, shares)):
        return None
    low, high = np.array([each.quantile(ends).to_numpy() for each in shares]).T
    return low, high
