"""Figure `lineage`: the study's own graph, from corpora to models."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.config.figures import LineageFigure
from featflow.config.models import Merge
from featflow.figures.files import matching
from featflow.figures.graph import depths, own_corpora
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Node
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLUMN = 110
"""Pixels of a node that its label needs."""

ROW = 150
"""Pixels from one generation to the next."""


class Mark(NamedTuple):
    """A corpus or a model: they may have the same name."""

    name: str
    is_corpus: bool = False


class Place(NamedTuple):
    """Where a node is drawn: x from 0 to 1, y downwards in rows."""

    x: float
    y: int


def inputs(slices: Slices, figure: LineageFigure) -> list[str]:
    """What each model scores, and the t of each merge."""
    merges = [name for name, model in slices.study.models.items() if isinstance(model, Merge)]
    return [
        *(paths.EVALUATE.at(study=slices.name, model=name) for name in slices.study.models),
        *(paths.MERGE.at(study=slices.name, model=name) for name in merges),
    ]


def models(slices: Slices, figure: LineageFigure) -> Iterable[str]:
    """All."""
    return slices.study.models


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Corpora above the models trained on them, models above those made from them."""
    from plotly import graph_objects as go

    from featflow.artifacts.io import load_json
    from featflow.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY

    scores = {m: load_json(f) for m, f in matching(files, paths.EVALUATE, "model").items()}
    chosen = {m: load_json(f).get("t") for m, f in matching(files, paths.MERGE, "model").items()}
    places = _places(cfg.models)
    groups = {
        "corpus": (GREY, "square", [place for place in places if place.is_corpus]),
        "base": (BLUE, "circle", _of_kind(cfg.models, "base")),
        "pretrained": (SKY, "circle", _of_kind(cfg.models, "pretrained")),
        "random weights": (ORANGE, "circle", _of_kind(cfg.models, "random")),
        "fine-tune": (GREEN, "circle", _of_kind(cfg.models, "finetune")),
        "merge": (PURPLE, "circle", _of_kind(cfg.models, "merge")),
    }
    figure = go.Figure()
    for kind, (colour, symbol, items) in groups.items():
        if items:
            hovers = [_hover(cfg, item, scores) for item in items]
            figure.add_trace(_markers(kind, items, [places[i] for i in items], hovers))
            figure.data[-1].marker.update(color=colour, symbol=symbol)
    labels = [
        _label(place, _lines(cfg.models, item, scores, chosen)) for item, place in places.items()
    ]
    arrows = _arrows(cfg.models, places)
    figure.update_layout(_layout(cfg.study, places, [*arrows, *labels]))
    used = [[colour, kind] for kind, (colour, _, items) in groups.items() if items]
    widest = max(Counter(place.y for place in places.values()).values())
    return figure.update_layout(meta={"legend": used, "min_width": COLUMN * widest})


def _of_kind(models: Mapping[str, Node], kind: str) -> list[Mark]:
    return [Mark(name) for name, node in models.items() if node.kind == kind]


def _places(models: Mapping[str, Node]) -> dict[Mark, Place]:
    """Where everything is drawn: corpora a row above the first model that is trained on them.

    From the bottom row up, each row is sorted by where its children are, which avoids crossings.
    """
    below: dict[Mark, list[Mark]] = {}
    row: dict[Mark, int] = {}
    depth = depths(models)
    for name, node in models.items():
        row[Mark(name)] = depth[name] + 1
        for source in _sources(node):
            below.setdefault(source, []).append(Mark(name))
            if source.is_corpus:
                row[source] = min(depth[name], row.get(source, depth[name]))
    places: dict[Mark, Place] = {}
    for y in sorted(set(row.values()), reverse=True):
        items = [item for item in row if row[item] == y]
        items.sort(key=lambda item: _centre([places[child].x for child in below.get(item, [])]))
        places.update({item: Place((i + 0.5) / len(items), y) for i, item in enumerate(items)})
    return places


def _centre(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.5


def _sources(node: Node) -> list[Mark]:
    return [*(Mark(parent) for parent in node.parents), *(Mark(c, True) for c in node.corpora)]


def _markers(kind: str, items: list[Mark], places: list[Place], hovers: list[str]) -> Any:
    from plotly import graph_objects as go

    return go.Scatter(
        x=[place.x for place in places],
        y=[place.y for place in places],
        name=kind,
        ids=[item.name for item in items],
        mode="markers",
        marker={"size": 16},
        hovertext=hovers,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _hover(cfg: FigureSlice, item: Mark, scores: Mapping[str, dict[str, Any]]) -> str:
    if item.is_corpus:
        return f"<b>{item.name}</b><br>corpus ({cfg.corpora[item.name]})"
    measured = [
        f"{corpus}: loss {found['loss']:.3f}, accuracy {found['accuracy']:.3f}"
        for corpus, found in scores.get(item.name, {}).items()
    ]
    return "<br>".join([f"<b>{item.name}</b>", cfg.models[item.name].kind, *measured])


def _lines(
    models: Mapping[str, Node],
    item: Mark,
    scores: Mapping[str, dict[str, Any]],
    chosen: Mapping[str, float | None],
) -> list[str]:
    """What stands under a node: its name, a merge's method and t, accuracy on its own corpora."""
    if item.is_corpus:
        return [item.name]
    lines = [f"<b>{item.name}</b>"]
    if (method := models[item.name].method) is not None:
        t = chosen.get(item.name)
        lines.append(method if t is None else f"{method}, t = {t:.2f}")
    measured = scores.get(item.name, {})
    own = [c for c in own_corpora(models, item.name) if c in measured]
    return lines + [f"{measured[corpus]['accuracy']:.2f} on {corpus}" for corpus in own]


def _label(place: Place, lines: list[str]) -> dict[str, Any]:
    return {
        "x": place.x,
        "y": place.y,
        "text": "<br>".join(lines),
        "showarrow": False,
        "yanchor": "top",
        "yshift": -9,
        "borderpad": 2,
    }


def _arrows(models: Mapping[str, Node], places: Mapping[Mark, Place]) -> list[dict[str, Any]]:
    """An arrow from each source to what is made of it, and what was done in its middle."""
    from featflow.figures.style import GREY

    arrows, words = [], []
    for name, node in models.items():
        end = places[Mark(name)]
        for source in _sources(node):
            start = places[source]
            arrows.append(
                {
                    "x": end.x,
                    "y": end.y,
                    "ax": start.x,
                    "ay": start.y,
                    "text": "",
                    "axref": "x",
                    "ayref": "y",
                    "showarrow": True,
                    "arrowhead": 2,
                    "arrowwidth": 1.3,
                    "arrowcolor": GREY,
                    "standoff": 10,
                    "startstandoff": 9,
                    "bgcolor": "rgba(0,0,0,0)",
                }
            )
            middle = {"x": 0.4 * start.x + 0.6 * end.x, "y": 0.4 * start.y + 0.6 * end.y}
            text = _verb(node, source)
            words.append({**middle, "text": f"<i>{text}</i>", "showarrow": False, "borderpad": 1})
    return [*arrows, *(word for word in words if word["text"] != "<i></i>")]


def _verb(node: Node, source: Mark) -> str:
    """How a model came from this source; of a corpus that goes without saying."""
    if source.is_corpus:
        return ""
    if node.kind == "finetune":
        return "fine-tune"
    if len(node.parents) == 2:  # t runs from the first parent to the second
        return f"{node.method}, t = {node.parents.index(source.name)}"
    return f"{node.method}"


def _layout(
    study: str, places: Mapping[Mark, Place], annotations: list[dict[str, Any]]
) -> dict[str, Any]:
    rows = max(place.y for place in places.values())
    axis = {"visible": False, "fixedrange": True}
    return {
        "title": {
            "text": f"Lineage of the study {study}",
            "subtitle": {
                "text": "Under a model: next-token accuracy on the validation split of the corpora "
                "it was trained on last. Loss, and the other corpora, when pointed at."
            },
        },
        "height": ROW * (rows + 1),
        "showlegend": False,
        "annotations": annotations,
        "xaxis": {**axis, "range": [0, 1]},
        "yaxis": {**axis, "range": [rows + 0.6, -0.2]},
    }
