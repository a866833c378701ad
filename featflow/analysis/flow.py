"""Stage `flow`: which features persist into a child, disappear, or emerge in it.

Per edge of the lineage at the threshold τ (definitions in `fates.py` and docs/methods.md): a parent
feature persists if it is matched, else it disappears; a child feature is traced if it is matched
in *any* of its parents, else it emerges. Every share stands beside the ceiling that reseeds give.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featflow.analysis.ceilings import borrowed, ceilings
from featflow.analysis.chains import chain_counts, chain_table
from featflow.analysis.fates import Comparison, compare
from featflow.analysis.tables import Edge, edge_table, feature_table, strata_table, traced
from featflow.core.artifacts import load_tensors, save_table
from featflow.core.provenance import Provenance
from featflow.core.runtime import log
from featflow.core.slices import FlowPair, FlowSlice


def run(
    cfg: FlowSlice,
    *,
    matches: list[Path],
    matrices: list[Path],
    features: Path,
    edges: Path,
    strata: Path,
    chains: Path,
) -> None:
    """Count which features persist, disappear and emerge.

    Args:
        matches: matches.parquet of each pair, in the slice's order.
        matrices: matrix.safetensors of each pair, in the same order.
        features: where to write the fate of every feature on every edge.
        edges: where to write the counts of every edge, with their ceilings.
        strata: where to write them by look-up and density stratum.
        chains: where to write what links lead from the roots to the last models.
    """
    provenance = Provenance("flow", cfg, [*matches, *matrices])
    files = list(zip(cfg.pairs, matches, matrices, strict=True))
    pairs = {pair: compare(table, matrix, cfg.flow) for pair, table, matrix in files}
    lineage, spans = _by_models(pairs, "edge"), _by_models(pairs, "span")
    controls = {(pair.a, pair.b): found for pair, found in pairs.items() if pair.role == "control"}
    known = ceilings((_model(a), pair) for (a, _), pair in controls.items())
    found = traced(lineage)

    def end_to_end(root: str, model: str) -> np.ndarray | None:
        ends = f"{root}.{cfg.sae}", f"{model}.{cfg.sae}"
        for pair, _, matrix in files:
            if (pair.a, pair.b) == ends:
                r = load_tensors(matrix)
                return r.get("r_b", r["r"])
        return None

    counted = edge_table(lineage, found, known, cfg)
    paths = chain_table(lineage, spans, end_to_end)
    save_table(features, feature_table(lineage, found), provenance)
    save_table(edges, counted, provenance)
    save_table(strata, strata_table(lineage, found, controls, known), provenance)
    save_table(chains, paths, provenance)
    for line in [*table(counted).splitlines(), *chain_lines(paths)]:
        log.info(line)


def _model(dictionary: str) -> str:
    return dictionary.split(".")[0]


def _by_models(pairs: dict[FlowPair, Comparison], role: str) -> dict[Edge, Comparison]:
    return {(_model(p.a), _model(p.b)): found for p, found in pairs.items() if p.role == role}


def table(edges: pd.DataFrame) -> str:
    """edges.csv as text for a terminal, under 100 columns, with what its columns mean.

    A share of features stands beside its ceiling: what a second seed of the same SAE recovers.
    """
    if edges.empty:
        return "flow: no edge of the lineage has this SAE on both sides"
    first = edges.iloc[0]
    lines = pd.DataFrame([_line(row) for row in edges.to_dict("records")])
    return (
        f"Flow of features at r > {first['threshold']:g}, scope {first['scope']}\n\n"
        f"{lines.to_string(index=False)}\n\n"
        "persist: parent features with a child feature above the threshold; ceiling: the same\n"
        "share for a second seed of the same SAE; of it: share / ceiling; emerge: child features\n"
        "without a partner in any parent; 1:1: the largest one-to-one matching. Shares leave out\n"
        "silent and rare features, counted parent/child; rare: under "
        f"{first['min_firings']:,} firings or {first['min_documents']:,} documents."
        f"{_stars(edges)}"
    )


def _stars(edges: pd.DataFrame) -> str:
    others = [row["ceiling_of"] for row in edges.to_dict("records") if _is_borrowed(row)]
    return f"\n*: no reseed of either model; the ceiling of {others[0]}." if others else ""


def _is_borrowed(row: dict[Hashable, Any]) -> bool:
    return borrowed(row["edge"], row["ceiling_of"])


def _line(row: dict[Hashable, Any]) -> dict[str, str]:
    return {
        "edge": row["edge"],
        "parent": f"{row['parent_features']:,}",
        "persist": f"{row['persisting']:,} {percent(row['share'])}",
        "ceiling": percent(row["ceiling"]) + ("*" if _is_borrowed(row) else ""),
        "of it": percent(row["share_of_ceiling"]),
        "child": f"{row['child_features']:,}",
        "emerge": f"{row['emerging']:,} {percent(1 - row['traced_share'])}",
        "silent": f"{row['parent_silent']:,}/{row['child_silent']:,}",
        "rare": f"{row['parent_rare']:,}/{row['child_rare']:,}",
        "1:1": f"{row['one_to_one']:,}",
    }


def percent(share: float) -> str:
    """A share as text, a dash where it is not known."""
    return "-" if pd.isna(share) else f"{share:.1%}"


def chain_lines(chains: pd.DataFrame) -> list[str]:
    """The chain counts as text."""
    return [
        f"{row['model']}: {row['features']:,} of {row['of']:,} {row['statement']}"
        for row in chain_counts(chains).to_dict("records")
    ]
