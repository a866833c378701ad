"""The share of an edge in words: beside its interval, its floor and its ceiling, wherever it is.

A row is one of edges.csv. docs/controls.md has all definitions. Nothing is counted here.
"""

from collections.abc import Mapping
from math import isnan
from typing import Any

from featflow.wording import page_percent

Row = Mapping[Any, Any]

LETTERS = {"seeds": "s", "seeds+documents": "sd", "documents": "d"}
"""What stands behind an interval in tables, by column `interval`."""

SCOPES = {
    "home": "each side judged on its own corpora",
    "intersection": "judged on the corpora of both",
    "union": "judged on the corpora of either",
}
"""What an edge is judged on, by column `scope`."""


def share_in_words(row: Row) -> list[str]:
    """The share with its interval; its floor and its ceiling; another floor, where it has one."""
    over, between = over_what(row), f"{page_percent(row['low'])} to {page_percent(row['high'])}"
    interval = f"95 % interval {between}, over {over}" if over else "no interval"
    lines = [f"{page_percent(row['share'])} ({interval})", f"{_floor(row)}, {_ceiling(row)}"]
    if has_other_floor(row):
        other = f"floor in an unrelated model {page_percent(row['floor_unrelated'])}"
        if not isnan(row["corrected_unrelated"]):
            other += f", corrected by it {page_percent(row['corrected_unrelated'])}"
        lines.append(other)
    return lines


def _floor(row: Row) -> str:
    if isnan(row["floor"]):
        return "no floor"
    kind, models = row["floor_of"].split()
    whose = "random weights" if kind == "random" else models
    return f"floor {page_percent(row['floor'])} ({whose})"


def _ceiling(row: Row) -> str:
    """The ceiling and what the share is of it; corrected for floor and ceiling."""
    if isnan(row["ceiling"]):
        return "no reseed to compare"
    lent = f" (of {row['ceiling_of']})" if has_lent_ceiling(row) else ""
    words = f"ceiling {page_percent(row['ceiling'])}{lent}"
    words += f", {page_percent(row['share_of_ceiling'])} of it"
    if not isnan(row["corrected"]):
        words += f", corrected {page_percent(row['corrected'])}"
    return words


def has_lent_ceiling(row: Row) -> bool:
    """Whether an edge's ceiling is that of other models than its two."""
    if not isinstance(row["ceiling_of"], str):
        return False
    return not set(row["edge"].split("-")) & set(row["ceiling_of"].split("+"))


def has_other_floor(row: Row) -> bool:
    """Whether an edge has an unrelated floor that is not the one of its table."""
    return row["floor_unrelated"] == row["floor_unrelated"] and not (
        isinstance(row["floor_of"], str) and row["floor_of"].startswith("unrelated")
    )


def over_what(row: Row) -> str:
    """What an interval is over, in words; empty: there is none."""
    if row["low"] != row["low"] or not isinstance(row["interval"], str):
        return ""
    if row["interval"] == "documents":
        return "documents, for these very SAEs"
    documents = " and documents" if row["interval"] == "seeds+documents" else ""
    alike = one_sided(row)
    taken = f" ({alike[1]}’s taken to scatter as {alike[0]}’s)" if alike else ""
    return f"the SAE seeds of both ends{taken}{documents}"


def one_sided(row: Row) -> tuple[str, str] | None:
    """The end whose reseeds an interval rests on and the one without any; None where both have."""
    if not isinstance(row["interval_of"], str):
        return None
    known = row["interval_of"].split("+")
    missing = [model for model in row["edge"].split("-") if model not in known]
    return (known[0], missing[0]) if missing else None
