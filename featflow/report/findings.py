"""What came out, in sentences. A share never stands without its ceiling."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from featflow.analysis.ceilings import borrowed
from featflow.report.tables import percent

Row = dict[Hashable, Any]
"""A row of edges.csv or strata.csv, or of the chains' counts."""


def edge(name: str) -> str:
    """`parent-child` for readers."""
    return name.replace("-", " → ")


def finding(row: Row) -> str:
    """What persists on an edge, beside what a second seed finds."""
    begin = (
        f"{edge(row['edge'])}: {row['persisting']:,} of {row['parent_features']:,} living features "
        f"({percent(row['share'])}) persist; "
    )
    if pd.isna(row["ceiling"]):
        return f"{begin}no second seed was trained, so what could have been found is not known."
    lent = borrowed(str(row["edge"]), row["ceiling_of"])
    whose = f", measured on {row['ceiling_of'].replace('+', ' and ')}" if lent else ""
    return f"{begin}a second seed of the same SAE finds {percent(row['ceiling'])} again{whose}."


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
