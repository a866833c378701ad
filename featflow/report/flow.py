"""Where the features went: the tables of stage `flow`, and what they say in words."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.chain_counts import chain_counts
from featflow.analysis.edge_words import (
    LETTERS,
    SCOPES,
    has_lent_ceiling,
    has_other_floor,
    share_in_words,
)
from featflow.analysis.fragile import MANY, warning
from featflow.analysis.quality import each_once
from featflow.analysis.ratios import ratio
from featflow.analysis.specific import SPECIFIC
from featflow.artifacts.io import load_table
from featflow.figures.files import matching
from featflow.plan import paths
from featflow.plan.stages.report import ReportSlice
from featflow.report.tables import UNKNOWN, Cell, Column, Table, count, number, share, text
from featflow.wording import page_percent

Row = dict[Hashable, Any]
"""A row of edges.csv or strata.csv, or of the chains' counts."""

LOOKUPS = {"lookup": "token look-ups", "between": "between", "contextual": "contextual"}

ROLES = {
    "parent": "parent’s that persist",
    "child": "child’s that are traced",
}

_UNRELATED = {"its share": "floor_unrelated", "corrected": "corrected_unrelated"}
"""Columns of a table some of whose edges have an unrelated floor."""

DOMAIN_CONTROLS = ("edge", "ceiling", "unrelated", "random")
"""Controls of domains.parquet that have a column."""


class Flow(NamedTuple):
    """The flow of one SAE's features."""

    sae: str
    rule: str
    """What counts as the same feature, in words."""
    edges: Table
    fragile: Table
    specific: Table | None
    """Without latent scaling there is none."""
    lookups: Table
    strata: Table
    chains: Table
    findings: list[str]
    """An edge a sentence, each share beside its floor, its ceiling and its interval."""
    remarks: list[str]
    """What makes these numbers doubtful, a sentence an SAE."""


def flows(cfg: ReportSlice, files: list[Path]) -> list[Flow]:
    """The flow of every SAE that has one, in the order of their names."""
    return [
        _flow(cfg, sae, edges, matching(files, paths.FLOW_STRATA, "sae")[sae], chains)
        for sae, edges in sorted(matching(files, paths.FLOW_EDGES, "sae").items())
        for chains in [matching(files, paths.FLOW_CHAINS, "sae")[sae]]
    ]


def _flow(cfg: ReportSlice, sae: str, edges: Path, strata: Path, chains: Path) -> Flow:
    rows, parts = (load_table(file).to_dict("records") for file in (edges, strata))
    counts = chain_counts(load_table(chains)).to_dict("records")
    return Flow(
        sae=sae,
        rule=_rule(cfg),
        edges=_edges(sae, rows),
        fragile=_fragile(sae, rows),
        specific=_specific(sae, rows),
        lookups=_lookups(sae, rows, parts),
        strata=_strata(sae, parts),
        chains=_chains(sae, counts),
        findings=[
            *(line for row in rows for line in (finding(row), *hanging(row))),
            *traces(counts),
        ],
        remarks=[f"{remark}." for remark in each_once(rows)],
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
    return cell._replace(text=f"{cell.text}*") if has_lent_ceiling(row) else cell


def floor(row: Row) -> Cell:
    """The floor of an edge, and of what kind it is: u, an unrelated lineage; r, random weights."""
    cell = share(row["floor"])
    if pd.isna(row["floor"]):
        return cell
    return cell._replace(text=f"{cell.text} {str(row['floor_of'])[:1]}")


def interval(row: Row) -> Cell:
    """Of a share: s, over the SAE seeds of both ends; d, over documents; sd, over both."""
    if pd.isna(row["low"]):
        return Cell(UNKNOWN)
    low = page_percent(row["low"]).split("\u202f")[0]
    words = f"{low} to {page_percent(row['high'])} {LETTERS[row['interval']]}"
    return Cell(words, key=float(row["low"]))


def l0(row: Row) -> Cell:
    """Features a token in either dictionary; with a mark where they differ by more than 10 %."""
    ends = f"{row['l0_parent']:.1f}, {row['l0_child']:.1f}"
    key = row["l0_child"] / row["l0_parent"] if row["l0_parent"] else 0.0
    differs = bool(row["l0_differs"])
    return Cell(f"{ends} !" if differs else ends, key=float(key), look="own" if differs else "")


def _edges(sae: str, rows: list[Row]) -> Table:
    others = any(map(has_other_floor, rows))
    columns = [
        Column("edge", is_text=True),
        *(Column(name, "parent’s features") for name in ("living", "persist", "share")),
        Column("95 % interval", "held against"),
        *(Column(name, "held against") for name in ("floor", "ceiling", "of ceiling", "corrected")),
        *(Column(name, "by an unrelated floor") for name in _UNRELATED if others),
        *(Column(name, "share of") for name in ("stable", "frozen")),
        *(Column(name, "child’s features") for name in ("living", "emerge", "share")),
        *(Column(name, "pairs") for name in ("mutual", "one to one")),
        *(Column(name, "silent, rare") for name in ("parent’s", "child’s")),
        Column("L0"),
    ]
    cells = [
        [
            text(edge(row["edge"])),
            count(row["parent_features"]),
            count(row["persisting"]),
            share(row["share"])._replace(bar=(row["share"], _or_none(row["ceiling"]))),
            interval(row),
            floor(row),
            ceiling(row),
            *(share(row[name]) for name in ("share_of_ceiling", "corrected")),
            *(share(row[name]) for name in _UNRELATED.values() if others),
            *(share(row[name]) for name in ("stable_share", "frozen")),
            count(row["child_features"]),
            count(row["emerging"]),
            share(1 - row["traced_share"]),
            count(row["mutual"]),
            count(row["one_to_one"]),
            *(_left_out(row, end) for end in ("parent", "child")),
            l0(row),
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
    lent = [row["ceiling_of"] for row in rows if has_lent_ceiling(row)]
    star = f" *: no second seed of either model; the ceiling of {lent[0]}." if lent else ""
    unlike = any(row["l0_differs"] for row in rows)
    mark = " !: the two dictionaries’ L0 differ by more than 10 %." if unlike else ""
    return (
        "Persist: parent features with a child feature above the threshold. The interval is over "
        "the SAE seeds of both ends (s: of the mean over seeds; an end without reseeds is taken to "
        "scatter as the other), over documents (d), or over both (sd). Floor: the same share in a "
        "model with random weights (r) or an unrelated lineage (u), of one kind for all edges; "
        "edges that have an unrelated floor besides show it in columns of its own. Ceiling: the "
        "same share for another seed of the same SAE on the same model, the most that a share can "
        "be expected to reach; drawn as the mark on the bar. Of ceiling: share / ceiling. "
        "Corrected: (share − floor) / (ceiling − floor). Stable: the share of those features that "
        "every reseed of the parent finds. Frozen: the share that the parent’s own SAE finds in "
        "the child, feature by feature. Emerge: child features without a partner in any parent. "
        "Mutual: pairs of best partners; one to one: the largest matching. L0: features a token of "
        f"the probe. Silent and rare features are in no share.{star}{mark}"
    )


def _fragile(sae: str, rows: list[Row]) -> Table:
    """What of the shares hangs on a handful of rows."""
    columns = [
        Column("edge", is_text=True),
        *(Column(name, "parent’s that persist") for name in ("features", "fragile", "share")),
        *(Column(name, "child’s that are traced") for name in ("features", "fragile", "share")),
        *(Column(name, "fragile share of what is found in") for name in ("ceiling", "floor")),
    ]
    cells = [
        [
            text(edge(row["edge"])),
            *(count(row[name]) for name in ("persisting", "fragile")),
            _part(row["fragile_share"]),
            *(count(row[name]) for name in ("traced", "traced_fragile")),
            *(_part(row[f"{of}_fragile_share"]) for of in ("traced", "ceiling", "floor")),
        ]
        for row in rows
    ]
    note = (
        "A match is fragile if r is not above the threshold without the rows that contribute most "
        "to it: 1 % of those on which both features fire, at least 5 (r_trimmed). A few huge "
        f"activations can make any two features match. !: more than {MANY:.0%}."
    )
    return Table(f"fragile{sae}", "What hangs on a handful of rows", columns, cells, note)


def _part(value: float) -> Cell:
    """A fragile share; marked where it is too large."""
    cell = share(value)
    return cell._replace(text=f"{cell.text} !", look="own") if value > MANY else cell


def _specific(sae: str, rows: list[Row]) -> Table | None:
    """Whether what emerges is new to the model, or to its dictionary alone."""
    rows = [row for row in rows if pd.notna(row["emerging_scaled"])]
    if not rows:
        return None
    groups = {"emerging": "child’s that emerge", "traced": "child’s that are traced"}
    columns = [
        Column("edge", is_text=True),
        *(
            Column(name, group)
            for group in groups.values()
            for name in ("features", "specific", "share", "ν error", "ν reconstruction")
        ),
    ]
    cells = []
    for row in rows:
        line = [text(edge(row["edge"]))]
        for end in groups:
            specific, scaled = row[f"{end}_specific"], row[f"{end}_scaled"]
            line += [count(scaled), count(specific), share(ratio(specific, scaled))]
            line += [number(row[f"{end}_{name}"], 2) for name in SPECIFIC]
        cells.append(line)
    note = (
        "Latent scaling: how much of a child’s feature was in the parent’s activations before, "
        "unsaid by the parent’s SAE (ν error) or said by other features (ν reconstruction); "
        "medians. Specific to the child, by Minder et al. 2025: ν error < 0.2 and ν "
        "reconstruction < 0.5. Neither is 0 by chance, so what emerges stands beside what is "
        "traced: where the shares are alike, the measure tells nothing that the correlation has "
        "not."
    )
    title = "What emerges: new to the model, or to its dictionary alone"
    return Table(f"specific{sae}", title, columns, cells, note)


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
            for name in ("features", "persist", "floor", "ceiling")
        ),
    ]
    cells = []
    for row in rows:
        line = [text(edge(row["edge"]))]
        for stratum in LOOKUPS:
            part = found.get((row["edge"], stratum))
            shares = ("share", "floor", "ceiling")
            line += (
                [count(part["features"]), *(share(part[name]) for name in shares)]
                if part
                else [Cell(UNKNOWN)] * 4
            )
        cells.append(line)
    note = (
        "A look-up’s activation follows from its current token alone (lookup_r > 0.8); a "
        "contextual feature’s hardly does (≤ 0.5). Look-ups are found again more often, so a total "
        "is mostly a statement about the mix. Each floor and ceiling is that of its own stratum."
    )
    return Table(f"lookups{sae}", "What persists, by kind of feature", columns, cells, note)


def _strata(sae: str, strata: list[Row]) -> Table:
    columns = [
        *(Column(name, is_text=True) for name in ("edge", "features", "by", "stratum")),
        *(Column(name) for name in ("living", "found", "share", "floor", "ceiling")),
        *(Column(name) for name in ("share of ceiling", "corrected")),
    ]
    cells = [
        [
            text(edge(row["edge"])),
            text(ROLES[row["role"]]),
            text(row["kind"]),
            text(row["stratum"]),
            *(count(row[name]) for name in ("features", "persisting")),
            *(share(row[name]) for name in ("share", "floor", "ceiling")),
            *(share(row[name]) for name in ("share_of_ceiling", "corrected")),
        ]
        for row in strata
    ]
    note = (
        "Density is log10 of the share of tokens at which a feature fires. The floor is the "
        "higher of those that the edge has. A child’s share has none: the controls look for the "
        "parent’s features elsewhere."
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


def domains(cfg: ReportSlice, files: list[Path]) -> dict[str, Table]:
    """The same edges on each corpus alone and on each scope: a table for every SAE with a flow."""
    found = sorted(matching(files, paths.FLOW_DOMAINS, "sae").items())
    return {sae: _domains(cfg, sae, file) for sae, file in found}


def _domains(cfg: ReportSlice, sae: str, file: Path) -> Table:
    rows = load_table(file)
    here = np.isclose(rows["threshold"], cfg.flow.threshold) & (rows["kind"] == "all")
    rows = rows[here & rows["control"].isin(DOMAIN_CONTROLS)]
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
        shares = [
            share(by[key]["share"]) if key in by else Cell(UNKNOWN) for key in DOMAIN_CONTROLS
        ]
        cells.append([text(edge(str(name))), text(domain), *counts, *shares])
    note = (
        "The parent’s features on the tokens of one corpus alone, and on the three scopes: home "
        "(what the parent was trained on), intersection, union. A feature lives on a corpus if it "
        "fires often enough there, so the numbers of living features differ."
    )
    title = "What persists, by corpus and scope"
    return Table(f"domains{sae}", title, columns, cells, note)


def finding(row: Row) -> str:
    """What persists on an edge, beside what another seed and an unrelated model have of it."""
    return (
        f"{edge(row['edge'])}: {row['persisting']:,} of {row['parent_features']:,} living features "
        f"persist: {'; '.join(share_in_words(row))}."
    )


def hanging(row: Row) -> list[str]:
    """What of an edge's shares hangs on a handful of rows, where that is more than 5 %."""
    line = warning(row)
    return [f"{edge(row['edge'])}: {line}."] if line else []


def traces(counts: list[Row]) -> list[str]:
    """Of each model with a chain behind it, how much of it comes from where."""
    found: dict[str, dict[str, Row]] = {}
    for row in counts:
        found.setdefault(row["model"], {})[row["statement"]] = row
    sentences = []
    for model, by in found.items():
        traced = by.get("are traced to a parent")
        derived = by.get("are derived from a base, of those traced")
        if traced and derived:
            sentences.append(
                f"{model}: {traced['features']:,} of {traced['of']:,} living features are traced "
                f"to a parent, {derived['features']:,} of these on to a base."
            )
    return sentences


def edge(name: str) -> str:
    """`parent-child` for readers."""
    return name.replace("-", " → ")
