"""The tables of stage `flow`: counts by edge, the fate of every feature, shares by stratum."""

import numpy as np
import pandas as pd

from featflow.analysis.ceilings import ceiling, ratio
from featflow.analysis.fates import Comparison, Side
from featflow.analysis.strata import ALL, Stratum, counts, density, lookup
from featflow.core.slices import FlowSlice

Edge = tuple[str, str]
"""Parent and child model."""

Ceilings = dict[str, dict[Stratum, float]]

EDGE_COLUMNS = [
    *("edge", "threshold", "parent_features", "parent_silent", "parent_rare"),
    *("persisting", "disappearing", "child_features", "child_silent", "child_rare"),
    *("traced", "emerging", "mutual", "one_to_one"),
    *("share", "ceiling", "share_of_ceiling", "traced_share", "traced_here", "ceiling_of"),
    *("scope", "min_firings", "min_documents"),
]

STRATA_COLUMNS = [
    *("edge", "role", "kind", "stratum", "features", "persisting"),
    *("share", "ceiling", "share_of_ceiling"),
]

FEATURE_COLUMNS = {
    "edge": "str",
    "role": "str",
    "model": "str",
    "feature": "int32",
    "fate": "str",
    "partner": "Int32",
    "r": "float32",
    "lookup_r": "float32",
    "lookup": "str",
    "density": "str",
    "firings": "int64",
    "documents": "int64",
}


def traced(edges: dict[Edge, Comparison]) -> dict[str, np.ndarray]:
    """Which features of each child have a partner above the threshold in any of its parents."""
    found: dict[str, np.ndarray] = {}
    for (_, child), pair in edges.items():
        found[child] = found.get(child, False) | pair.b.matched
    return found


def edge_table(
    edges: dict[Edge, Comparison],
    found: dict[str, np.ndarray],
    known: Ceilings,
    cfg: FlowSlice,
) -> pd.DataFrame:
    """edges.csv: one row an edge, with the settings that its numbers depend on.

    Args:
        edges: the comparisons.
        found: the traced features of each child, over all its parents.
        known: the ceilings of the models that have reseeds.
        cfg: the threshold, the scope and what is rare.
    """
    rows = []
    for (parent, child), pair in edges.items():
        a, b = pair.a, pair.b
        living, persisting = int(a.living.sum()), int(a.matched.sum())
        child_living, child_traced = int(b.living.sum()), int((b.living & found[child]).sum())
        top, by = ceiling(parent, child, ALL, known)
        share = ratio(persisting, living)
        values = (
            *(f"{parent}-{child}", cfg.flow.threshold),
            *(living, int(a.silent.sum()), int(a.rare.sum())),
            *(persisting, living - persisting),
            *(child_living, int(b.silent.sum()), int(b.rare.sum())),
            *(child_traced, child_living - child_traced),
            *(pair.mutual(), pair.one_to_one()),
            *(share, top, ratio(share, top)),
            *(ratio(child_traced, child_living), int(b.matched.sum()), by),
            *(cfg.flow.scope, cfg.flow.min_firings, cfg.flow.min_documents),
        )
        rows.append(dict(zip(EDGE_COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=EDGE_COLUMNS)


def feature_table(edges: dict[Edge, Comparison], found: dict[str, np.ndarray]) -> pd.DataFrame:
    """features.parquet: the fate of each feature on each edge, from either end."""
    tables = []
    for (parent, child), pair in edges.items():
        ends = (
            ("parent", parent, pair.a, pair.a.matched, "disappearing"),
            ("child", child, pair.b, found[child], "emerging"),
        )
        for role, model, side, kept, gone in ends:
            rows = _fates(side, kept, gone)
            tables.append(rows.assign(edge=f"{parent}-{child}", role=role, model=model))
    table = pd.concat(tables) if tables else pd.DataFrame(columns=list(FEATURE_COLUMNS))
    return table.reindex(columns=list(FEATURE_COLUMNS)).astype(FEATURE_COLUMNS)


def _fates(side: Side, kept: np.ndarray, gone: str) -> pd.DataFrame:
    fate = np.select([side.silent, side.rare, kept], ["silent", "rare", "persisting"], gone)
    partner = pd.array(side.partner, dtype="Int32")
    partner[side.partner < 0] = pd.NA
    return pd.DataFrame(
        {
            "feature": np.arange(len(fate)),
            "fate": fate,
            "partner": partner,
            "r": side.r,
            "lookup_r": side.lookup_r,
            "lookup": lookup(side.lookup_r),
            "density": density(side.density),
            "firings": side.firings,
            "documents": side.documents,
        }
    )


def strata_table(
    edges: dict[Edge, Comparison],
    found: dict[str, np.ndarray],
    controls: dict[Edge, Comparison],
    known: Ceilings,
) -> pd.DataFrame:
    """strata.csv: the same shares by stratum; of a reseed pair, a row for either direction."""
    rows = []
    for (parent, child), pair in edges.items():
        for role, side, kept in (
            ("parent", pair.a, pair.a.matched),
            ("child", pair.b, found[child]),
        ):
            for stratum, (features, persisting) in counts(side, kept).items():
                top, _ = ceiling(parent, child, stratum, known)
                share = ratio(persisting, features)
                numbers = (features, persisting, share, top, ratio(share, top))
                rows.append((f"{parent}-{child}", role, *stratum, *numbers))
    for (a, b), pair in controls.items():
        for edge, side in ((f"{a}-{b}", pair.a), (f"{b}-{a}", pair.b)):
            for stratum, (features, persisting) in counts(side, side.matched).items():
                numbers = (features, persisting, ratio(persisting, features), np.nan, np.nan)
                rows.append((edge, "control", *stratum, *numbers))
    return pd.DataFrame(rows, columns=STRATA_COLUMNS)
