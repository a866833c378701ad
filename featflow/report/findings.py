"""What came out, in sentences. A share never stands without its floor and its ceiling."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from featflow.analysis.ceilings import borrowed
from featflow.analysis.edge_words import has_other_floor, over
from featflow.analysis.fragile import warnings
from featflow.report.tables import percent

Row = dict[Hashable, Any]
"""A row of edges.csv or strata.csv, or of the chains' counts."""


def edge(name: str) -> str:
    """`parent-child` for readers."""
    return name.replace("-", " → ")


def finding(row: Row) -> str:
    """What persists on an edge, beside what another seed and an unrelated model have of it."""
    begin = (
        f"{edge(row['edge'])}: {row['persisting']:,} of {row['parent_features']:,} living features "
        f"({percent(row['share'])}{_interval(row)}) persist; "
    )
    floor = _floor(row)
    if pd.isna(row["ceiling"]):
        return (
            f"{begin}no second seed was trained, so what could have been found is not known"
            f"{f'; {floor}' if floor else ''}."
        )
    lent = borrowed(str(row["edge"]), row["ceiling_of"])
    whose = f", measured on {row['ceiling_of'].replace('+', ' and ')}" if lent else ""
    corrected = ""
    if not pd.isna(row["corrected"]):
        corrected = f": {percent(row['corrected'])} of the way from the floor to the ceiling"
    return (
        f"{begin}another seed of the same SAE finds {percent(row['ceiling'])} again{whose}"
        f"{f', {floor}' if floor else ''}{corrected}."
    )


def hanging(row: Row) -> list[str]:
    """What of an edge's shares hangs on a handful of rows, where that is more than 5 %."""
    return [f"{edge(row['edge'])}: {line}." for line in warnings(row)]


def _interval(row: Row) -> str:
    if pd.isna(row["low"]):
        return ""
    return f"; 95 % interval over {over(row)}: {percent(row['low'])} to {percent(row['high'])}"


def _floor(row: Row) -> str:
    """The floor of the table and, of an edge that has another kind, that one."""
    other = has_other_floor(row)
    words = f"an unrelated model has {percent(row['floor_unrelated'])} of them" if other else ""
    if pd.isna(row["floor"]):
        return words
    kind, model = row["floor_of"].split()
    what = "a model with random weights" if kind == "random" else f"the unrelated model {model}"
    return f"{what} has {percent(row['floor'])} of them{f' and {words}' if words else ''}"


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
