"""What came out, in sentences. A share never stands without its floor and its ceiling."""

from collections.abc import Hashable
from typing import Any

from featflow.analysis.edge_words import share_in_words
from featflow.analysis.fragile import warning

Row = dict[Hashable, Any]
"""A row of edges.csv or strata.csv, or of the chains' counts."""


def edge(name: str) -> str:
    """`parent-child` for readers."""
    return name.replace("-", " → ")


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
