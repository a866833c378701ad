"""The tables of stage `flow`: counts by edge, and the fate of every feature."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.fates import Comparison, Side
from featflow.analysis.ratios import ratio
from featflow.features.strata import density, lookup
from featflow.plan.stages.analysis import FlowSlice

Edge = tuple[str, str]
"""Parent and child model."""

COUNT_COLUMNS = [
    "edge",
    "threshold",
    "parent_features",
    "parent_silent",
    "parent_rare",
    "persisting",
    "disappearing",
    "child_features",
    "child_silent",
    "child_rare",
    "traced",
    "emerging",
    "mutual",
    "one_to_one",
    "share",
    "traced_share",
    "traced_here",
    "scope",
    "min_firings",
    "min_documents",
    "fragile",
    "fragile_share",
    "traced_fragile",
    "traced_fragile_share",
    "persisting_anywhere",
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

    matched: np.ndarray
    """Above the threshold."""
    fragile: np.ndarray
    """Matched, but in no parent without the rows that contribute most to the match."""


def traced(edges: dict[Edge, Comparison]) -> dict[str, Traced]:
    """Which features of each child have a partner above the threshold in any of its parents."""
    matched: dict[str, np.ndarray] = {}
    sure: dict[str, np.ndarray] = {}
    for (_, child), pair in edges.items():
        matched[child] = matched.get(child, False) | pair.b.matched
        sure[child] = sure.get(child, False) | (pair.b.matched & ~pair.b.fragile)
    return {child: Traced(of_child, of_child & ~sure[child]) for child, of_child in matched.items()}


def persisting_anywhere(edges: dict[Edge, Comparison]) -> dict[str, np.ndarray]:
    """Which features of each parent have a partner above the threshold in any of its children."""
    matched: dict[str, np.ndarray] = {}
    for (parent, _), pair in edges.items():
        matched[parent] = matched.get(parent, False) | pair.a.matched
    return matched


def count_table(
    edges: dict[Edge, Comparison], in_parents: dict[str, Traced], cfg: FlowSlice
) -> pd.DataFrame:
    """counts.csv: one row an edge, with the settings that its numbers depend on.

    Args:
        edges: the comparisons.
        in_parents: the traced features of each child, over all its parents.
        cfg: the threshold, the scope and what is rare.
    """
    rows, anywhere = [], persisting_anywhere(edges)
    for (parent, child), pair in edges.items():
        a, b = pair.a, pair.b
        alive, persisting = int(a.alive.sum()), int(a.matched.sum())
        child_alive = int(b.alive.sum())
        child_traced, child_fragile = (int((b.alive & of).sum()) for of in in_parents[child])
        fragile = int(a.fragile.sum())
        rows.append(
            {
                "edge": f"{parent}-{child}",
                "threshold": cfg.flow.threshold,
                "parent_features": alive,
                "parent_silent": int(a.silent.sum()),
                "parent_rare": int(a.rare.sum()),
                "persisting": persisting,
                "disappearing": alive - persisting,
                "child_features": child_alive,
                "child_silent": int(b.silent.sum()),
                "child_rare": int(b.rare.sum()),
                "traced": child_traced,
                "emerging": child_alive - child_traced,
                "mutual": pair.mutual(),
                "one_to_one": pair.one_to_one(),
                "share": ratio(persisting, alive),
                "traced_share": ratio(child_traced, child_alive),
                "traced_here": int(b.matched.sum()),
                "scope": cfg.flow.scope,
                "min_firings": cfg.flow.min_firings,
                "min_documents": cfg.flow.min_documents,
                "fragile": fragile,
                "fragile_share": ratio(fragile, persisting),
                "traced_fragile": child_fragile,
                "traced_fragile_share": ratio(child_fragile, child_traced),
                "persisting_anywhere": int(anywhere[parent].sum()),
            }
        )
    return pd.DataFrame(rows, columns=COUNT_COLUMNS)


def feature_table(edges: dict[Edge, Comparison], in_parents: dict[str, Traced]) -> pd.DataFrame:
    """features.parquet: the fate of each feature on each edge, from either end."""
    tables = []
    for (parent, child), pair in edges.items():
        ends = (
            ("parent", parent, pair.a, pair.a.matched, "disappearing"),
            ("child", child, pair.b, in_parents[child].matched, "emerging"),
        )
        for role, model, side, persisting, gone in ends:
            rows = _fates(side, persisting, gone)
            tables.append(rows.assign(edge=f"{parent}-{child}", role=role, model=model))
    table = pd.concat(tables) if tables else pd.DataFrame(columns=list(FEATURE_COLUMNS))
    return table.reindex(columns=list(FEATURE_COLUMNS)).astype(FEATURE_COLUMNS)


def _fates(side: Side, persisting: np.ndarray, gone: str) -> pd.DataFrame:
    fate = np.select([side.silent, side.rare, persisting], ["silent", "rare", "persisting"], gone)
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
