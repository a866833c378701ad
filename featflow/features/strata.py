"""Features by kind: token look-ups apart from contextual ones, frequent apart from seldom.

Every share is also given by stratum, since look-ups are found again more often than contextual
features are, and a total is mostly a statement about their mix.
"""

from collections.abc import Iterator

import numpy as np

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


def members(lookup_r: np.ndarray, density_of: np.ndarray) -> Iterator[tuple[Stratum, np.ndarray]]:
    """Which features are in each stratum: (m,) bool, in the order of STRATA.

    Args:
        lookup_r: (m,).
        density_of: (m,) the share of tokens on which each fires.
    """
    where = {"lookup": lookup(lookup_r), "density": density(density_of)}
    for kind, name in STRATA:
        inside = np.ones(len(lookup_r), bool) if (kind, name) == ALL else where[kind] == name
        yield (kind, name), inside


def _named(names: tuple[str, ...], index: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.array([*names, UNKNOWN])[np.where(np.isnan(value), len(names), index)]
