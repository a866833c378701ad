"""How far a share would move with other seeds of the SAEs: a two-way jackknife.

A share is taken between one dictionary of the parent and one of the child; either was trained from
one seed of many. With K_a seeds of the parent's SAE and K_b of the child's there are K_a · K_b
shares s_ij, which are not independent: a row has one parent seed in common, a column one child
seed. So whole seeds are left out, not shares (Efron & Stein 1981; Owen 2007, *The pigeonhole
bootstrap*, for the crossed case):

    var(θ) = Σ over both sides of (K − 1) / K · Σ_k (θ_(−k) − θ̄)²

with θ the mean of the grid, θ_(−k) that without seed k, θ̄ their mean. A side with one seed adds
nothing. The interval is θ ± t · √var, t the 97.5 % quantile of Student's t with the degrees of
freedom of Welch & Satterthwaite, K − 1 a side, cut to [0, 1].
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

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
    mean = float(shares.mean())
    parts = [(variance(shares, axis), shares.shape[axis] - 1) for axis in (0, 1)]
    parts = [(part, freedom) for part, freedom in parts if freedom]
    if not parts or np.isnan(mean):
        return Interval(mean, np.nan, np.nan)
    total = sum(part for part, _ in parts)
    if total == 0:
        return Interval(mean, mean, mean)
    freedom = total**2 / sum(part**2 / freedom for part, freedom in parts)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * total**0.5
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


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
