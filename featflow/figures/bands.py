"""Where the parts of the flow figure lie: nodes in columns, bands between them, without crossings.

x runs from 0 to 1 over the generations, y downwards in pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

NODE = 0.012
"""Width of a node, as a share of the figure's."""

LABEL = 42
"""Pixels above a node for its label."""

STUB = 0.3
"""How far a stub reaches towards the next column."""

STEPS = 24
"""Stretches along the side of a band."""

Columns = Sequence[Sequence[str]]
Point = tuple[float, float]


class Band(NamedTuple):
    """Features that go from a node to a node.

    Those that disappear have no target, those that emerge no source: they are stubs.
    """

    source: str | None
    target: str | None
    kind: str
    features: int
    edge: str
    """The edge that it belongs to; of what emerges, the child."""


Tops = dict[tuple[Band, int], float]
"""The upper side of each band at its source (0) and at its target (1)."""


class Box(NamedTuple):
    """A node."""

    left: float
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        """Halfway down."""
        return (self.top + self.bottom) / 2


class Places(NamedTuple):
    """Everything's place."""

    boxes: dict[str, Box]
    bands: dict[Band, tuple[Point, Point]]
    """Where the upper side of each band starts and ends."""
    scale: float
    """Pixels a feature."""


def place(columns: Columns, bands: Sequence[Band], height: float) -> Places:
    """Place nodes and bands in a height of so many pixels.

    A node is as tall as all that leaves it or all that enters it; columns are centred on one
    another. At a node, bands lie in the order of where they go to or come from, its stubs between
    those from above and those from below.
    """
    names = [name for column in columns for name in column]
    size = {name: max(_total(bands, 0, name), _total(bands, 1, name)) for name in names}
    room = [(height - LABEL * len(c)) / max(sum(size[n] for n in c), 1) for c in columns]
    scale = max(min(room, default=1.0), 0.0)
    step = (1 - NODE) / max(len(columns) - 1, 1)
    boxes: dict[str, Box] = {}
    for i, column in enumerate(columns):
        y = (height - sum(LABEL + size[name] * scale for name in column)) / 2
        for name in column:
            boxes[name] = Box(i * step, y + LABEL, y + LABEL + size[name] * scale)
            y = boxes[name].bottom
    tops = _tops(bands, boxes, scale)
    return Places(boxes, {band: _ends(band, boxes, tops, STUB * step) for band in bands}, scale)


def _ends(band: Band, boxes: dict[str, Box], tops: Tops, reach: float) -> tuple[Point, Point]:
    if band.source is None and band.target is not None:
        x, y = boxes[band.target].left, tops[band, 1]
        return (x - reach, y), (x, y)
    assert band.source is not None  # a band has at least one end
    x, y = boxes[band.source].left + NODE, tops[band, 0]
    if band.target is None:
        return (x, y), (x + reach, y)
    return (x, y), (boxes[band.target].left, tops[band, 1])


def _total(bands: Sequence[Band], end: int, name: str) -> int:
    return sum(band.features for band in bands if band[end] == name)


def _tops(bands: Sequence[Band], boxes: dict[str, Box], scale: float) -> Tops:
    """The upper side of each band where it leaves (0) and where it enters (1) a node."""
    tops: Tops = {}
    for end in (0, 1, 0):
        for name, box in boxes.items():
            y = box.top
            own = [band for band in bands if band[end] == name]
            for band in _in_order(own, end, box, boxes, tops, scale):
                tops[band, end] = y
                y += band.features * scale
    return tops


def _in_order(
    own: list[Band], end: int, box: Box, boxes: dict[str, Box], tops: Tops, scale: float
) -> list[Band]:
    """The bands of a side of a node, by where their other ends lie.

    Bands to the same node stay together, so that no stub comes between them.
    """

    def there(band: Band) -> str | None:
        return band.source if end else band.target

    def other(band: Band) -> float:
        name = there(band)
        if name is None:  # a stub
            return box.middle
        if (band, 1 - end) in tops:
            return tops[band, 1 - end] + band.features * scale / 2
        return boxes[name].middle

    ways: dict[str | None, list[float]] = {}
    for band in own:
        ways.setdefault(there(band), []).append(other(band))
    centres = {name: sum(places) / len(places) for name, places in ways.items()}
    return sorted(own, key=lambda b: (centres[there(b)], there(b) or "", other(b)))


def outline(start: Point, end: Point, thickness: float) -> tuple[list[float], list[float]]:
    """The closed outline of a band that leaves and arrives level, given its upper side's ends."""
    share = [i / STEPS for i in range(STEPS + 1)]
    x = [start[0] + u * (end[0] - start[0]) for u in share]
    upper = [start[1] + u * u * (3 - 2 * u) * (end[1] - start[1]) for u in share]
    lower = [y + thickness for y in reversed(upper)]
    return [*x, *reversed(x), x[0]], [*upper, *lower, upper[0]]
