"""Stage `flow`: which features persist into a child, disappear, or emerge in it.

Per edge of the lineage at the threshold τ (definitions in `fates.py` and docs/methods.md): a parent
feature persists if it is matched, else it disappears; a child feature is traced if it is matched
in *any* of its parents, else it emerges. What a share is to be held against, stage `controls` says:
a new control never reruns the flow.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.chain_counts import chain_counts
from featflow.analysis.chains import chain_table
from featflow.analysis.fates import Comparison, Side, compare
from featflow.analysis.fragile import warning
from featflow.analysis.ratios import ratio
from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.features.matrix import Matrix, load
from featflow.features.strata import density, lookup
from featflow.plan.stages.analysis import FlowPair, FlowSlice
from featflow.runtime.log import log
from featflow.wording import percent

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


def run(
    cfg: FlowSlice,
    *,
    matches: list[Path],
    matrices: list[Path],
    features: Path,
    counts: Path,
    chains: Path,
) -> None:
    """Count which features persist, disappear and emerge.

    Args:
        matches: matches.parquet of each pair, in the slice's order.
        matrices: matrix.safetensors of each pair, in the same order.
        features: where to write the fate of every feature on every edge.
        counts: where to write the counts of every edge.
        chains: where to write what links lead from the roots to the last models.
    """
    provenance = Provenance("flow", cfg, [*matches, *matrices])
    files = list(zip(cfg.pairs, matches, matrices, strict=True))
    pairs = {pair: compare(table, matrix, cfg.flow) for pair, table, matrix in files}
    lineage, spans = _by_models(pairs, "edge"), _by_models(pairs, "span")
    in_parents = traced(lineage)

    def end_to_end(root: str, model: str) -> Matrix | None:
        ends = f"{root}.{cfg.sae}", f"{model}.{cfg.sae}"
        for pair, _, matrix in files:
            if (pair.a, pair.b) == ends:
                return load(matrix)[1]
        return None

    counted = count_table(lineage, in_parents, cfg)
    paths = chain_table(lineage, spans, end_to_end)
    save_table(features, feature_table(lineage, in_parents), provenance)
    save_table(counts, counted, provenance)
    save_table(chains, paths, provenance)
    for line in [*count_lines(counted), *chain_lines(paths)]:
        log.info(line)
    for row in counted.to_dict("records"):
        if hanging := warning(row):
            log.warning("%s: %s", row["edge"], hanging)


def _by_models(pairs: dict[FlowPair, Comparison], role: str) -> dict[Edge, Comparison]:
    return {
        (p.a.split(".")[0], p.b.split(".")[0]): compared
        for p, compared in pairs.items()
        if p.role == role
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


def count_lines(counts: pd.DataFrame) -> list[str]:
    """counts.csv as text, a line an edge."""
    return [
        f"{row['edge']}: {row['persisting']:,} of {row['parent_features']:,} persist "
        f"({percent(row['share'])}), {row['emerging']:,} of {row['child_features']:,} emerge; "
        f"one to one {row['one_to_one']:,}; silent {row['parent_silent']:,} and "
        f"{row['child_silent']:,}, rare {row['parent_rare']:,} and {row['child_rare']:,}"
        for row in counts.to_dict("records")
    ] or ["no edge of the lineage has this SAE on both sides"]


def chain_lines(chains: pd.DataFrame) -> list[str]:
    """The chain counts as text."""
    return [
        f"{row['model']}: {row['features']:,} of {row['of']:,} {row['statement']}"
        for row in chain_counts(chains).to_dict("records")
    ]
