"""Features by kind: token look-ups apart from contextual ones, frequent apart from seldom.

Every share is also given by stratum, since look-ups are found again more often than contextual
features are, and a total is mostly a statement about their mix.
"""

import numpy as np

from featflow.analysis.fates import Side

Stratum = tuple[str, str]
"""Its kind (`lookup`, `density`, or `all`) and its name."""

ALL: Stratum = ("all", "all")

LOOKUPS = ("contextual", "between", "lookup")
"""lookup_r ≤ 0.5, up to 0.8, and above: how well its mean activation per token predicts it."""

UNKNOWN = "unknown"
"""The stratum of features whose lookup_r or firing rate is undefined."""

DENSITIES = ("<-4", "-4..-3", "-3..-2", "-2..-1", ">=-1")
"""Decades of the firing rate, log10; the lower end belongs to the bin."""

STRATA: tuple[Stratum, ...] = (
    ALL,
    *(("lookup", name) for name in (*reversed(LOOKUPS), UNKNOWN)),
    *(("density", name) for name in (*DENSITIES, UNKNOWN)),
)


def lookup(lookup_r: np.ndarray) -> np.ndarray:
    """The look-up stratum of each feature."""
    return _named(LOOKUPS, np.searchsorted([0.5, 0.8], lookup_r, side="left"), lookup_r)


def density(rate: np.ndarray) -> np.ndarray:
    """The density bin of each feature, of its firing rate."""
    return _named(DENSITIES, np.searchsorted([1e-4, 1e-3, 1e-2, 1e-1], rate, side="right"), rate)


def _named(names: tuple[str, ...], index: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.array([*names, UNKNOWN])[np.where(np.isnan(value), len(names), index)]


def counts(side: Side, found: np.ndarray) -> dict[Stratum, tuple[int, int]]:
    """For each stratum that has any: its living features, and those of them that are `found`."""
    where = {
        "all": np.full(len(side.firings), "all"),
        "lookup": lookup(side.lookup_r),
        "density": density(side.density),
    }
    table = {}
    for kind, name in STRATA:
        inside = (where[kind] == name) & side.living
        if inside.any() or kind == "all":
            table[kind, name] = int(inside.sum()), int((inside & found).sum())
    return table
