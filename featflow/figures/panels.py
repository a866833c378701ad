"""Plots one below the other, over the same x: each with its heading above its left corner."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEADING = 22
"""Pixels above each panel for its heading: a phone has no room beside it."""

FOOT = 48
"""Pixels below the last panel, for the x axis and its title."""


def height(panels: int, row: int) -> int:
    """Pixels of a figure of so many panels, of `row` pixels each with its heading."""
    from featflow.figures.style import TITLE

    return TITLE + 12 + panels * row + FOOT


def stacked(headings: Sequence[str], row: int) -> "Figure":
    """An empty figure with a panel for each heading, of `row` pixels each with its heading."""
    from plotly.subplots import make_subplots

    count = len(headings)
    figure = make_subplots(rows=count, cols=1, shared_xaxes=True)
    for i in range(count):
        top = 1 - (i * row + HEADING) / (count * row)
        figure.update_yaxes(domain=[1 - (i + 1) / count, top], row=i + 1, col=1)
        figure.add_annotation(_heading(headings[i], top))
    return figure.update_layout(height=height(count, row))


def _heading(text: str, top: float) -> dict[str, Any]:
    return {
        "text": text,
        "showarrow": False,
        "borderpad": 1,
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": top,
        "yref": "paper",
        "yanchor": "bottom",
    }


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """Where a log axis from `low` to `high` has its ticks: 1, 2, 5 of each power, or the powers."""
    from math import ceil, floor, log10

    first, last = log10(low), log10(high)
    digits = (1, 2, 5) if last - first < 2.5 else (1,)
    values = [
        float(f"{digit}e{power}")
        for power in range(floor(first), ceil(last) + 1)
        for digit in digits
    ]
    values = [value for value in values if first - 0.05 <= log10(value) <= last + 0.05]
    plain = all(1e-4 <= value < 1e5 for value in values)
    texts = [f"{v:g}" if plain else power(v, "<sup>", "</sup>") for v in values]
    return {"type": "log", "tickvals": values, "ticktext": texts}


def power(value: float, before: str = "", after: str = "") -> str:
    """A small number as people write it: 1.7 · 10⁻⁶; the power between marks, if there are any."""
    digits, exponent = f"{value:.1e}".split("e")
    digits = digits.removesuffix(".0")
    raised = str(int(exponent)).replace("-", "−")
    if not before:
        raised = raised.translate(str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ("" if digits == "1" else f"{digits}\u2009·\u2009") + f"10{before}{raised}{after}"
