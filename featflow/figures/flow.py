"""Figure `flow`: a Sankey of where every feature went, from the bases to the last models.

A model's node is as tall as its living features, whatever its place in the lineage: equal numbers
are equal heights. Those that persist run to the child as a band, as tall at the child as its
features that are traced to this parent. What persists into no child ends in a stub beside the
parent, what a child has and no parent had enters as a stub beside the child. A feature that
persists into several children is in several bands, which overlap at the node.
"""

from collections.abc import Iterable, Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

from featflow.analysis.edge_words import SCOPES, has_lent_ceiling, share_in_words
from featflow.config.figures import FlowFigure
from featflow.config.graph import edges
from featflow.figures.bands import NODE, Band, Box, Places, Size, outline, place
from featflow.figures.files import matching
from featflow.figures.graph import ordered
from featflow.figures.style import BLUE, GREY, ORANGE, TITLE, faded, percent
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

Row = dict[str, Any]
"""A row of edges.csv, with its parent and child."""


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
        title={"text": "Where every feature went", "subtitle": {"text": _subtitle(sae, rows)}},
        meta={**_words(rows, chains, _colours()), "min_width": COLUMN * len(columns)},
    )
    return figure


def _nothing(sae: str) -> "Figure":
    """A figure that says why it is empty: every edge needs the SAE on both of its sides."""
    from plotly import graph_objects as go

    layout = {**_layout(120), "height": TITLE + 120}
    text = f"Nothing to draw: no model and its parent both have the SAE {sae}."
    said = {"x": 0.5, "y": 60, "text": text, "showarrow": False}
    title = {"text": "Where every feature went", "subtitle": {"text": _subtitle(sae, [])}}
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
        x,
        y,
        _colours()[band.kind],
        _in_words(band, rows),
        name=f"{band.edge} {band.kind}",
        meta=meta,
    )


def _node(name: str, box: Box, rows: list[Row]) -> Any:
    right = box.left + NODE
    x = [box.left, right, right, box.left, box.left]
    y = [box.top, box.top, box.bottom, box.bottom, box.top]
    _, silent, rare = _standing(name, rows)
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
    hidden = {"visible": False, "fixedrange": True}
    return {
        "height": height + TITLE,
        "margin": {"l": MARGIN, "r": MARGIN, "t": MARGIN + TITLE, "b": MARGIN},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**hidden, "range": [0, 1]},
        "yaxis": {**hidden, "range": [height - 2 * MARGIN, 0]},
    }


def label(row: Row) -> list[str]:
    """What stands in an edge's band: what persists, and between what that lies."""
    ends = [f"{name} {percent(row[name])}" for name in ("floor", "ceiling") if not isnan(row[name])]
    if _lent(row):
        ends[-1] += "*"
    return [
        f"{row['persisting']:,} persist ({percent(row['share'])})",
        ", ".join(ends) or "no floor, no ceiling",
    ]


def _subtitle(sae: str, rows: list[Row]) -> str:
    """What the numbers are about."""
    if not rows:
        return f"SAE {sae}: no edge of the lineage has it on both sides."
    first = rows[0]
    return (
        f"SAE {sae}: the same feature is r > {first['threshold']:g}, scope {first['scope']} "
        f"({SCOPES[first['scope']]}). Heights are numbers of features, on one scale."
    )


def _in_words(band: Band, rows: list[Row]) -> str:
    """A band in words; its share stands beside its floor, its ceiling and its interval."""
    if band.kind == "emerging":
        row = next(row for row in rows if row["child"] == band.target)
        lost = f"{percent(1 - row['traced_share'])}; {_lost(row, floor=False)}"
        return f"{band.features:,} of {row['child_features']:,} emerge in {band.target} ({lost})"
    if band.kind == "disappearing":
        down = [row for row in rows if row["parent"] == band.source]
        each = [
            f"{row['disappearing']:,} of {row['parent_features']:,} features of {row['parent']} "
            f"disappear in {row['child']} ({percent(1 - row['share'])}; {_lost(row)})"
            for row in down
        ]
        head = [f"{band.features:,} disappear in every child"] if len(down) > 1 else []
        return "<br>".join([*head, *each])
    row = next(row for row in rows if row["edge"] == band.edge)
    of = f"of {row['parent_features']:,} features of {row['parent']}"
    origin = "from a base" if band.kind == "derived" else "emerged after it"
    traced = f"{row['traced_here']:,} features of {row['child']} are traced to {row['parent']}"
    return (
        f"{row['persisting']:,} {of} persist into {row['child']}<br>"
        f"{'<br>'.join(share_in_words(row))}<br>{band.features:,} of these {origin}<br>"
        f"{traced}"
    )


def _lost(row: Row, floor: bool = True) -> str:
    """What is lost where nothing, and where everything, has changed."""
    if isnan(row["ceiling"]):
        return "no reseed to compare"
    words = f"of a reseed's features {percent(1 - row['ceiling'])}{_lent(row)}"
    if floor and not isnan(row["floor"]):
        words += f", of an {_model(row)} model's {percent(1 - row['floor'])}"
    return words


def _lent(row: Row) -> str:
    return f" (of {row['ceiling_of']})" if has_lent_ceiling(row) else ""


def _model(row: Row) -> str:
    return "unrelated" if row["floor_of"].startswith("unrelated") else "untrained"


def _standing(model: str, rows: list[Row]) -> tuple[int, int, int]:
    """Living, silent and rare features, as on the model's first edge."""
    for end in ("child", "parent"):
        for row in rows:
            if row[end] == model:
                return tuple(row[f"{end}_{what}"] for what in ("features", "silent", "rare"))
    raise KeyError(model)


def _words(rows: list[Row], chains: "pd.DataFrame", colours: Mapping[str, str]) -> dict[str, Any]:
    """What stands around the figure: the colours, the numbers, what is left out."""
    from featflow.analysis.chain_counts import chain_counts
    from featflow.analysis.quality import each_once

    notes = [
        f"{row['parent']} → {row['child']}: {row['persisting']:,} of {row['parent_features']:,} "
        f"persist: {'; '.join(share_in_words(row))}; one to one {row['one_to_one']:,}."
        for row in rows
    ]
    notes += [
        f"{row['parent']} → {row['child']}: the SAEs’ L0, {row['l0_parent']:.1f} and "
        f"{row['l0_child']:.1f}, differ by more than 10 %."
        for row in rows
        if row["l0_differs"]
    ]
    counts = chain_counts(chains).to_dict("records")
    notes += [f"{c['model']}: {c['features']:,} of {c['of']:,} {c['statement']}." for c in counts]
    notes += [f"{remark}." for remark in each_once(rows)]
    models = dict.fromkeys(row[end] for end in ("parent", "child") for row in rows)
    silent, rare = (
        ", ".join(f"{model} {_standing(model, rows)[i]:,}" for model in models) for i in (1, 2)
    )
    lent = next((row["ceiling_of"] for row in rows if _lent(row)), None)
    star = f"*: no reseed of either model; the ceiling of {lent}. " if lent else ""
    return {
        "legend": [
            [colours["derived"], "persists, from a base"],
            [colours["later"], "persists, emerged later"],
            [colours["disappearing"], "disappears"],
            [colours["emerging"], "emerges: in no parent"],
        ],
        "notes": notes,
        "footnote": f"{star}Left out: silent features ({silent}) and rare ones ({rare}). The "
        "ceiling is the share that another seed of the same SAE finds again, the floor that which "
        "an unrelated model has, or one with random weights; corrected: (share − floor) / (ceiling "
        "− floor). Bars are as tall as their living features; a band is as tall as the features "
        "that persist where it leaves, and as those traced to this parent where it arrives. What "
        "persists into several children is in several bands, which overlap at the bar.",
    }
