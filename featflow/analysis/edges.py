"""Stage `edges`: every share beside its controls, in one table for readers.

The counts are those of stage flow; what they stand beside comes from controls.parquet, at the
flow's threshold and on its scope. A share alone says nothing (docs/controls.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featflow.analysis.quality import each_once, remarks
from featflow.analysis.ratios import ratio
from featflow.analysis.specific import NONE, SPECIFIC, counted
from featflow.analysis.terminal import table as text
from featflow.artifacts.io import load_json, load_table, save_table
from featflow.artifacts.provenance import Provenance
from featflow.features.strata import ALL, STRATA, Stratum
from featflow.plan.stages.analysis import EdgesSlice
from featflow.runtime.log import log

EDGE_COLUMNS = {
    "edge": "str",
    "threshold": "float64",
    "parent_features": "int64",
    "parent_silent": "int64",
    "parent_rare": "int64",
    "persisting": "int64",
    "disappearing": "int64",
    "child_features": "int64",
    "child_silent": "int64",
    "child_rare": "int64",
    "traced": "int64",
    "emerging": "int64",
    "mutual": "int64",
    "one_to_one": "int64",
    "share": "float64",
    "ceiling": "float64",
    "share_of_ceiling": "float64",
    "traced_share": "float64",
    "traced_here": "int64",
    "ceiling_of": "str",
    "scope": "str",
    "min_firings": "int64",
    "min_documents": "int64",
    "low": "float64",
    "high": "float64",
    "interval": "str",
    "seed_mean": "float64",
    "floor": "float64",
    "floor_of": "str",
    "floor_random": "float64",
    "corrected": "float64",
    "stable_share": "float64",
    "frozen": "float64",
    "continued": "float64",
    "l0_parent": "float64",
    "l0_child": "float64",
    "l0_differs": "bool",
    "fragile": "int64",
    "fragile_share": "float64",
    "traced_fragile": "int64",
    "traced_fragile_share": "float64",
    "ceiling_fragile_share": "float64",
    "floor_fragile_share": "float64",
    "interval_of": "str",
    "floor_unrelated": "float64",
    "corrected_unrelated": "float64",
    "remarks": "str",
    "persisting_anywhere": "int64",
    "emerging_scaled": "Int64",
    "emerging_specific": "Int64",
    "emerging_nu_error": "float64",
    "emerging_nu_reconstruction": "float64",
    "traced_scaled": "Int64",
    "traced_specific": "Int64",
    "traced_nu_error": "float64",
    "traced_nu_reconstruction": "float64",
}
"""Of edges.csv and edges.parquet, with their types."""

STRATA_COLUMNS = {
    "edge": "str",
    "role": "str",
    "kind": "str",
    "stratum": "str",
    "features": "int64",
    "persisting": "int64",
    "share": "float64",
    "ceiling": "float64",
    "share_of_ceiling": "float64",
    "floor": "float64",
    "corrected": "float64",
    "floor_of": "str",
}

FATES = ("edge", "role", "feature", "fate", "lookup", "density", "firings", "documents")
"""What is read of features.parquet."""

FLOORS = ("unrelated", "random")
"""What a share is held against from below, the higher kind first."""

NO_SCALING: Mapping[str, Mapping[str, Any]] = {}

DIFFERS = 0.1
"""L0 of two dictionaries differ by more than this part of the larger one: they are flagged."""

TOLERANCE = 0.005
"""Of a feature that is nobody's listed partner, stage flow knows the counts on its own scope
alone (analysis/fates.py), stage shares those on every scope: this much may come of it."""


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


class ControlRows:
    """controls.parquet at the flow's threshold, on its scope."""

    def __init__(self, controls: pd.DataFrame, cfg: EdgesSlice):
        here = (controls["threshold"] == cfg.flow.threshold) & (
            controls["domain"] == cfg.flow.scope
        )
        self._rows: dict[tuple[str, str, Stratum], list[dict[str, Any]]] = {}
        for row in controls[here].to_dict("records"):
            key = (row["edge"], row["control"], (row["kind"], row["stratum"]))
            self._rows.setdefault(key, []).append({str(k): v for k, v in row.items()})

    def rows(self, edge: str, control: str, stratum: Stratum = ALL) -> list[dict[str, Any]]:
        """All that a control says of an edge: several rows where the study has several of them."""
        return self._rows.get((edge, control, stratum), [])

    def share(self, edge: str, control: str, stratum: Stratum = ALL) -> float:
        """A control's share, the mean where it has several; NaN: there is none."""
        found = [row["share"] for row in self.rows(edge, control, stratum)]
        return float(np.mean(found)) if found else np.nan

    def ceiling(self, edge: str, stratum: Stratum = ALL) -> tuple[float, str | None]:
        """An edge's ceiling, and whose reseeds gave it."""
        found = self.rows(edge, "ceiling", stratum)
        return (found[0]["share"], found[0]["by"]) if found else (np.nan, None)

    def floor(self, edge: str, kind: str, stratum: Stratum = ALL) -> tuple[float, str | None]:
        """An edge's floor of a kind, and what gave it: "unrelated unrelatedlua", "random random".

        NaN and None where the edge has none of this kind.
        """
        found = self.rows(edge, kind, stratum)
        models = dict.fromkeys(row["by"].split("-")[1].split(".")[0] for row in found)
        named = f"{kind} {'+'.join(models)}" if models else None
        return self.share(edge, kind, stratum), named

    def highest_floor(self, edge: str, stratum: Stratum) -> tuple[float, str | None]:
        """The higher of an edge's floors on a stratum; of equal ones the unrelated lineage's."""
        found = [self.floor(edge, kind, stratum) for kind in FLOORS]
        known = [floor for floor in found if not np.isnan(floor[0])]
        return max(known, key=lambda floor: floor[0], default=(np.nan, None))

    def fragile_share(self, edge: str, control: str) -> float:
        """Of what a control finds the part that hangs on a handful of rows, over all it has."""
        rows = self.rows(edge, control)
        if any(pd.isna(row["fragile"]) for row in rows):
            return float(np.mean([row["fragile_share"] for row in rows]))
        return ratio(*(sum(row[name] for row in rows) for name in ("fragile", "found")))

    def common_floor(self, edges: Sequence[str]) -> str | None:
        """The highest kind of floor that all edges have: what their table compares them by."""
        having = (k for k in FLOORS if edges and all(self.rows(edge, k) for edge in edges))
        return next(having, None)

    def interval(self, edge: str) -> tuple[float, float, str | None, str | None]:
        """Of a share: its ends, over what, and the models whose reseeds say what seeds do.

        Over seeds (and documents, where these were drawn) if either end has reseeds, else over
        documents alone, else none.
        """
        for row in self.rows(edge, "edge_both"):
            if row["low"] == row["low"]:
                seeds, _, documents = row["by"].removeprefix("seeds of ").partition(", ")
                over = "seeds+documents" if documents else "seeds"
                return row["low"], row["high"], over, seeds
        for row in self.rows(edge, "bootstrap"):
            if row["low"] == row["low"]:
                return row["low"], row["high"], "documents", None
        return np.nan, np.nan, None, None


def edge_table(
    counts: pd.DataFrame,
    beside: ControlRows,
    l0: Mapping[str, float],
    remarks: Mapping[str, str | None],
    specific: Mapping[str, Mapping[str, Any]] = NO_SCALING,
) -> pd.DataFrame:
    """edges.csv: the counts of stage flow, each edge's share with what it stands beside.

    `floor` and `corrected` are of one kind of floor for all edges, so that a column compares like
    with like; an edge that has another kind, too, has it in a column of its own.

    Args:
        counts: counts.csv.
        beside: the controls.
        l0: features that fire at a token, of each model's dictionary over the probe.
        remarks: what makes the numbers of each edge doubtful.
        specific: what latent scaling says of an edge's child features, where there is one.
    """
    common = beside.common_floor(list(counts["edge"]))
    rows = [
        {
            **row,
            **_standing(row["edge"], row["share"], beside, common),
            **_l0(row["edge"], l0),
            "remarks": remarks.get(row["edge"]),
            **specific.get(row["edge"], NONE),
        }
        for row in counts.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=list(EDGE_COLUMNS)).astype(EDGE_COLUMNS)


def _standing(edge: str, share: float, beside: ControlRows, common: str | None) -> dict[str, Any]:
    ceiling, ceiling_of = beside.ceiling(edge)
    floor, floor_of = beside.floor(edge, common) if common else (np.nan, None)
    low, high, interval, interval_of = beside.interval(edge)
    unrelated = beside.share(edge, "unrelated")
    return {
        "ceiling": ceiling,
        "ceiling_of": ceiling_of,
        "floor": floor,
        "floor_of": floor_of,
        "low": low,
        "high": high,
        "interval": interval,
        "interval_of": interval_of,
        "seed_mean": beside.share(edge, "edge_mean"),
        "share_of_ceiling": ratio(share, ceiling),
        "floor_random": beside.share(edge, "random"),
        "floor_unrelated": unrelated,
        "corrected": _corrected(share, floor, ceiling),
        "corrected_unrelated": _corrected(share, unrelated, ceiling),
        "stable_share": beside.share(edge, "stable"),
        "frozen": beside.share(edge, "frozen"),
        "continued": beside.share(edge, "continued"),
        "ceiling_fragile_share": beside.fragile_share(edge, "ceiling"),
        "floor_fragile_share": beside.fragile_share(edge, str(floor_of).split()[0]),
    }


def _corrected(share: float, floor: float, ceiling: float) -> float:
    """(share − floor) / (ceiling − floor); NaN unless the ceiling is above the floor."""
    return (share - floor) / (ceiling - floor) if ceiling > floor else np.nan


def _l0(edge: str, l0: Mapping[str, float]) -> dict[str, Any]:
    parent, child = (l0[model] for model in edge.split("-"))
    differs = abs(parent - child) > DIFFERS * max(parent, child)
    return {"l0_parent": parent, "l0_child": child, "l0_differs": differs}


def l0_of(models: Sequence[str], summaries: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Features that fire at a token of the probe, on average: the sum of all densities."""
    return {
        model: float(table["density"].sum()) for model, table in zip(models, summaries, strict=True)
    }


def strata_table(features: pd.DataFrame, beside: ControlRows) -> pd.DataFrame:
    """strata.csv: the same shares by stratum, of the parent's features and of the child's.

    A parent's share is held against the higher of the edge's floors on that stratum: random weights
    have many a look-up that an unrelated lineage lacks. A child's share has no floor: the controls
    look for the parent's features elsewhere.

    Args:
        features: features.parquet.
        beside: the controls.
    """
    rows = []
    for (edge, role), side in features.groupby(["edge", "role"], sort=False):
        for stratum, living, persisting in _by_stratum(side):
            share = ratio(persisting, living)
            top, _ = beside.ceiling(str(edge), stratum)
            floor, floor_of = (
                beside.highest_floor(str(edge), stratum) if role == "parent" else (np.nan, None)
            )
            beside_it = (top, ratio(share, top), floor, _corrected(share, floor, top), floor_of)
            rows.append((edge, role, *stratum, living, persisting, share, *beside_it))
    return pd.DataFrame(rows, columns=list(STRATA_COLUMNS)).astype(STRATA_COLUMNS)


def _by_stratum(side: pd.DataFrame) -> Iterator[tuple[Stratum, int, int]]:
    """Each stratum that has any: its living features, and those of them that persist."""
    living = side[~side["fate"].isin(["silent", "rare"])]
    kept = living["fate"] == "persisting"
    for kind, name in STRATA:
        inside = (living[kind] == name) if kind != "all" else living["fate"].notna()
        if inside.any() or kind == "all":
            yield (kind, name), int(inside.sum()), int((inside & kept).sum())


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
