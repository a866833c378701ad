"""Figure `case`: the same passages under each model's matched feature (the paper's Figure 3).

A strip of tokens a model, shaded by the activation of its feature; where the feature vanishes, its
nearest miss, in another colour, and passages on which the miss fires alone (its Figure 4).

Text from a corpus is shown as it is, never interpreted: plotly reads a part of HTML in its texts,
and a browser obeys bidirectional controls.
"""

import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.config.figures import CaseFigure
from featflow.figures.style import BLUE, GREY, TITLE, VERMILLION, faded, percent
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

LETTER = 7.25
"""Pixels of a letter of 12 px in the usual monospace fonts (0.6 em), in units of the x axis."""

LONGEST = 28
"""Letters of a token that are shown."""

MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

SIGNS = {"\n": "↵", "\t": "→", "\r": "␍", " ": "\u00a0", "\x7f": "␡"}

MISSES = 2
"""Passages a nearest miss."""

NO_ROW = 0.6
"""Opacity of tokens that are no rows of the probe."""

SHADE = 0.65
"""How opaque the strongest activation is: text on it keeps its contrast, light and dark."""

MISSED = ("vanishes", "lost", "absent", "unjudged")
"""Verdicts on a model whose feature is not the one that is followed."""


class Box(NamedTuple):
    """Where a token stands."""

    line: int
    x: float
    width: float


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

    case = load_json(Path(files[0]))
    strips, headings, height = _strips(case)
    figure = go.Figure([_bars(case, strips), *_letters(strips)])
    for top, text in headings:
        figure.add_annotation(_written(text, 0, top))
    for strip in strips:
        figure.add_annotation(_written(_label(case, strip.model), 0, strip.top))
    hidden = {"visible": False, "fixedrange": True}
    return figure.update_layout(
        width=WIDTH + 24,  # letters keep their size, and so must the boxes that they stand in
        height=TITLE + 24 + height,
        barmode="overlay",
        showlegend=False,
        xaxis={**hidden, "range": [0, WIDTH]},
        yaxis={**hidden, "range": [height, 0]},
        **_words(case, WIDTH + 24),
    )


def _strips(case: Mapping[str, Any]) -> tuple[list[Strip], list[tuple[float, str]], float]:
    """Every strip, the headings with their places, and the height of all."""
    order = [m for m in case["r"]["models"] if case["models"][m]["feature"] is not None]
    first, blocks, seen = case["model"], [], dict.fromkeys(order, 0)
    for passage in case["passages"]:
        blocks.append((_heading(passage), passage, order))
    for miss in case["misses"]:
        model = miss["model"]
        if seen[model] < MISSES:
            text = f"{_heading(miss)}: {model}'s nearest miss fires, {first}'s feature does not"
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


def boxes(texts: Sequence[str], left: float, right: float) -> list[Box]:
    """A box for each text, side by side from `left`, on a new line where `right` is reached."""
    line, x, found = 0, left, []
    for text in texts:
        width = max(cells(text), 1) * LETTER
        if x + width > right and x > left:
            line, x = line + 1, left
        found.append(Box(line, x, min(width, right - left)))
        x += width
    return found


def cells(text: str) -> int:
    """How many letters wide a text is in a monospace font."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _colour(case: Mapping[str, Any], model: str) -> str:
    return VERMILLION if case["models"][model]["verdict"] in MISSED else BLUE


def _bars(case: Mapping[str, Any], strips: Sequence[Strip]) -> Any:
    """A box a token, shaded by its activation; the tokens of the case are framed."""
    from plotly import graph_objects as go

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


def _letters(strips: Sequence[Strip]) -> list[Any]:
    """The tokens' text: rows of the probe, then what lies between them, paler."""
    from plotly import graph_objects as go

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


def _words(case: Mapping[str, Any], min_width: int) -> dict[str, Any]:
    """What stands around the figure, for its layout."""
    marks = ", ".join(
        f"“{visible(text)}”".replace("\u00a0", " ") for text in case["query"]["marks"]
    )
    missed = any(each["verdict"] in MISSED for each in case["models"].values())
    legend = [[faded(BLUE, SHADE), "activation of the matched feature"]]
    if missed:
        legend.append([faded(VERMILLION, SHADE), "of its nearest miss, where it is not found"])
    legend.append([GREY, "framed: a token of the case"])
    mean = "" if case["mean_r"] is None else f" Mean r between the models {case['mean_r']:.2f}."
    return {
        "title": {
            "text": f"{case['case']}: feature {case['feature']} of {case['model']} on {marks}",
            "subtitle": {
                "text": f"{_sentence(case['verdict'])} The function: {case['function']}.{mean}"
            },
        },
        "meta": {
            "legend": legend,
            "notes": [
                *(_note(case, model) for model in case["r"]["models"]),
                *_best(case),
                *(_reseed(case, name) for name in case["reseeds"]),
            ],
            "footnote": _footnote(case),
            "min_width": min_width,
        },
    }


def _heading(passage: Mapping[str, Any]) -> str:
    """Where a passage stands, and whether the feature is judged there."""
    elsewhere = "" if passage["in_scope"] else " (no corpus on which its fate is judged)"
    return f"<b>{passage['corpus']}</b>, document {passage['document']:,}{elsewhere}"


def _label(case: Mapping[str, Any], model: str) -> str:
    """The model and its feature; below it what became of it."""
    found = case["models"][model]
    head = f"<b>{model}</b> {found['feature']} · LLR {found['llr']:.2f}"
    verdict = "nearest miss" if found["verdict"] == "vanishes" else found["verdict"]
    if found["via"] is None:
        fate = "where it was found"
    else:
        fate = f"{verdict}, r {_number(found['link_r'])} with {found['via']}"
    return f'{head}<br><span style="font-size:11px">{fate}</span>'


def _note(case: Mapping[str, Any], model: str) -> str:
    """A model's numbers: what a reader without the colours has."""
    found = case["models"][model]
    if found["feature"] is None:
        return f"{model}: no link of the lineage leads to a feature of it."
    order, first = case["r"]["models"], case["model"]
    r = case["r"]["matrix"][order.index(first)][order.index(model)]
    link = "" if found["via"] is None else f", r {_number(found['link_r'])} with {found['via']}"
    own, best = "", found["best"]
    if best is not None and best["feature"] != found["feature"]:
        own = f" Its own best feature for the tokens: {best['feature']}, F1 {best['f1']:.2f}."
    return (
        f"{model} {found['feature']}: {found['verdict']}{link}; LLR {found['llr']:.2f}, F1 "
        f"{found['f1']:.2f} (precision {found['precision']:.2f}, recall {found['recall']:.2f}), "
        f"{percent(found['mass'])} of its activation on the tokens; "
        f"r {_number(r)} with {first}'s on the whole probe.{own}"
    )


def _best(case: Mapping[str, Any]) -> list[str]:
    """The feature that marks the tokens best, where it is not the one that is followed."""
    best = case["best_marking"]
    if best is None:
        return []
    return [
        f"Feature {best['feature']} of {case['model']} marks the tokens better (F1 "
        f"{best['f1']:.2f}), but {best['why']}."
    ]


def _reseed(case: Mapping[str, Any], name: str) -> str:
    """What a reseed has of the feature, and what became of that."""
    found, best = case["reseeds"][name], case["reseeds"][name]["best"]
    own = "" if best is None else f"; its best for the tokens has F1 {best['f1']:.2f}"
    if found["models"] is None:
        return f"Reseed {name} has no partner of it{own}."
    fates = [
        f"{model} {fate['verdict']} (r {_number(fate['link_r'])})"
        for model, fate in found["models"].items()
        if model != case["model"]
    ]
    return (
        f"Reseed {name} has it as feature {found['feature']}, r {_number(found['r'])}, F1 "
        f"{found['f1']:.2f}{own}. From there: {', '.join(fates) or 'nowhere'}."
    )


def _footnote(case: Mapping[str, Any]) -> str:
    return (
        f"Shading: from 0 to the feature's largest activation on the probe. No LLR is above "
        f"{case['cap']:.2f}, −ln P(s). r beside a model: of the link, on flow.scope "
        f"{case['scope']}; it holds above {case['threshold']:g}. Pale tokens are no rows of the "
        "probe. ↵ is a line break, → a tab."
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def shown(token: str) -> str:
    """A token as it is drawn: every character seen, long ones cut in the middle."""
    if len(token) > LONGEST:  # before the signs, of which a hostile token may need many
        half = LONGEST // 2
        token = f"{token[:half]}…{token[-half:]}"
    text = visible(token)
    if cells(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]}…"
    return text


def visible(text: str) -> str:
    """A text in which every character is seen: ↵, →, ␀, and \\u202e for what has no sign.

    Controls, format characters (bidirectional ones, joiners) and what Unicode has not assigned are
    written as escapes.
    """
    return "".join(map(_sign, text))


def _sign(letter: str) -> str:
    if letter in SIGNS:
        return SIGNS[letter]
    if letter < " ":
        return chr(0x2400 + ord(letter))
    kind = unicodedata.category(letter)
    if kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
    return letter


def escaped(text: str) -> str:
    """A text for plotly, which would read <b>, <a>, <br> and &amp; in it."""
    return html.escape(text, quote=False)
