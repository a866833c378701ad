"""The words of the flow figure. A share never stands without its ceiling."""

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

from featflow.figures.bands import Band
from featflow.figures.style import percent

if TYPE_CHECKING:
    import pandas as pd

SCOPES = {
    "home": "each side judged on its own corpora",
    "intersection": "judged on the corpora of both",
    "union": "judged on the corpora of either",
}

Row = dict[str, Any]
"""A row of edges.csv, with its parent and child."""


def standing(model: str, rows: list[Row]) -> tuple[int, int, int]:
    """Living, silent and rare features, as on the model's first edge."""
    for end in ("child", "parent"):
        for row in rows:
            if row[end] == model:
                return tuple(row[f"{end}_{what}"] for what in ("features", "silent", "rare"))
    raise KeyError(model)


def said(band: Band, rows: list[Row]) -> str:
    """A band in words; its share stands beside its ceiling."""
    if band.kind == "emerging":
        row = next(row for row in rows if row["child"] == band.target)
        lost = _beside(1 - row["traced_share"], 1 - row["ceiling"], "of a reseed's features", row)
        return f"{band.features:,} of {row['child_features']:,} emerge in {band.target} ({lost})"
    row = next(row for row in rows if row["edge"] == band.edge)
    of = f"of {row['parent_features']:,} features of {row['parent']}"
    if band.kind == "disappearing":
        lost = _beside(1 - row["share"], 1 - row["ceiling"], "of a reseed's features", row)
        return f"{band.features:,} {of} disappear in {row['child']} ({lost})"
    origin = "from a base" if band.kind == "derived" else "emerged after it"
    persist = f"{row['persisting']:,} {of} persist into {row['child']} ({share(row)})"
    return f"{persist}<br>{band.features:,} of these {origin}"


def _beside(part: float, ceiling: float, what: str, row: Row) -> str:
    from featflow.analysis.ceilings import borrowed

    known = "no reseed to compare" if isnan(ceiling) else f"{what} {percent(ceiling)}"
    lent = f" (of {row['ceiling_of']})" if borrowed(row["edge"], row["ceiling_of"]) else ""
    return f"{percent(part)}; {known}{lent}"


def share(row: Row) -> str:
    """The share of an edge that persists, and its ceiling."""
    return _beside(row["share"], row["ceiling"], "ceiling", row)


def subtitle(sae: str, rows: list[Row]) -> str:
    """What the numbers are about."""
    if not rows:
        return f"SAE {sae}: no edge of the lineage has it on both sides."
    first = rows[0]
    return (
        f"SAE {sae}: the same feature is r > {first['threshold']:g}, scope {first['scope']} "
        f"({SCOPES[first['scope']]}). Heights are numbers of features."
    )


def texts(rows: list[Row], chains: "pd.DataFrame", colours: Mapping[str, str]) -> dict[str, Any]:
    """What stands around the figure: the colours, the numbers, what is left out."""
    from featflow.analysis.chains import chain_counts

    notes = [
        f"{row['parent']} → {row['child']}: {row['persisting']:,} of {row['parent_features']:,} "
        f"persist ({share(row)}); one to one {row['one_to_one']:,}."
        for row in rows
    ]
    counts = chain_counts(chains).to_dict("records")
    notes += [f"{c['model']}: {c['features']:,} of {c['of']:,} {c['statement']}." for c in counts]
    models = dict.fromkeys(row[end] for end in ("parent", "child") for row in rows)
    silent, rare = (
        ", ".join(f"{model} {standing(model, rows)[i]:,}" for model in models) for i in (1, 2)
    )
    return {
        "legend": [
            [colours["derived"], "persists, from a base"],
            [colours["later"], "persists, emerged later"],
            [colours["disappearing"], "disappears"],
            [colours["emerging"], "emerges: in no parent"],
        ],
        "notes": notes,
        "footnote": f"Left out: silent features ({silent}) and rare ones ({rare}). The ceiling is "
        "the share that a second seed of the same SAE finds again. A feature may persist into "
        "several children, and have several partners in one.",
    }
