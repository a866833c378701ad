"""Stage `flow`: which features persist into a child, disappear, or emerge in it.

Per edge of the lineage at the threshold τ (definitions in `fates.py` and docs/methods.md): a parent
feature persists if it is matched, else it disappears; a child feature is traced if it is matched
in *any* of its parents, else it emerges. What a share is to be held against, stage `controls` says:
a new control never reruns the flow.
"""

from pathlib import Path

import pandas as pd

from featflow.analysis.chain_counts import chain_counts
from featflow.analysis.chains import chain_table
from featflow.analysis.fates import Comparison, compare
from featflow.analysis.fragile import warning
from featflow.analysis.tables import Edge, count_table, feature_table, traced
from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.features.matrix import Matrix, load
from featflow.plan.stages.analysis import FlowPair, FlowSlice
from featflow.runtime.log import log
from featflow.wording import percent


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
