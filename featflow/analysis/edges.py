"""Stage `edges`: every share beside its controls, in one table for readers.

The counts are those of stage flow; what they stand beside comes from controls.parquet, at the
flow's threshold and on its scope. A share alone says nothing (docs/controls.md).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featflow.analysis.edge_tables import ControlRows, edge_table, l0_of, strata_table
from featflow.analysis.quality import each_once, remarks
from featflow.analysis.specific import SPECIFIC, counted
from featflow.analysis.terminal import table as text
from featflow.artifacts.io import load_json, load_table, save_table
from featflow.artifacts.provenance import Provenance
from featflow.plan.stages.analysis import EdgesSlice
from featflow.runtime.log import log

TOLERANCE = 0.005
"""Of a feature that is nobody's listed partner, stage flow knows the counts on its own scope
alone (analysis/fates.py), stage shares those on every scope: this much may come of it."""


FATES = ("edge", "role", "feature", "fate", "lookup", "density", "firings", "documents")
"""What is read of features.parquet."""


def run(
    cfg: EdgesSlice,
    *,
    counts: Path,
    features: Path,
    controls: Path,
    summaries: list[Path],
    metrics: list[Path],
    edges: Path,
    typed: Path,
    strata: Path,
    scaling: Sequence[Path] = (),
) -> None:
    """Put every share beside its controls.

    Args:
        counts: counts.csv of stage flow.
        features: the fate of every feature.
        controls: controls.parquet.
        summaries: of each of `cfg.models`.
        metrics: of each of `cfg.saes`.
        edges: edges.csv.
        typed: edges.parquet: the same, with the types of its columns and its provenance.
        strata: strata.csv.
        scaling: latent scaling of each of `cfg.scaled`.

    Raises:
        ArtifactError: when a table cannot be read, or lacks a column.
    """
    provenance = Provenance(
        "edges", cfg, [counts, features, controls, *summaries, *metrics, *scaling]
    )
    beside = ControlRows(load_table(controls), cfg)
    l0 = l0_of(cfg.models, [load_table(file, "density") for file in summaries])
    fates = load_table(features, *FATES)
    names = ["-".join(edge) for edge in cfg.edges]
    measured = [load_json(file) for file in metrics]
    doubts = remarks(names, cfg.saes, measured, fates, cfg.sae, cfg.flow)
    children = fates[fates["role"] == "child"]
    specific = {
        (name := "-".join(edge)): counted(
            children[children["edge"] == name], load_table(file, "feature", *SPECIFIC)
        )
        for edge, file in zip(cfg.scaled, scaling, strict=True)
    }
    table = edge_table(load_table(counts), beside, l0, doubts, specific)
    save_table(typed, table, provenance)
    save_table(edges, table, provenance)
    save_table(strata, strata_table(fates, beside), provenance)
    for line in text(table).splitlines():
        log.info(line)
    for remark in each_once(table.to_dict("records")):
        log.warning("%s", remark)
    _compare(table, beside)


def _compare(table: pd.DataFrame, beside: ControlRows) -> None:
    """Say where the share of stage flow is not the one that its controls were made like."""
    for row in table.to_dict("records"):
        other = beside.share(row["edge"], "edge")
        if abs(row["share"] - other) > TOLERANCE:
            log.warning(
                "%s: %.1f %% persist by counts.csv, %.1f %% by controls.parquet",
                row["edge"],
                100 * row["share"],
                100 * other,
            )
