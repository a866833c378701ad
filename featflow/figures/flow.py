"""Figure `flow`: a Sankey of where every feature went, from the bases to the last models.

A model's node is as tall as its living features, whatever its place in the lineage: equal numbers
are equal heights. Those that persist run to the child as a band, as tall at the child as its
features that are traced to this parent. What persists into no child ends in a stub beside the
parent, what a child has and no parent had enters as a stub beside the child. A feature that
persists into several children is in several bands, which overlap at the node.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from featflow.config.figures import FlowFigure
from featflow.config.graph import edges
from featflow.figures.bands import NODE, Band, Box, Places, Size, outline, place
from featflow.figures.files import matching
from featflow.figures.flow_words import Row, label, said, standing, subtitle, texts
from featflow.figures.graph import ordered
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

MARGIN = 12

COLUMN = 160
"""Pixels of a generation that its labels need."""

LINE = 14
"""Pixels of a band that a line of its label needs; thinner bands speak when pointed at."""


def inputs(slices: Slices, figure: FlowFigure) -> list[str]:
    """The edges, the features and the chains of one SAE's flow."""
    sae = figure.sae or slices.study.flow_saes[0]
    templates = (paths.FLOW_EDGES, paths.FLOW_FEATURES, paths.FLOW_CHAINS)
    return [template.at(study=slices.name, sae=sae) for template in templates]


def models(slices: Slices, figure: FlowFigure) -> Iterable[str]:
    """Those of its edges."""
    sae = figure.sae or slices.study.flow_saes[0]
    return [name for edge in edges(slices.study, sae) for name in edge]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """The Sankey of an SAE's flow.

    Every band is a trace whose `meta` holds its edge, its kind and its features.
    """
    from plotly import graph_objects as go

    from featflow.artifacts.io import load_table

    ((sae, file),) = matching(files, paths.FLOW_EDGES, "sae").items()
    features = load_table(matching(files, paths.FLOW_FEATURES, "sae")[sae])
    chains = load_table(matching(files, paths.FLOW_CHAINS, "sae")[sae])
    rows = [_row(row) for row in load_table(file).to_dict("records")]
    if not rows:
        return _nothing(sae)
    bands = bands_of(rows, features, chains)
    drawn = {row[end] for row in rows for end in ("parent", "child")}
    columns = [[name for name in column if name in drawn] for column in ordered(cfg.models)]
    columns = [column for column in columns if column]
    height = cfg.settings.height  # type: ignore[union-attr]
    sizes = {name: size_of(name, rows) for name in drawn}
    places = place(columns, bands, sizes, height - 2 * MARGIN)
    stubs_first = sorted(
        bands, key=lambda band: band.source is not None and band.target is not None
    )
    figure = go.Figure([_band(band, places, rows) for band in stubs_first])
    figure.add_traces([_node(name, box, rows) for name, box in places.boxes.items()])
    figure.update_layout(
        _layout(height),
        annotations=[*_node_labels(places, rows), *_band_labels(places, rows)],
        title={"text": "Where every feature went", "subtitle": {"text": subtitle(sae, rows)}},
        meta={**texts(rows, chains, _colours()), "min_width": COLUMN * len(columns)},
    )
    return figure


def _nothing(sae: str) -> "Figure":
    """A figure that says why it is empty: every edge needs the SAE on both of its sides."""
    from plotly import graph_objects as go

    from featflow.figures.style import TITLE

    layout = {**_layout(120), "height": TITLE + 120}
    text = f"Nothing to draw: no model and its parent both have the SAE {sae}."
    said = {"x": 0.5, "y": 60, "text": text, "showarrow": False}
    title = {"text": "Where every feature went", "subtitle": {"text": subtitle(sae, [])}}
    return go.Figure(layout={**layout, "annotations": [said], "title": title})


def _row(row: dict[Any, Any]) -> Row:
    parent, child = row["edge"].split("-")
    return {**row, "parent": parent, "child": child}


def size_of(model: str, rows: list[Row]) -> Size:
    """How many features of a model live, persist into any child, are traced to any parent.

    Under `flow.scope: intersection` and `union` each edge judges a model on its own corpora: the
    largest number stands for it.
    """
    down = [row for row in rows if row["parent"] == model]
    up = [row for row in rows if row["child"] == model]
    kept = max((row["persisting_anywhere"] for row in down), default=0)
    traced = max((row["traced"] for row in up), default=0)
    living = [row["parent_features"] for row in down] + [row["child_features"] for row in up]
    return Size(max([*living, kept, traced]), kept, traced)


def bands_of(rows: list[Row], features: "pd.DataFrame", chains: "pd.DataFrame") -> list[Band]:
    """What flows on each edge, what is in no child of a parent, and what emerges in each child.

    What persists is split into features that links lead back to a base (`derived`) and those that
    emerged in the parent or on the way to it (`later`).
    """
    bands: list[Band] = []
    for row in rows:
        parent, child, edge = row["parent"], row["child"], row["edge"]
        here = features[features["edge"] == edge]
        kept = here.loc[(here["role"] == "parent") & (here["fate"] == "persisting"), "feature"]
        living = (here["role"] == "child") & ~here["fate"].isin(["silent", "rare"])
        traced = here.loc[living & (here["r"] > row["threshold"]), "partner"]
        known = _from_a_base(parent, rows, features, chains)
        derived, entering = (
            len(those) if known is None else int(those.isin(known).sum())
            for those in (kept, traced)
        )
        later = len(kept) - derived, row["traced_here"] - entering
        bands += [
            Band(parent, child, "derived", derived, edge, entering),
            Band(parent, child, "later", later[0], edge, later[1]),
        ]
    for parent in dict.fromkeys(row["parent"] for row in rows):
        size = size_of(parent, rows)
        bands.append(Band(parent, None, "disappearing", size.living - size.kept, parent))
    for row in {row["child"]: row for row in reversed(rows)}.values():
        bands.append(Band(None, row["child"], "emerging", row["emerging"], row["child"]))
    return [band for band in bands if band.features or band.entering]


def _from_a_base(
    model: str, rows: list[Row], features: "pd.DataFrame", chains: "pd.DataFrame"
) -> "pd.Series | None":
    """The features of a model that links lead back to a base; None for a base: all of them."""
    if all(row["child"] != model for row in rows):
        return None
    far = chains[(chains["role"] == "descendant") & (chains["model"] == model)]
    if len(far):
        return far.loc[far["status"] == "base-derived", "feature"]
    own = features[(features["role"] == "child") & (features["model"] == model)]
    return own.loc[own["fate"] == "persisting", "feature"]


def _colours() -> dict[str, str]:
    from featflow.figures.style import BLUE, GREY, ORANGE, faded

    return {
        "derived": faded(BLUE, 0.6),
        "later": faded(ORANGE, 0.75),
        "disappearing": faded(GREY, 0.35),
        "emerging": faded(ORANGE, 0.35),
    }


def _filled(x: list[float], y: list[float], colour: str, text: str, **more: Any) -> Any:
    from plotly import graph_objects as go

    return go.Scatter(
        x=x,
        y=y,
        fill="toself",
        fillcolor=colour,
        mode="lines",
        line={"width": 0},
        hoveron="fills",
        hoverinfo="text",
        text=text,
        **more,
    )


def _band(band: Band, places: Places, rows: list[Row]) -> Any:
    thickness = band.features * places.scale, band.size(1) * places.scale
    x, y = outline(*places.bands[band], thickness)
    meta = {
        "edge": band.edge,
        "kind": band.kind,
        "features": band.features,
        "entering": band.entering,
    }
    return _filled(
        x, y, _colours()[band.kind], said(band, rows), name=f"{band.edge} {band.kind}", meta=meta
    )


def _node(name: str, box: Box, rows: list[Row]) -> Any:
    from featflow.figures.style import GREY

    right = box.left + NODE
    x = [box.left, right, right, box.left, box.left]
    y = [box.top, box.top, box.bottom, box.bottom, box.top]
    _, silent, rare = standing(name, rows)
    living = size_of(name, rows).living
    text = f"{name}: {living:,} living features, {silent:,} silent, {rare:,} rare"
    return _filled(x, y, GREY, text, name=name, meta={"model": name, "living": living})


def _node_labels(places: Places, rows: list[Row]) -> list[dict[str, Any]]:
    """Above each node its name and its living features."""
    last = max((box.left for box in places.boxes.values()), default=0.0)
    labels = []
    for name, box in places.boxes.items():
        side = "left" if box.left == 0 else "right" if box.left == last else "center"
        x = box.left + {"left": 0, "center": NODE / 2, "right": NODE}[side]
        text = f"<b>{name}</b><br>{size_of(name, rows).living:,} living"
        labels.append(_text(x, box.top, text, side, "bottom"))
    return labels


def _band_labels(places: Places, rows: list[Row]) -> list[dict[str, Any]]:
    """In each edge's band what persists, with its share; in the stubs the other counts."""
    labels = []
    for row in rows:
        labels += _on_edge(row, places)
    for band, (start, end) in places.bands.items():
        height = band.features * places.scale
        if band.kind == "disappearing":
            children = [row["child"] for row in rows if row["parent"] == band.source]
            where = f"in {children[0]}" if len(children) == 1 else "in every child"
            labels += _inside(start, height, [f"{band.features:,} disappear", where], "left")
        elif band.kind == "emerging":
            labels += _inside(end, height, [f"{band.features:,} emerge"], "right")
    return labels


def _on_edge(row: Row, places: Places) -> list[dict[str, Any]]:
    """The label of an edge, halfway along its bands, where those of one node have parted."""
    bands = [b for b in places.bands if b.edge == row["edge"]]
    if not bands:
        return []
    ends = [
        min(places.bands[band][end][1] for band in bands)
        + sum(band.size(end) for band in bands) * places.scale / 2
        for end in (0, 1)
    ]
    middle = sum(band.size(end) for band in bands for end in (0, 1)) * places.scale / 2
    lines = label(row)
    if middle < LINE * len(lines):
        return []
    x = sum(point[0] for point in places.bands[bands[0]]) / 2
    return [_text(x, sum(ends) / 2, "<br>".join(lines), "center", "middle")]


def _inside(
    corner: tuple[float, float], height: float, lines: list[str], side: str
) -> list[dict[str, Any]]:
    """A label in the middle of a stub's end, where the stub is tall enough for it."""
    if height < LINE * len(lines):
        return []
    x = corner[0] + NODE / 2 * (1 if side == "left" else -1)
    return [_text(x, corner[1] + height / 2, "<br>".join(lines), side, "middle")]


def _text(x: float, y: float, text: str, align: str, yanchor: str) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "text": text,
        "align": align,
        "xanchor": align,
        "yanchor": yanchor,
        "showarrow": False,
        "bgcolor": "rgba(0,0,0,0)",
        "borderpad": 0,
    }


def _layout(height: int) -> dict[str, Any]:
    from featflow.figures.style import TITLE

    hidden = {"visible": False, "fixedrange": True}
    return {
        "height": height + TITLE,
        "margin": {"l": MARGIN, "r": MARGIN, "t": MARGIN + TITLE, "b": MARGIN},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**hidden, "range": [0, 1]},
        "yaxis": {**hidden, "range": [height - 2 * MARGIN, 0]},
    }
