"""edges.csv as text for a terminal: two tables under 100 columns, and what they mean."""

from collections.abc import Hashable
from textwrap import fill
from typing import Any

import pandas as pd

from featflow.analysis.ceilings import borrowed
from featflow.analysis.fragile import warnings
from featflow.analysis.ratios import percent

Row = dict[Hashable, Any]

ABOUT = """\
share: parent features with a child feature above the threshold, of all that live; 95 %: its
interval, over SAE seeds (s; around their mean) or documents (d); floor: the same share for an
unrelated lineage (u) or random weights (r); ceiling: between seeds of one SAE; s/c:
share / ceiling; corrected: (share - floor) / (ceiling - floor); stable: of features that every
reseed finds; frozen: the parent's SAE applied to the child; emerge: child features without a
partner in any parent; 1:1: the largest one-to-one matching; L0: features a token. Shares leave
out silent and rare features, counted parent/child; rare: under"""

FRAGILE = """\
Of the features that are found again, the part that hangs on a handful of rows: without the rows
that contribute most to it (r_trimmed, docs/methods.md), r is not above"""


def table(edges: pd.DataFrame) -> str:
    """edges.csv as text, under 100 columns. A share stands beside its floor and its ceiling.

    Args: edges: the table; edges whose dictionaries differ in L0 are flagged under it.
    """
    if edges.empty:
        return "flow: no edge of the lineage has this SAE on both sides"
    first = edges.iloc[0]
    rows = edges.to_dict("records")
    parts = [
        f"Flow of features at r > {first['threshold']:g}, scope {first['scope']}",
        *(pd.DataFrame(map(line, rows)).to_string(index=False) for line in (_shares, _counts)),
        f"{ABOUT} {first['min_firings']:,} firings or {first['min_documents']:,} documents."
        f"{_stars(rows)}",
        f"{FRAGILE} {first['threshold']:g}.",
        pd.DataFrame(map(_fragile, rows)).to_string(index=False),
    ]
    flags = [line for row in rows for line in (flag(row), *_hanging(row)) if line]
    return "\n\n".join([*parts, *(["\n".join(flags)] if flags else [])])


def flag(row: Row) -> str:
    """A warning where the two dictionaries of an edge are not equally sparse; else nothing."""
    if not row["l0_differs"]:
        return ""
    return (
        f"! {row['edge']}: L0 {row['l0_parent']:.1f} and {row['l0_child']:.1f} differ by more than "
        "10 %:\n  its share compares dictionaries of different sparsity."
    )


def _hanging(row: Row) -> list[str]:
    """Warnings where more than 5 % of what is found hangs on a handful of rows."""
    return [fill(f"! {row['edge']}: {line}.", 98, subsequent_indent="  ") for line in warnings(row)]


def _stars(rows: list[Row]) -> str:
    others = [row["ceiling_of"] for row in rows if _is_borrowed(row)]
    return f"\n*: no reseed of either model; the ceiling of {others[0]}." if others else ""


def _is_borrowed(row: Row) -> bool:
    return borrowed(row["edge"], row["ceiling_of"])


def _shares(row: Row) -> dict[str, str]:
    low, high = (percent(row[end]).removesuffix("%") for end in ("low", "high"))
    over = str(row["interval"])[:1] if row["low"] == row["low"] else ""
    floor_of = str(row["floor_of"])[:1] if row["floor"] == row["floor"] else ""
    return {
        "edge": row["edge"],
        "share": percent(row["share"]),
        "95 %": f"{low}-{high} {over}" if over else "-",
        "floor": f"{percent(row['floor'])} {floor_of}".strip(),
        "ceiling": percent(row["ceiling"]) + ("*" if _is_borrowed(row) else ""),
        "s/c": percent(row["share_of_ceiling"]),
        "corrected": percent(row["corrected"]),
        "stable": percent(row["stable_share"]),
        "frozen": percent(row["frozen"]),
    }


def _counts(row: Row) -> dict[str, str]:
    return {
        "edge": row["edge"],
        "parent": f"{row['parent_features']:,}",
        "persist": f"{row['persisting']:,}",
        "child": f"{row['child_features']:,}",
        "emerge": f"{row['emerging']:,} {percent(1 - row['traced_share'])}",
        "silent": f"{row['parent_silent']:,}/{row['child_silent']:,}",
        "rare": f"{row['parent_rare']:,}/{row['child_rare']:,}",
        "1:1": f"{row['one_to_one']:,}",
        "L0": f"{row['l0_parent']:.1f}/{row['l0_child']:.1f}",
    }


def _fragile(row: Row) -> dict[str, str]:
    return {
        "edge": row["edge"],
        "of those that persist": f"{row['fragile']:,} {percent(row['fragile_share'])}",
        "of the traced": f"{row['traced_fragile']:,} {percent(row['traced_fragile_share'])}",
        "of the ceiling's": percent(row["ceiling_fragile_share"]),
        "of the floor's": percent(row["floor_fragile_share"]),
    }
