"""Matches that hang on a handful of rows: how many are too many, and how that is said.

A feature that is found again is *fragile* if the r_trimmed of its best partner
(features/trimmed.py) is not above the threshold. Where it is undefined, nothing but those rows made
the features vary: that is not above the threshold either.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from featflow.features import rule
from featflow.wording import percent

MANY = 0.05
"""Of the features that are found again: where more than this part is fragile, it is said."""

OF_EDGES = {
    "fragile_share": "the features that persist",
    "traced_fragile_share": "the child's features that are traced",
    "ceiling_fragile_share": "those that its ceiling is made of",
    "floor_fragile_share": "those that its floor is made of",
}
"""Columns of counts.csv and edges.csv, and what each is a part of."""


def hanging(
    matched: np.ndarray, r_trimmed: np.ndarray, thresholds: np.ndarray | float
) -> np.ndarray:
    """Which matches do not hold without the rows that contribute most: bool.

    Args:
        matched: those with r above the thresholds.
        r_trimmed: of the same.
        thresholds: τ.
    """
    found: np.ndarray = matched & ~rule.above(r_trimmed, thresholds)
    return found


def said(shares: Mapping[str, float], threshold: float) -> str:
    """What shares of fragile ones mean.

    Args:
        shares: by what they are a part of.
        threshold: τ.
    """
    *first, last = (f"{percent(share)} of {of}" for of, share in shares.items())
    parts = f"{', '.join(first)} and {last}" if first else last
    return f"{parts} hang on a handful of rows: without these r is not above {threshold:g}"


def warning(row: Mapping[Hashable, Any]) -> str | None:
    """What hangs on a handful of rows on an edge, where that is more than 5 %.

    Args:
        row: of counts.csv or edges.csv.
    """
    shares = {of: row[name] for name, of in OF_EDGES.items() if name in row and row[name] > MANY}
    return said(shares, row["threshold"]) if shares else None
