"""The share of features that another seed of the same SAE finds again: what a share can reach.

A pair of seeds is judged by the same rule as an edge of the lineage. The ceiling of a model is the
mean, over all unordered pairs of its seeds and both directions of each, of the share that is found;
that of an edge is c = √(c_parent · c_child), since either dictionary misses some of what it could
have found. An edge of which neither model has reseeds borrows the ceiling of those that have.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from featflow.analysis.persistence import Bests, Tally, pooled, tally
from featflow.analysis.ratios import ratios
from featflow.features.strata import Stratum


class Ceiling(NamedTuple):
    """At every threshold; (thresholds,) each."""

    share: np.ndarray
    found: np.ndarray
    """Features that are found, over all of the pairs and directions that gave the share."""
    fragile: np.ndarray
    """Those of them that hang on a handful of rows (analysis/fragile.py)."""

    @property
    def fragile_share(self) -> np.ndarray:
        """fragile / found; NaN where none is found."""
        return ratios(self.fragile, self.found)


Ceilings = dict[str, dict[Stratum, Ceiling]]
"""Of each model that has reseeds, by stratum."""


def ceilings(
    bests: Bests, seeds: Mapping[str, list[str]], domain: str, thresholds: np.ndarray
) -> Ceilings:
    """The ceiling of each model that has reseeds and was compared with itself on a domain.

    Args:
        bests: the tables of stage shares.
        seeds: the SAE and its reseeds, of every model.
        domain: where the features are judged.
        thresholds: (T,) τ.
    """
    known: Ceilings = {}
    for model, saes in seeds.items():
        every: dict[Stratum, list[Tally]] = {}
        for a, b in combinations(saes, 2):
            for end in "ab":
                side = bests.find(model, model, (a, b, domain, end))
                for stratum, counted in tally(side, thresholds).items() if side else ():
                    if counted.features.all():
                        every.setdefault(stratum, []).append(counted)
        if every:
            known[model] = {stratum: _mean(tallies) for stratum, tallies in every.items()}
    return known


def _mean(tallies: list[Tally]) -> Ceiling:
    return Ceiling(np.mean([each.share for each in tallies], axis=0), *pooled(tallies))


def ceiling(
    parent: str, child: str, stratum: Stratum, known: Mapping[str, Mapping[Stratum, Ceiling]]
) -> tuple[Ceiling, str] | None:
    """The ceiling of an edge, and the models whose reseeds gave it ("parent+child").

    √(c_parent · c_child) where both have reseeds, else that of the one that has; where neither has,
    the geometric mean of all models that have; None where none has.
    """
    having = [model for model in known if stratum in known[model]]
    by = [model for model in (parent, child) if model in having] or having
    if not by:
        return None
    values = [known[model][stratum] for model in by]
    share = np.prod([each.share for each in values], axis=0) ** (1 / len(values))
    found, fragile = (np.sum(each, axis=0) for each in list(zip(*values, strict=True))[1:])
    return Ceiling(share, found, fragile), "+".join(by)
