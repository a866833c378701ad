"""Tables of the page: what stands in a cell, and what it is sorted by."""

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

import numpy as np

from featflow.wording import page_percent

UNKNOWN = "–"


class Column(NamedTuple):
    """A column; neighbours of the same group have a heading together."""

    name: str
    group: str = ""
    is_text: bool = False


class Cell(NamedTuple):
    """What a cell says, and how."""

    text: str
    key: float | None = None
    """Sorts the column, where the text does not."""
    look: str = ""
    """A class of the style sheet: `own` (emphasis), `code`."""
    bar: tuple[float, float | None] | None = None
    """A share and its ceiling, drawn beside the text."""
    line: str = ""
    """Points "x,y …" of a small curve in a box of LINE, drawn beside the text."""
    meaning: str = ""
    """What the curve shows, for those who do not see it."""


class Table(NamedTuple):
    """A table with its caption."""

    id: str
    caption: str
    columns: list[Column]
    rows: list[list[Cell]]
    note: str = ""
    """What the columns mean."""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The headings over the columns, and how many columns each spans; none: no such row."""
        if not any(column.group for column in self.columns):
            return []
        return [(g, len(list(those))) for g, those in groupby(c.group for c in self.columns)]


LINE = (120, 26)
"""Width and height of a small curve."""


def text(value: object, look: str = "") -> Cell:
    """Words."""
    return Cell(str(value), look=look)


HUGE = 1e9
"""A number that nobody reads digit by digit."""


def count(value: float | None) -> Cell:
    """A number of things."""
    return _known(value, lambda known: f"{known:,.0f}")


def number(value: float | None, digits: int = 3, look: str = "") -> Cell:
    """A number with so many decimals; a huge one, such as the perplexity of a model that is no
    good, with three significant digits."""
    return _known(
        value, lambda known: f"{known:,.{digits}f}" if abs(known) < HUGE else f"{known:.3g}", look
    )


def small(value: float | None) -> Cell:
    """A number with three significant digits."""
    return _known(value, lambda known: f"{known:.3g}")


def share(value: float | None) -> Cell:
    """A part of a whole."""
    return _known(value, page_percent)


def curve(values: np.ndarray, points: int = 60) -> str:
    """The points of a small curve through the means of equally many neighbouring values."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return ""
    means = np.array([part.mean() for part in np.array_split(values, min(points, len(values)))])
    x = np.linspace(1, LINE[0] - 1, len(means))
    y = 1 + (LINE[1] - 2) * (1 - (means - means.min()) / (np.ptp(means) or 1))
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _known(value: float | None, said: Callable[[float], str], look: str = "") -> Cell:
    if value is None or value != value:
        return Cell(UNKNOWN)
    return Cell(said(value), key=float(value), look=look)
