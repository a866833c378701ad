"""The words of figure `scores`: headings, notes, the footnote."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

PERSISTING, OTHERS, EXPLAINED = "persisting", "disappearing or emerging", "explained"
"""The sides that features are told apart by; the last is of a study without edges."""


class Scored(NamedTuple):
    """A model's explained features, twice: by an explainer, and by the baseline beside it."""

    explainer: str
    baseline: str
    rows: "pd.DataFrame"
    """Of the explainer: feature, side, status, pearson, density, stratum."""
    beside: "pd.DataFrame"
    """Of the baseline."""


FOOTNOTE = (
    "lookup predicts the mean activation of each token on the records that explain; lookup_probe, "
    "that on the probe without the documents of the score records. Matched on density: the "
    "difference of the two sides' mean r among features that fire equally often (half powers of "
    "ten). Contextual: lookup_r up to 0.5. Undefined and failed scores are in no bin."
)


def heading(name: str, model: Scored) -> str:
    """A model and its medians."""
    medians = [
        f"{median(model.rows, side):.2f} {side}"
        for side in (PERSISTING, OTHERS, EXPLAINED)
        if median(model.rows, side) == median(model.rows, side)
    ]
    return f"<b>{name}</b>" + (f": median r {', '.join(medians)}" if medians else ": no score")


def note(name: str, model: Scored, sides: Mapping[str, str]) -> str:
    """A model in words: medians, the baseline's, what is not shown, the matched difference."""
    parts = []
    for side in sides:
        rows = model.rows[model.rows["side"] == side]
        if len(rows):
            count = int(rows["pearson"].notna().sum())
            beside = _number(median(model.beside, side))
            parts.append(
                f"{count:,} {side}, median r {_number(median(model.rows, side))} "
                f"({model.baseline}: {beside})"
            )
    parts += [text for text in (_contextual(model.rows), _matched(model.rows)) if text]
    statuses = model.rows["status"].value_counts()
    missing = [f"{statuses.get(s, 0):,} {s}" for s in ("undefined", "failed")]
    return f"{name}: {'; '.join([*parts, ', '.join(missing)])}."


def _contextual(rows: "pd.DataFrame") -> str:
    """The medians of contextual features alone, in words; nothing where a side has none."""
    from featflow.features.strata import LOOKUPS

    known = rows[(rows["stratum"] == LOOKUPS[0]) & rows["pearson"].notna()]
    counts = [int((known["side"] == side).sum()) for side in (PERSISTING, OTHERS)]
    if not all(counts):
        return ""
    first, second = (
        f"{_number(median(known, side))} ({count:,})"
        for side, count in zip((PERSISTING, OTHERS), counts, strict=True)
    )
    return f"{LOOKUPS[0]} features alone {first} against {second}"


def _matched(rows: "pd.DataFrame") -> str:
    """The difference of the two sides at equal density, in words; nothing where there is none."""
    from featflow.interpret.score import matched

    known = rows[rows["pearson"].notna() & (rows["density"] > 0)]
    sides = [known[known["side"] == side] for side in (PERSISTING, OTHERS)]
    pairs = [(part["density"].to_numpy(), part["pearson"].to_numpy()) for part in sides]
    found = matched(pairs[0], pairs[1])
    if found is None:
        return ""
    return f"matched on density {signed(found.difference, plus='+')} ({found.pairs:,} pairs)"


def signed(value: float, plus: str = "") -> str:
    """A number with the minus sign that fits its digits."""
    digits = f"{abs(value):.2f}" if plus else f"{abs(value):.1f}"
    return f"{'−' if value < 0 and float(digits) else plus}{digits}"


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.2f}".replace("-", "−")


def median(rows: "pd.DataFrame", side: str) -> float:
    """Of Pearson's r of a side; NaN where it has none."""
    return float(rows.loc[rows["side"] == side, "pearson"].median())
