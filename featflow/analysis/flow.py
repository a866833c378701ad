"""Stage `flow`: which features persist into a child, disappear, or emerge in it.

Per edge of the lineage at the threshold τ (definitions in `fates.py` and docs/methods.md): a parent
feature persists if it is matched, else it disappears; a child feature is traced if it is matched
in *any* of its parents, else it emerges. Every share stands beside the ceiling that reseeds give.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featflow.analysis.ceilings import ceiling, ceilings, ratio
from featflow.analysis.chains import chain_counts, chains
from featflow.analysis.fates import Comparison, Side, compare
from featflow.analysis.strata import ALL, Stratum, counts, density, lookup
from featflow.core.artifacts import load_tensors, save_table
from featflow.core.provenance import Provenance
from featflow.core.runtime import log
from featflow.core.slices import FlowSlice

Edge = tuple[str, str]
"""Parent and child model."""

Ceilings = dict[str, dict[Stratum, float]]

EDGE_COLUMNS = (
    "edge threshold parent_features parent_silent parent_rare persisting disappearing "
    "child_features child_silent child_rare traced emerging mutual one_to_one "
    "share ceiling share_of_ceiling traced_share traced_here ceiling_of "
    "scope min_firings min_documents"
).split()

STRATA_COLUMNS = (
    "edge role kind stratum features persisting share ceiling share_of_ceiling".split()
)

FEATURE_COLUMNS = {
    "edge": "object",
    "role": "object",
    "model": "object",
    "feature": "int32",
    "fate": "object",
    "partner": "Int32",
    "r": "float32",
    "lookup_r": "float32",
    "lookup": "object",
    "density": "object",
    "firings": "int64",
    "documents": "int64",
}


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
    pairs = {
        (pair.role, pair.a, pair.b): compare(table, matrix, cfg.flow)
        for pair, table, matrix in zip(cfg.pairs, matches, matrices, strict=True)
    }
    files = {(pair.a, pair.b): matrix for pair, matrix in zip(cfg.pairs, matrices, strict=True)}
    lineage, spans = _by_models(pairs, "edge"), _by_models(pairs, "span")
    controls = {(a, b): pair for (role, a, b), pair in pairs.items() if role == "control"}
    known = ceilings((_model(a), pair) for (a, _), pair in controls.items())
    found = traced(lineage)

    def end_to_end(root: str, model: str) -> np.ndarray | None:
        file = files.get((f"{root}.{cfg.sae}", f"{model}.{cfg.sae}"))
        if file is None:
            return None
        r = load_tensors(file)
        return r.get("r_b", r["r"])

    table = edge_table(lineage, found, known, cfg)
    paths = chain_table(lineage, spans, end_to_end)
    save_table(features, feature_table(lineage, found), provenance)
    save_table(edges, table, provenance)
    save_table(strata, strata_table(lineage, found, controls, known), provenance)
    save_table(chains, paths, provenance)
    for line in [*table_text(table).splitlines(), *chain_lines(paths)]:
        log.info(line)
