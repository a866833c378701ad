"""Where the parts of the flow figure lie: nodes in columns, bands between them, on one scale.

x runs from 0 to 1 over the generations, y downwards in pixels.
"""

from collections.abc import Mapping, Sequence
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
    """Of the source, as high as the band is there; of what emerges, of the target."""
    edge: str
    """The edge that it belongs to; of a stub, the model."""
    entering: int = 0
    """Features of the target that are traced to the source, as high as the band is there."""

    def size(self, end: int) -> int:
        """Features at its source (0) or at its target (1)."""
        is_stub = self.source is None or self.target is None
        return self.features if end == 0 or is_stub else self.entering


class Size(NamedTuple):
    """Features of a model."""

    living: int
    kept: int
    """Of these, such as persist into any child."""
    traced: int
    """Such as are traced to any parent."""


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
    """Pixels a feature: of every node, and of every band at either end."""


def place(
    columns: Columns, bands: Sequence[Band], sizes: Mapping[str, Size], height: float
) -> Places:
    """Place nodes and bands in a height of so many pixels.

    A node is as tall as its living features; columns are centred on one another. On each side of a
    node lies what persists into any child (is traced to any parent), beside it the stub of the
    rest. The bands of several edges share that stretch: as a feature may persist into several
    children, they overlap there, two of them by exactly the features that are in both.
    """
    names = [name for column in columns for name in column]
    rooms = [(height - LABEL * len(c)) / max(sum(sizes[n].living for n in c), 1) for c in columns]
    scale = max(min(rooms, default=1.0), 0.0)
    step = (1 - NODE) / max(len(columns) - 1, 1)
    boxes: dict[str, Box] = {}
    for i, column in enumerate(columns):
        y = (height - sum(LABEL + sizes[name].living * scale for name in column)) / 2
        for name in column:
            boxes[name] = Box(i * step, y + LABEL, y + LABEL + sizes[name].living * scale)
            y = boxes[name].bottom
    tops: Tops = {}
    for name in names:
        for end, matched in ((0, sizes[name].kept), (1, sizes[name].traced)):
            tops |= _tops([b for b in bands if b[end] == name], end, boxes, name, matched, scale)
    return Places(boxes, {band: _ends(band, boxes, tops, STUB * step) for band in bands}, scale)


def _tops(
    own: Sequence[Band], end: int, boxes: dict[str, Box], name: str, matched: int, scale: float
) -> Tops:
    """The upper sides of the bands at one side of a node.

    Args:
        own: the bands of that side.
        end: 0: they leave, 1: they enter.
        boxes: the nodes.
        name: the node.
        matched: its features that are in any of the bands that have two ends.
        scale: pixels a feature.
    """
    stubs = [band for band in own if band[1 - end] is None]
    edges: dict[str, list[Band]] = {}
    for band in own:
        if (other := band.source if end else band.target) is not None:
            edges.setdefault(other, []).append(band)
    order = sorted(edges, key=lambda other: (boxes[other].middle, other))
    heights = [sum(band.size(end) for band in edges[other]) for other in order]
    matched = max([matched, *heights], default=0)
    missing, box = sum(band.size(end) for band in stubs), boxes[name]
    is_above = bool(order) and boxes[order[0]].middle > box.middle  # all bands go down
    begin = box.top + (missing * scale if is_above else 0)
    tops: Tops = {(band, end): box.top if is_above else begin + matched * scale for band in stubs}
    for i, (other, height) in enumerate(zip(order, heights, strict=True)):
        share = i / (len(order) - 1) if len(order) > 1 else 0.0
        y = begin + share * (matched - height) * scale
        for band in edges[other]:
            tops[band, end] = y
            y += band.size(end) * scale
    return tops


def _ends(band: Band, boxes: dict[str, Box], tops: Tops, reach: float) -> tuple[Point, Point]:
    if band.source is None and band.target is not None:
        x, y = boxes[band.target].left, tops[band, 1]
        return (x - reach, y), (x, y)
    assert band.source is not None  # a band has at least one end
    x, y = boxes[band.source].left + NODE, tops[band, 0]
    if band.target is None:
        return (x, y), (x + reach, y)
    return (x, y), (boxes[band.target].left, tops[band, 1])


def outline(
    start: Point, end: Point, thickness: tuple[float, float]
) -> tuple[list[float], list[float]]:
    """The closed outline of a band that leaves and arrives level.

    Args:
        start: its upper side's begin.
        end: its upper side's end.
        thickness: its height at either.
    """
    share = [i / STEPS for i in range(STEPS + 1)]
    eased = [u * u * (3 - 2 * u) for u in share]
    x = [start[0] + u * (end[0] - start[0]) for u in share]
    upper = [start[1] + w * (end[1] - start[1]) for w in eased]
    first, last = thickness
    lower = [y + first + w * (last - first) for y, w in zip(upper, eased, strict=True)]
    return [*x, *reversed(x), x[0]], [*upper, *reversed(lower), upper[0]]
