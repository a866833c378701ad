"""The share of features that a second seed of the same SAE finds again: what a share can reach.

A reseed pair is judged by the same rule as an edge of the lineage. The ceiling of a model is the
mean, over its reseed pairs and both directions of each, of the share that persists; that of an edge
is c = √(c_parent · c_child), since either dictionary misses some of what it could have found. An
edge of which neither model has reseeds borrows the ceiling of those models of the study that have.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from featflow.analysis.fates import Comparison, Side
from featflow.analysis.strata import Stratum, counts


def ceilings(controls: Iterable[tuple[str, Comparison]]) -> dict[str, dict[Stratum, float]]:
    """The ceiling of each model that has reseeds, overall and by stratum.

    Args:
        controls: the model of each reseed pair, and the pair.
    """
    shares: dict[str, dict[Stratum, list[float]]] = {}
    for model, pair in controls:
        for side in (pair.a, pair.b):
            for stratum, share in _shares(side).items():
                shares.setdefault(model, {}).setdefault(stratum, []).append(share)
    return {
        model: {stratum: float(np.mean(values)) for stratum, values in strata.items()}
        for model, strata in shares.items()
    }


def _shares(side: Side) -> dict[Stratum, float]:
    """Persisting share by stratum; a stratum without features has none."""
    return {
        stratum: found / features
        for stratum, (features, found) in counts(side, side.matched).items()
        if features
    }


def ceiling(
    parent: str,
    child: str,
    stratum: Stratum,
    known: Mapping[str, Mapping[Stratum, float]],
) -> tuple[float, str | None]:
    """The ceiling of an edge, and the models whose reseeds gave it ("parent+child").

    √(c_parent · c_child) where both have reseeds, else that of the one that has; where neither has,
    the geometric mean of all models that have (see `borrowed`); NaN and None where none has.
    """
    having = [model for model in known if stratum in known[model]]
    by = [model for model in (parent, child) if model in having] or having
    if not by:
        return np.nan, None
    values = [known[model][stratum] for model in by]
    return float(np.prod(values) ** (1 / len(values))), "+".join(by)


def borrowed(edge: str, ceiling_of: str | float | None) -> bool:
    """Whether an edge's ceiling is that of other models than its two.

    Args: `edge` and `ceiling_of` of edges.csv.
    """
    if not isinstance(ceiling_of, str):
        return False
    return not set(edge.split("-")) & set(ceiling_of.split("+"))


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where the whole is 0 or unknown."""
    return part / whole if whole else np.nan
