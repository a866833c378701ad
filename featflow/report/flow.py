"""Where the features went: the tables of stage `flow`, and what they say in words."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from featflow.analysis.ceilings import borrowed, ratio
from featflow.analysis.chains import chain_counts
from featflow.core import paths
from featflow.core.artifacts import load_table
from featflow.core.slices import ReportSlice
from featflow.figures.flow_words import SCOPES
from featflow.report.files import among
from featflow.report.findings import Row, edge, finding, traces
from featflow.report.tables import (
    UNKNOWN,
    Cell,
    Column,
    Table,
    count,
    share,
    text,
)

LOOKUPS = {"lookup": "token look-ups", "between": "between", "contextual": "contextual"}
ROLES = {
    "parent": "parent’s that persist",
    "child": "child’s that are traced",
    "control": "second seed’s that are found",
}


class Flow(NamedTuple):
    """The flow of one SAE's features."""

    sae: str
    rule: str
    """What counts as the same feature, in words."""
    edges: Table
    lookups: Table
    strata: Table
    chains: Table
    findings: list[str]
    """An edge a sentence, each share beside its ceiling."""


def flows(cfg: ReportSlice, files: list[Path]) -> list[Flow]:
    """The flow of every SAE that has one, in the order of their names."""
    return [
        _flow(cfg, sae, edges, among(files, paths.FLOW_STRATA, "sae")[sae], chains)
        for sae, edges in sorted(among(files, paths.FLOW_EDGES, "sae").items())
        for chains in [among(files, paths.FLOW_CHAINS, "sae")[sae]]
    ]


def _flow(cfg: ReportSlice, sae: str, edges: Path, strata: Path, chains: Path) -> Flow:
    rows, parts = (load_table(file).to_dict("records") for file in (edges, strata))
    counts = chain_counts(load_table(chains)).to_dict("records")
    return Flow(
        sae=sae,
        rule=_rule(cfg),
        edges=_edges(sae, rows),
        lookups=_lookups(sae, rows, parts),
        strata=_strata(sae, parts),
        chains=_chains(sae, counts),
        findings=[*map(finding, rows), *traces(counts)],
    )


def _rule(cfg: ReportSlice) -> str:
    flow = cfg.flow
    return (
        f"Two features are the same if Pearson’s r of their activations on the same tokens is "
        f"above {flow.threshold:g}; scope {flow.scope}: {SCOPES[flow.scope]}. Features that fire "
        f"on fewer than {flow.min_firings:,} tokens or in fewer than {flow.min_documents:,} "
        "documents there are rare, those that fire on none silent; all others are living, and "
        "shares are of these."
    )


def ceiling(row: Row) -> Cell:
    """The ceiling of an edge, with a star where it is that of other models."""
    cell = share(row["ceiling"])
    lent = borrowed(str(row["edge"]), row["ceiling_of"])
    return cell._replace(text=f"{cell.text}*") if lent else cell


def _edges(sae: str, rows: list[Row]) -> Table:
    columns = [
        Column("edge", is_text=True),
        *(Column(name, "parent’s features") for name in ("living", "persist", "share")),
        *(Column(name) for name in ("ceiling", "of ceiling")),
        *(Column(name, "child’s features") for name in ("living", "emerge", "share")),
        *(Column(name, "pairs") for name in ("mutual", "one to one")),
        *(Column(name, "silent, rare") for name in ("parent’s", "child’s")),
    ]
    cells = [
        [
            text(edge(row["edge"])),
            count(row["parent_features"]),
            count(row["persisting"]),
            share(row["share"])._replace(bar=(row["share"], _or_none(row["ceiling"]))),
            ceiling(row),
            share(row["share_of_ceiling"]),
            count(row["child_features"]),
            count(row["emerging"]),
            share(1 - row["traced_share"]),
            count(row["mutual"]),
            count(row["one_to_one"]),
            *(_left_out(row, end) for end in ("parent", "child")),
        ]
        for row in rows
    ]
    return Table(
        f"edges{sae}", "What persists and what emerges, by edge", columns, cells, _said(rows)
    )


def _or_none(value: float) -> float | None:
    return None if pd.isna(value) else value


def _left_out(row: Row, end: str) -> Cell:
    silent, rare = row[f"{end}_silent"], row[f"{end}_rare"]
    return Cell(f"{silent:,}, {rare:,}", key=float(silent + rare))


def _said(rows: list[Row]) -> str:
    lent = [row["ceiling_of"] for row in rows if borrowed(str(row["edge"]), row["ceiling_of"])]
    star = f" *: no second seed of either model; the ceiling of {lent[0]}." if lent else ""
    return (
        "Persist: parent features with a child feature above the threshold. Ceiling: the same "
        "share for a second seed of the same SAE on the same model, the most that a share can be "
        "expected to reach; drawn as the mark on the bar. Of ceiling: share / ceiling. Emerge: "
        "child features without a partner in any parent. Mutual: pairs of best partners; one to "
        "one: the largest matching. Silent and rare features are in no share."
        f"{star}"
    )


def _lookups(sae: str, rows: list[Row], strata: list[Row]) -> Table:
    """The parent's features by how well their token alone predicts them."""
    found = {
        (row["edge"], row["stratum"]): row
        for row in strata
        if row["role"] == "parent" and row["kind"] == "lookup"
    }
    columns = [
        Column("edge", is_text=True),
        *(
            Column(name, group)
            for group in LOOKUPS.values()
            for name in ("features", "persist", "ceiling")
        ),
    ]
    cells = []
    for row in rows:
        line = [text(edge(row["edge"]))]
        for stratum in LOOKUPS:
            part = found.get((row["edge"], stratum))
            line += (
                [count(part["features"]), share(part["share"]), share(part["ceiling"])]
                if part
                else [Cell(UNKNOWN)] * 3
            )
        cells.append(line)
    note = (
        "A look-up’s activation follows from its current token alone (lookup_r > 0.8); a "
        "contextual feature’s hardly does (≤ 0.5). Look-ups are found again more often, so a total "
        "is mostly a statement about the mix. Each ceiling is that of its own stratum."
    )
    return Table(f"lookups{sae}", "What persists, by kind of feature", columns, cells, note)


def _strata(sae: str, strata: list[Row]) -> Table:
    columns = [
        *(Column(name, is_text=True) for name in ("edge", "features", "by", "stratum")),
        *(Column(name) for name in ("living", "found", "share", "ceiling", "share of ceiling")),
    ]
    cells = [
        [
            text(edge(row["edge"])),
            text(ROLES[row["role"]]),
            text(row["kind"]),
            text(row["stratum"]),
            *(count(row[name]) for name in ("features", "persisting")),
            *(share(row[name]) for name in ("share", "ceiling", "share_of_ceiling")),
        ]
        for row in strata
    ]
    note = (
        "Density is log10 of the share of tokens at which a feature fires. Rows of a second seed "
        "are what the ceilings are made of."
    )
    return Table(f"strata{sae}", "Every share by stratum", columns, cells, note)


def _chains(sae: str, counts: list[Row]) -> Table:
    columns = [
        *(Column(name, is_text=True) for name in ("model", "features that")),
        *(Column(name) for name in ("number", "of", "share")),
    ]
    cells = [
        [
            text(row["model"]),
            text(row["statement"]),
            count(row["features"]),
            count(row["of"]),
            share(ratio(row["features"], row["of"])),
        ]
        for row in counts
    ]
    note = (
        "A link is a child feature and a parent feature above the threshold; a chain of links "
        "leads back to a base. Two links at 0.8 guarantee an end-to-end r of only 0.28: r_end of "
        "chains.parquet has it for each feature."
    )
    return Table(
        f"chains{sae}", "Where features come from, over several edges", columns, cells, note
    )
