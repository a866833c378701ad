"""The same edges on each corpus alone, and on each scope."""

from pathlib import Path

import numpy as np

from featflow.artifacts.io import load_table
from featflow.figures.files import matching
from featflow.plan import paths
from featflow.plan.stages.report import ReportSlice
from featflow.report.findings import edge
from featflow.report.tables import UNKNOWN, Cell, Column, Table, count, share, text

SHOWN = ("edge", "ceiling", "unrelated", "random")
"""Controls of domains.parquet that have a column."""


def domains(cfg: ReportSlice, files: list[Path]) -> dict[str, Table]:
    """A table for every SAE that has a flow."""
    found = sorted(matching(files, paths.FLOW_DOMAINS, "sae").items())
    return {sae: _table(cfg, sae, file) for sae, file in found}


def _table(cfg: ReportSlice, sae: str, file: Path) -> Table:
    rows = load_table(file)
    here = np.isclose(rows["threshold"], cfg.flow.threshold) & (rows["kind"] == "all")
    rows = rows[here & rows["control"].isin(SHOWN)]
    columns = [
        *(Column(title, is_text=True) for title in ("edge", "judged on")),
        *(Column(title) for title in ("living", "persist", "share", "ceiling")),
        *(Column(title, "floor") for title in ("unrelated", "random")),
    ]
    cells = []
    for (name, domain), part in rows.groupby(["edge", "domain"], sort=False):
        by = {row["control"]: row for row in part.to_dict("records")}
        own = by.get("edge")
        counts = [count(own[key]) if own else Cell(UNKNOWN) for key in ("features", "found")]
        shares = [share(by[key]["share"]) if key in by else Cell(UNKNOWN) for key in SHOWN]
        cells.append([text(edge(str(name))), text(domain), *counts, *shares])
    note = (
        "The parent’s features on the tokens of one corpus alone, and on the three scopes: home "
        "(what the parent was trained on), intersection, union. A feature lives on a corpus if it "
        "fires often enough there, so the numbers of living features differ."
    )
    title = "What persists, by corpus and scope"
    return Table(f"domains{sae}", title, columns, cells, note)
