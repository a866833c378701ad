"""The words of the flow figure. A share never stands without its floor and its ceiling."""

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

from featflow.analysis.edge_words import has_lent_ceiling, share_in_words
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
    """A band in words; its share stands beside its floor, its ceiling and its interval."""
    if band.kind == "emerging":
        row = next(row for row in rows if row["child"] == band.target)
        lost = f"{percent(1 - row['traced_share'])}; {_lost(row, floor=False)}"
        return f"{band.features:,} of {row['child_features']:,} emerge in {band.target} ({lost})"
    if band.kind == "disappearing":
        down = [row for row in rows if row["parent"] == band.source]
        each = [
            f"{row['disappearing']:,} of {row['parent_features']:,} features of {row['parent']} "
            f"disappear in {row['child']} ({percent(1 - row['share'])}; {_lost(row)})"
            for row in down
        ]
        head = [f"{band.features:,} disappear in every child"] if len(down) > 1 else []
        return "<br>".join([*head, *each])
    row = next(row for row in rows if row["edge"] == band.edge)
    of = f"of {row['parent_features']:,} features of {row['parent']}"
    origin = "from a base" if band.kind == "derived" else "emerged after it"
    traced = f"{row['traced_here']:,} features of {row['child']} are traced to {row['parent']}"
    return (
        f"{row['persisting']:,} {of} persist into {row['child']}<br>"
        f"{'<br>'.join(share_in_words(row))}<br>{band.features:,} of these {origin}<br>"
        f"{traced}"
    )


def _lost(row: Row, floor: bool = True) -> str:
    """What is lost where nothing, and where everything, has changed."""
    if isnan(row["ceiling"]):
        return "no reseed to compare"
    words = f"of a reseed's features {percent(1 - row['ceiling'])}{_lent(row)}"
    if floor and not isnan(row["floor"]):
        words += f", of an {_model(row)} model's {percent(1 - row['floor'])}"
    return words


def _lent(row: Row) -> str:
    return f" (of {row['ceiling_of']})" if has_lent_ceiling(row) else ""


def _model(row: Row) -> str:
    return "unrelated" if row["floor_of"].startswith("unrelated") else "untrained"


def label(row: Row) -> list[str]:
    """What stands in an edge's band: what persists, and between what that lies."""
    ends = [f"{name} {percent(row[name])}" for name in ("floor", "ceiling") if not isnan(row[name])]
    if _lent(row):
        ends[-1] += "*"
    return [
        f"{row['persisting']:,} persist ({percent(row['share'])})",
        ", ".join(ends) or "no floor, no ceiling",
    ]


def subtitle(sae: str, rows: list[Row]) -> str:
    """What the numbers are about."""
    if not rows:
        return f"SAE {sae}: no edge of the lineage has it on both sides."
    first = rows[0]
    return (
        f"SAE {sae}: the same feature is r > {first['threshold']:g}, scope {first['scope']} "
        f"({SCOPES[first['scope']]}). Heights are numbers of features, on one scale."
    )


def texts(rows: list[Row], chains: "pd.DataFrame", colours: Mapping[str, str]) -> dict[str, Any]:
    """What stands around the figure: the colours, the numbers, what is left out."""
    from featflow.analysis.chain_counts import chain_counts
    from featflow.analysis.quality import each_once

    notes = [
        f"{row['parent']} → {row['child']}: {row['persisting']:,} of {row['parent_features']:,} "
        f"persist: {'; '.join(share_in_words(row))}; one to one {row['one_to_one']:,}."
        for row in rows
    ]
    notes += [
        f"{row['parent']} → {row['child']}: the SAEs’ L0, {row['l0_parent']:.1f} and "
        f"{row['l0_child']:.1f}, differ by more than 10 %."
        for row in rows
        if row["l0_differs"]
    ]
    counts = chain_counts(chains).to_dict("records")
    notes += [f"{c['model']}: {c['features']:,} of {c['of']:,} {c['statement']}." for c in counts]
    notes += [f"{remark}." for remark in each_once(rows)]
    models = dict.fromkeys(row[end] for end in ("parent", "child") for row in rows)
    silent, rare = (
        ", ".join(f"{model} {standing(model, rows)[i]:,}" for model in models) for i in (1, 2)
    )
    lent = next((row["ceiling_of"] for row in rows if _lent(row)), None)
    star = f"*: no reseed of either model; the ceiling of {lent}. " if lent else ""
    return {
        "legend": [
            [colours["derived"], "persists, from a base"],
            [colours["later"], "persists, emerged later"],
            [colours["disappearing"], "disappears"],
            [colours["emerging"], "emerges: in no parent"],
        ],
        "notes": notes,
        "footnote": f"{star}Left out: silent features ({silent}) and rare ones ({rare}). The "
        "ceiling is the share that another seed of the same SAE finds again, the floor that which "
        "an unrelated model has, or one with random weights; corrected: (share − floor) / (ceiling "
        "− floor). Bars are as tall as their living features; a band is as tall as the features "
        "that persist where it leaves, and as those traced to this parent where it arrives. What "
        "persists into several children is in several bands, which overlap at the bar.",
    }
