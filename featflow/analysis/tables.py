"""The tables of stage `flow`: counts by edge, and the fate of every feature."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.fates import Comparison, Side
from featflow.analysis.ratios import ratio
from featflow.features.strata import density, lookup
from featflow.plan.slices import FlowSlice

Edge = tuple[str, str]
"""Parent and child model."""

COUNT_COLUMNS = [
    *("edge", "threshold", "parent_features", "parent_silent", "parent_rare"),
    *("persisting", "disappearing", "child_features", "child_silent", "child_rare"),
    *("traced", "emerging", "mutual", "one_to_one", "share", "traced_share", "traced_here"),
    *("scope", "min_firings", "min_documents"),
    *("fragile", "fragile_share", "traced_fragile", "traced_fragile_share", "persisting_anywhere"),
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
    "r_trimmed": "float32",
}


class Traced(NamedTuple):
    """The features of a child that have a partner in any of its parents; (m,) bool each."""

    found: np.ndarray
    """Above the threshold."""
    fragile: np.ndarray
    """Found, but in no parent without the rows that contribute most to the match."""


def traced(edges: dict[Edge, Comparison]) -> dict[str, Traced]:
    """Which features of each child have a partner above the threshold in any of its parents."""
    found: dict[str, np.ndarray] = {}
    sure: dict[str, np.ndarray] = {}
    for (_, child), pair in edges.items():
        found[child] = found.get(child, False) | pair.b.matched
        sure[child] = sure.get(child, False) | (pair.b.matched & ~pair.b.fragile)
    return {child: Traced(each, each & ~sure[child]) for child, each in found.items()}


def kept(edges: dict[Edge, Comparison]) -> dict[str, np.ndarray]:
    """Which features of each parent have a partner above the threshold in any of its children."""
    found: dict[str, np.ndarray] = {}
    for (parent, _), pair in edges.items():
        found[parent] = found.get(parent, False) | pair.a.matched
    return found


def count_table(
    edges: dict[Edge, Comparison], found: dict[str, Traced], cfg: FlowSlice
) -> pd.DataFrame:
    """counts.csv: one row an edge, with the settings that its numbers depend on.

    Args:
        edges: the comparisons.
        found: the traced features of each child, over all its parents.
        cfg: the threshold, the scope and what is rare.
    """
    rows, anywhere = [], kept(edges)
    for (parent, child), pair in edges.items():
        a, b = pair.a, pair.b
        alive, persisting = int(a.alive.sum()), int(a.matched.sum())
        child_alive = int(b.alive.sum())
        child_traced, child_fragile = (int((b.alive & each).sum()) for each in found[child])
        fragile = int(a.fragile.sum())
        values = (
            *(f"{parent}-{child}", cfg.flow.threshold),
            *(alive, int(a.silent.sum()), int(a.rare.sum())),
            *(persisting, alive - persisting),
            *(child_alive, int(b.silent.sum()), int(b.rare.sum())),
            *(child_traced, child_alive - child_traced),
            *(pair.mutual(), pair.one_to_one()),
            *(ratio(persisting, alive), ratio(child_traced, child_alive)),
            *(int(b.matched.sum()), cfg.flow.scope),
            *(cfg.flow.min_firings, cfg.flow.min_documents),
            *(fragile, ratio(fragile, persisting)),
            *(child_fragile, ratio(child_fragile, child_traced), int(anywhere[parent].sum())),
        )
        rows.append(dict(zip(COUNT_COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=COUNT_COLUMNS)


def feature_table(edges: dict[Edge, Comparison], found: dict[str, Traced]) -> pd.DataFrame:
    """features.parquet: the fate of each feature on each edge, from either end."""
    tables = []
    for (parent, child), pair in edges.items():
        ends = (
            ("parent", parent, pair.a, pair.a.matched, "disappearing"),
            ("child", child, pair.b, found[child].found, "emerging"),
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
            "r_trimmed": side.r_trimmed,
        }
    )
