"""edges.csv as text for a terminal: two tables under 100 columns, and what they mean."""

from collections.abc import Hashable
from textwrap import fill
from typing import Any

import pandas as pd

from featflow.analysis.edge_words import LETTERS, has_lent_ceiling, has_other_floor, one_sided
from featflow.analysis.fragile import warning
from featflow.analysis.quality import each_once
from featflow.analysis.specific import ENDS, SPECIFIC
from featflow.wording import percent

Row = dict[Hashable, Any]

ABOUT = """\
share: parent features with a child feature above the threshold, of all that live; 95 %: its
interval, over what the letters say: seeds of both ends' SAEs (s; around their mean), documents
(d); floor: the same share for random weights (r) or an unrelated lineage (u), of one kind for all
edges; ceiling: between seeds of one SAE; s/c: share / ceiling; corrected: (share - floor) /
(ceiling - floor); stable: of features that every reseed finds; frozen: the parent's SAE applied to
the child; emerge: child features without a partner in any parent; 1:1: the largest one-to-one
matching; L0: features a token. Shares leave out silent and rare features, counted parent/child;
rare: under"""

FRAGILE = """\
Of the features that are found again, the part that hangs on a handful of rows: without the rows
that contribute most to it (r_trimmed, docs/methods.md), r is not above"""

SCALED = """\
Of the child's features that emerge, and of those that are traced: how many are specific to it by
latent scaling (nu_error < 0.2 and nu_reconstruction < 0.5; medians behind), which says whether the
parent had them under another name (docs/methods.md). Neither is 0 by chance: compare the two."""


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
        pd.DataFrame(map(_shares, rows)).to_string(index=False),
        *_other_floors(rows),
        pd.DataFrame(map(_counts, rows)).to_string(index=False),
        f"{ABOUT} {first['min_firings']:,} firings or {first['min_documents']:,} documents."
        f"{_stars(rows)}{_alike(rows)}",
        f"{FRAGILE} {first['threshold']:g}.",
        pd.DataFrame(map(_fragile, rows)).to_string(index=False),
    ]
    if "emerging_scaled" in edges and edges["emerging_scaled"].gt(0).any():
        parts += [SCALED, pd.DataFrame(map(_scaled, rows)).to_string(index=False)]
    flags = [line for row in rows for line in (flag(row), *_hanging(row)) if line]
    flags += map(_wrapped, each_once(rows))
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
    """A warning where more than 5 % of what is found hangs on a handful of rows."""
    line = warning(row)
    return [fill(f"! {row['edge']}: {line}.", 98, subsequent_indent="  ")] if line else []


def _stars(rows: list[Row]) -> str:
    others = [row["ceiling_of"] for row in rows if has_lent_ceiling(row)]
    return f"\n*: no reseed of either model; the ceiling of {others[0]}." if others else ""


def _alike(rows: list[Row]) -> str:
    """What an interval takes for granted where one end has no reseeds."""
    found = [pair for row in rows if "s" in _letters(row) and (pair := one_sided(row))]
    return (
        "\n"
        + "\n".join(
            f"s: {other} has no reseeds, its SAE is taken to scatter as {known}'s."
            for known, other in dict.fromkeys(found)
        )
        if found
        else ""
    )


def _letters(row: Row) -> str:
    return LETTERS[str(row["interval"])] if row["low"] == row["low"] else ""


def _other_floors(rows: list[Row]) -> list[str]:
    """The unrelated floors of those edges that have one, where not all have."""
    found = [
        {
            "edge": row["edge"],
            "unrelated floor": percent(row["floor_unrelated"]),
            "corrected by it": percent(row["corrected_unrelated"]),
        }
        for row in rows
        if has_other_floor(row)
    ]
    return [pd.DataFrame(found).to_string(index=False)] if found else []


def _wrapped(remark: str) -> str:
    return fill(f"! {remark}.", 98, subsequent_indent="  ", break_long_words=False)


def _shares(row: Row) -> dict[str, str]:
    low, high = (percent(row[end]).removesuffix("%") for end in ("low", "high"))
    letters = _letters(row)
    floor_of = str(row["floor_of"])[:1] if row["floor"] == row["floor"] else ""
    return {
        "edge": row["edge"],
        "share": percent(row["share"]),
        "95 %": f"{low}-{high} {letters}" if letters else "-",
        "floor": f"{percent(row['floor'])} {floor_of}".strip(),
        "ceiling": percent(row["ceiling"]) + ("*" if has_lent_ceiling(row) else ""),
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


def _scaled(row: Row) -> dict[str, str]:
    return {"edge": row["edge"], **{end: _specific(row, end) for end in ENDS}}


def _specific(row: Row, end: str) -> str:
    """`73 of 742 9.8% (0.30, 0.48)`; a dash where there is nothing to count."""
    count, of = row[f"{end}_specific"], row[f"{end}_scaled"]
    if pd.isna(of) or not of:
        return "-"
    medians = ", ".join(f"{row[f'{end}_{name}']:.2f}" for name in SPECIFIC)
    return f"{count:,} of {of:,} {percent(count / of)} ({medians})"
