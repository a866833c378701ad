"""Figure `case`: the same passages under each model's matched feature (the paper's Figure 3).

A strip of tokens a model, shaded by the activation of its feature; where the feature vanishes, its
nearest miss, in another colour, and passages on which the miss fires alone (its Figure 4).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.config.figures import CaseFigure
from featflow.figures.case_words import MISSED, SHADE, heading, label, texts
from featflow.figures.strips import Box, boxes, escaped, shown
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.analysis import case_slice
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WIDTH, LABELS = 868, 258
"""Units of the x axis (pixels in an image), and where the strips begin."""

LINE, HEAD, LABEL, GAP = 21, 30, 36, 8
"""Pixels of a line of tokens, a passage's heading, a strip's label, and between strips."""

MISSES = 2
"""Passages a nearest miss."""

NO_ROW = 0.6
"""Opacity of tokens that are no rows of the probe."""


class Strip(NamedTuple):
    """A passage under one model's feature."""

    model: str
    top: float
    tokens: list[str]
    places: list[Box]
    values: list[float | None]
    marked: list[bool | None]


def inputs(slices: Slices, figure: CaseFigure) -> list[str]:
    """The case."""
    return [paths.CASE.at(study=slices.name, case=figure.case)]


def models(slices: Slices, figure: CaseFigure) -> Iterable[str]:
    """Those in which the feature is followed."""
    return case_slice(slices, figure.case).models


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Passages one below the other, in each a strip a model.

    The trace `tokens` holds a bar a token; its `meta` names the models in the strips' order.
    """
    from plotly import graph_objects as go

    from featflow.artifacts.io import load_json
    from featflow.figures.style import TITLE

    case = load_json(Path(files[0]))
    strips, headings, height = _strips(case)
    figure = go.Figure([_bars(case, strips), *_texts(strips)])
    for top, text in headings:
        figure.add_annotation(_written(text, 0, top))
    for strip in strips:
        figure.add_annotation(_written(label(case, strip.model), 0, strip.top))
    hidden = {"visible": False, "fixedrange": True}
    return figure.update_layout(
        width=WIDTH + 24,  # letters keep their size, and so must the boxes that they stand in
        height=TITLE + 24 + height,
        barmode="overlay",
        showlegend=False,
        xaxis={**hidden, "range": [0, WIDTH]},
        yaxis={**hidden, "range": [height, 0]},
        **texts(case, WIDTH + 24),
    )


def _strips(case: Mapping[str, Any]) -> tuple[list[Strip], list[tuple[float, str]], float]:
    """Every strip, the headings with their places, and the height of all."""
    order = [m for m in case["r"]["models"] if case["models"][m]["feature"] is not None]
    first, blocks, seen = case["model"], [], dict.fromkeys(order, 0)
    for passage in case["passages"]:
        blocks.append((heading(passage), passage, order))
    for miss in case["misses"]:
        model = miss["model"]
        if seen[model] < MISSES:
            text = f"{heading(miss)}: {model}'s nearest miss fires, {first}'s feature does not"
            blocks.append((text, miss, [first, model]))
            seen[model] += 1
    strips, headings, y = [], [], 0.0
    for text, passage, models in blocks:
        headings.append((y, text))
        y += HEAD
        tokens = [shown(token) for token in passage["texts"]]
        places = boxes(tokens, LABELS, WIDTH)
        tall = max((places[-1].line + 1) * LINE if places else 0, LABEL) + GAP
        for model in models:
            values = passage["values"][model]
            strips.append(Strip(model, y, tokens, places, values, passage["marked"]))
            y += tall
        y += GAP
    return strips, headings, max(y, LINE)


def _colour(case: Mapping[str, Any], model: str) -> str:
    from featflow.figures.style import BLUE, VERMILLION

    return VERMILLION if case["models"][model]["verdict"] in MISSED else BLUE


def _bars(case: Mapping[str, Any], strips: Sequence[Strip]) -> Any:
    """A box a token, shaded by its activation; the tokens of the case are framed."""
    from plotly import graph_objects as go

    from featflow.figures.style import GREY, faded

    bars: dict[str, list[Any]] = {key: [] for key in ("base", "x", "y", "fill", "frame", "text")}
    for strip in strips:
        colour = _colour(case, strip.model)
        for token, box, value, marked in zip(
            strip.tokens, strip.places, strip.values, strip.marked, strict=True
        ):
            share = min((value or 0) / (case["models"][strip.model]["max"] or 1), 1)
            bars["base"].append(box.x)
            bars["x"].append(box.width)
            bars["y"].append(strip.top + (box.line + 0.5) * LINE)
            bars["fill"].append(faded(colour, round(SHADE * share, 3)))
            bars["frame"].append(1.5 if marked else 0)
            said = "no row of the probe" if value is None else f"{value:.3g}"
            feature = case["models"][strip.model]["feature"]
            bars["text"].append(f"{escaped(token)}<br>{strip.model} {feature}: {said}")
    return go.Bar(
        base=bars["base"],
        x=bars["x"],
        y=bars["y"],
        width=LINE - 3,
        orientation="h",
        marker={"color": bars["fill"], "line": {"color": GREY, "width": bars["frame"]}},
        hovertext=bars["text"],
        hovertemplate="%{hovertext}<extra></extra>",
        name="tokens",
        meta={"models": [strip.model for strip in strips]},
    )


def _texts(strips: Sequence[Strip]) -> list[Any]:
    """The tokens' text: rows of the probe, then what lies between them, paler."""
    from plotly import graph_objects as go

    from featflow.figures.strips import MONOSPACE

    traces = []
    for row, opacity in ((True, 1.0), (False, NO_ROW)):
        letters = [
            (box.x, strip.top + (box.line + 0.5) * LINE, escaped(token))
            for strip in strips
            for token, box, value in zip(strip.tokens, strip.places, strip.values, strict=True)
            if (value is not None) == row
        ]
        x, y, text = zip(*letters, strict=True) if letters else ((), (), ())
        traces.append(
            go.Scatter(
                x=list(x),
                y=list(y),
                text=list(text),
                mode="text",
                textposition="middle right",
                textfont={"family": MONOSPACE, "size": 12},
                opacity=opacity,
                hoverinfo="skip",
                name="rows of the probe" if row else "other tokens",
            )
        )
    return traces


def _written(text: str, x: float, y: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "x",
        "yref": "y",
        "align": "left",
        "xanchor": "left",
        "yanchor": "top",
        "showarrow": False,
        "borderpad": 1,
    }
