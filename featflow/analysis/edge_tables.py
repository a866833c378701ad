"""The tables of stage `edges`: each share beside its ceiling, its floor and its interval."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from featflow.analysis.ratios import corrected, ratio
from featflow.core.slices import EdgesSlice
from featflow.features.strata import ALL, STRATA, Stratum

EDGE_COLUMNS = {
    **{"edge": "str", "threshold": "float64", "parent_features": "int64"},
    **{"parent_silent": "int64", "parent_rare": "int64", "persisting": "int64"},
    **{"disappearing": "int64", "child_features": "int64", "child_silent": "int64"},
    **{"child_rare": "int64", "traced": "int64", "emerging": "int64", "mutual": "int64"},
    **{"one_to_one": "int64", "share": "float64", "ceiling": "float64"},
    **{"share_of_ceiling": "float64", "traced_share": "float64", "traced_here": "int64"},
    **{"ceiling_of": "str", "scope": "str", "min_firings": "int64", "min_documents": "int64"},
    **{"low": "float64", "high": "float64", "interval": "str", "seed_mean": "float64"},
    **{"floor": "float64", "floor_of": "str", "floor_random": "float64", "corrected": "float64"},
    **{"stable_share": "float64", "frozen": "float64", "continued": "float64"},
    **{"l0_parent": "float64", "l0_child": "float64", "l0_differs": "bool"},
    **{"fragile": "int64", "fragile_share": "float64", "traced_fragile": "int64"},
    **{"traced_fragile_share": "float64", "ceiling_fragile_share": "float64"},
    **{"floor_fragile_share": "float64"},
}
"""Of edges.csv and edges.parquet, with their types."""

STRATA_COLUMNS = {
    **{"edge": "str", "role": "str", "kind": "str", "stratum": "str", "features": "int64"},
    **{"persisting": "int64", "share": "float64", "ceiling": "float64"},
    **{"share_of_ceiling": "float64", "floor": "float64", "corrected": "float64"},
}

FLOORS = ("unrelated", "random")
"""What a share is held against from below; the first of them that an edge has is its floor."""

DIFFERS = 0.1
"""L0 of two dictionaries differ by more than this part of the larger one: they are flagged."""


class Beside:
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

    def floor(self, edge: str, stratum: Stratum = ALL) -> tuple[float, str | None]:
        """An edge's floor, and what gave it: "unrelated unrelatedlua", "random random"."""
        for control in FLOORS:
            if found := self.rows(edge, control, stratum):
                models = dict.fromkeys(row["by"].split("-")[1].split(".")[0] for row in found)
                return self.share(edge, control, stratum), f"{control} {'+'.join(models)}"
        return np.nan, None

    def fragile_share(self, edge: str, control: str) -> float:
        """Of what a control finds the part that hangs on a handful of rows, over all it has."""
        rows = self.rows(edge, control)
        if any(pd.isna(row["fragile"]) for row in rows):
            return float(np.mean([row["fragile_share"] for row in rows]))
        return ratio(*(sum(row[name] for row in rows) for name in ("fragile", "found")))

    def interval(self, edge: str) -> tuple[float, float, str | None]:
        """Of a share: over SAE seeds where there are several, else over documents, else none."""
        for control, over in (("edge", "seeds"), ("bootstrap", "documents")):
            for row in self.rows(edge, control):
                if row["low"] == row["low"]:
                    return row["low"], row["high"], over
        return np.nan, np.nan, None


def edge_table(counts: pd.DataFrame, beside: Beside, l0: Mapping[str, float]) -> pd.DataFrame:
    """edges.csv: the counts of stage flow, each edge's share with what it stands beside.

    Args:
        counts: counts.csv.
        beside: the controls.
        l0: features that fire at a token, of each model's dictionary over the probe.
    """
    rows = [
        {**row, **_standing(row["edge"], row["share"], beside), **_l0(row["edge"], l0)}
        for row in counts.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=list(EDGE_COLUMNS)).astype(EDGE_COLUMNS)


def _standing(edge: str, share: float, beside: Beside) -> dict[str, Any]:
    ceiling, ceiling_of = beside.ceiling(edge)
    floor, floor_of = beside.floor(edge)
    low, high, interval = beside.interval(edge)
    return {
        **{"ceiling": ceiling, "ceiling_of": ceiling_of, "floor": floor, "floor_of": floor_of},
        **{"low": low, "high": high, "interval": interval},
        "seed_mean": beside.share(edge, "edge_mean"),
        "share_of_ceiling": ratio(share, ceiling),
        "floor_random": beside.share(edge, "random"),
        "corrected": corrected(share, floor, ceiling),
        "stable_share": beside.share(edge, "stable"),
        "frozen": beside.share(edge, "frozen"),
        "continued": beside.share(edge, "continued"),
        "ceiling_fragile_share": beside.fragile_share(edge, "ceiling"),
        "floor_fragile_share": beside.fragile_share(edge, str(floor_of).split()[0]),
    }


def _l0(edge: str, l0: Mapping[str, float]) -> dict[str, Any]:
    parent, child = (l0[model] for model in edge.split("-"))
    differs = abs(parent - child) > DIFFERS * max(parent, child)
    return {"l0_parent": parent, "l0_child": child, "l0_differs": differs}


def strata_table(features: pd.DataFrame, beside: Beside) -> pd.DataFrame:
    """strata.csv: the same shares by stratum, of the parent's features and of the child's.

    A child's share has no floor: the controls look for the parent's features elsewhere.

    Args:
        features: features.parquet.
        beside: the controls.
    """
    rows = []
    for (edge, role), side in features.groupby(["edge", "role"], sort=False):
        for stratum, living, persisting in _by_stratum(side):
            share = ratio(persisting, living)
            top, _ = beside.ceiling(str(edge), stratum)
            floor = beside.floor(str(edge), stratum)[0] if role == "parent" else np.nan
            beside_it = (top, ratio(share, top), floor, corrected(share, floor, top))
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


def l0_of(models: Sequence[str], summaries: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Features that fire at a token of the probe, on average: the sum of all densities."""
    return {
        model: float(table["density"].sum()) for model, table in zip(models, summaries, strict=True)
    }
