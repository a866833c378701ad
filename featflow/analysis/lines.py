"""The rows of controls.parquet and domains.parquet: a share and what it was counted from."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.ceilings import Ceiling, Ceilings, ceiling
from featflow.analysis.fragile import MANY, said
from featflow.analysis.judged import Bests, Judged, tally
from featflow.analysis.tables import Edge
from featflow.features.strata import STRATA, Stratum
from featflow.plan.stages.analysis import ControlsSlice, EdgeArm

COLUMNS = {
    "edge": "str",
    "domain": "str",
    "control": "str",
    "threshold": "float64",
    "share": "float64",
    "low": "float64",
    "high": "float64",
    "kind": "str",
    "stratum": "str",
    "features": "Int64",
    "found": "Int64",
    "by": "str",
    "fragile": "Int64",
    "fragile_share": "float64",
}


class Line(NamedTuple):
    """A share of one stratum at every threshold; arrays have shape (thresholds,)."""

    control: str
    by: str
    """What gave it."""
    stratum: Stratum
    share: np.ndarray
    features: np.ndarray | None = None
    """None: it is not one count, but made from several shares."""
    found: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    fragile: np.ndarray | None = None
    """Of those that are found the ones that hang on a handful of rows (analysis/fragile.py)."""
    fragile_share: np.ndarray | None = None
    """Their part of all that is found; None: not known."""


"""What the stages are told of the lineage."""


def counted(
    control: str,
    by: str,
    side: Judged | None,
    thresholds: np.ndarray,
    given: np.ndarray | None = None,
) -> list[Line]:
    """The shares of one dictionary's features, by stratum; none without the dictionary."""
    return [
        Line(
            control,
            by,
            stratum,
            counts.share,
            counts.features,
            counts.found,
            fragile=counts.fragile,
            fragile_share=counts.fragile_share,
        )
        for stratum, counts in (tally(side, thresholds, given) if side else {}).items()
    ]


def standing(
    cfg: ControlsSlice,
    bests: Bests,
    edge: Edge,
    domain: str,
    known: Ceilings,
    thresholds: np.ndarray,
) -> Iterator[Line]:
    """An edge's share, its ceilings and its arms, on one domain.

    Args:
        cfg: the SAE, and the arms of all edges.
        bests: the tables of stage shares.
        edge: parent and child.
        domain: where features are judged.
        known: the ceilings there.
        thresholds: (T,) τ.
    """
    parent, child = edge
    own = bests.find(parent, child, (cfg.sae, cfg.sae, domain, "a"))
    yield from counted("edge", f"{parent}.{cfg.sae}-{child}.{cfg.sae}", own, thresholds)
    for stratum in STRATA:
        if (top := ceiling(parent, child, stratum, known)) is not None:
            yield _ceiling("ceiling", top[1], stratum, top[0])
        for control, model in (("ceiling_parent", parent), ("ceiling_child", child)):
            if stratum in known.get(model, {}):
                yield _ceiling(control, model, stratum, known[model][stratum])
    for arm in arms_of(cfg, edge):
        (a, sae), (b, other) = arm.a.split("."), arm.b.split(".")
        side = bests.find(a, b, (sae, other, domain, "a"))
        yield from counted(arm.kind, f"{arm.a}-{arm.b}", side, thresholds)


def _ceiling(control: str, by: str, stratum: Stratum, it: Ceiling) -> Line:
    return Line(control, by, stratum, it.share, fragile_share=it.fragile_share)


def arms_of(cfg: ControlsSlice, edge: Edge) -> list[EdgeArm]:
    """The controls of an edge."""
    return [arm for arm in cfg.arms if (arm.parent, arm.child) == tuple(edge)]


def expanded(
    edge: Edge, domain: str, thresholds: np.ndarray, lines: Iterable[Line]
) -> pd.DataFrame:
    """A row a threshold of each line."""
    size, parts = len(thresholds), []
    for line in lines:
        kind, stratum = line.stratum
        counts = {
            name: pd.array([pd.NA] * size if values is None else values, dtype="Int64")
            for name, values in (
                ("features", line.features),
                ("found", line.found),
                ("fragile", line.fragile),
            )
        }
        ends = {
            name: np.full(size, np.nan) if values is None else values
            for name, values in (
                ("low", line.low),
                ("high", line.high),
                ("fragile_share", line.fragile_share),
            )
        }
        parts.append(
            pd.DataFrame(
                {
                    "edge": "-".join(edge),
                    "domain": domain,
                    "control": line.control,
                    "threshold": thresholds,
                    "share": line.share,
                    **ends,
                    "kind": kind,
                    "stratum": stratum,
                    **counts,
                    "by": line.by,
                }
            )
        )
    return joined(parts)


def fragile_lines(table: pd.DataFrame, threshold: float) -> list[str]:
    """What of the shares over all features hangs on a handful of rows, where that is over 5 %.

    Args:
        table: controls.parquet, domains.parquet, or rows of both.
        threshold: τ.
    """
    rows = table[(table["threshold"] == threshold) & (table["kind"] == "all")]
    rows = rows[(rows["fragile_share"] > MANY) & (rows["control"] != "bootstrap")]  # as of `edge`
    return [
        f"{row['edge']} on {row['domain']}: "
        + said({f"what {row['control']} finds ({row['by']})": row["fragile_share"]}, threshold)
        for row in rows.to_dict("records")
    ]


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables below one another, with the types of their columns even if there is no row."""
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return table.reindex(columns=list(COLUMNS)).astype(COLUMNS)
