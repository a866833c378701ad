"""Figure `lineage`: the study's own graph, from corpora to models."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.core import paths
from featflow.core.config.figures import LineageFigure
from featflow.core.config.models import Merge
from featflow.core.config.study import Study
from featflow.core.slices import FigureSlice, Node
from featflow.figures.files import matching
from featflow.figures.graph import depths, ordered, own_corpora

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ROW = 150
"""Pixels from one generation to the next."""


class Place(NamedTuple):
    """Where a node is drawn: x from 0 to 1, y downwards in rows."""

    x: float
    y: int


def inputs(study_name: str, study: Study, figure: LineageFigure) -> list[str]:
    """What each model scores, and the t of each merge."""
    merges = [name for name, model in study.models.items() if isinstance(model, Merge)]
    return [
        *(paths.EVALUATE.at(study=study_name, model=name) for name in study.models),
        *(paths.MERGE.at(study=study_name, model=name) for name in merges),
    ]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Corpora above the models trained on them, models above those made from them."""
    from plotly import graph_objects as go

    from featflow.core.artifacts import load_json
    from featflow.figures.style import BLUE, GREEN, GREY, PURPLE, SKY

    scores = {m: load_json(f) for m, f in matching(files, paths.EVALUATE, "model").items()}
    merges = {m: load_json(f) for m, f in matching(files, paths.MERGE, "model").items()}
    corpora, models = _places(cfg)
    colours = {"base": BLUE, "finetune": GREEN, "merge": PURPLE}
    figure = go.Figure(_edges(cfg.models, corpora, models, merges))
    used = [name for name in cfg.corpora if name in corpora]
    figure.add_trace(
        _nodes([corpora[c] for c in used], GREY, "square", used, [_corpus(cfg, c) for c in used])
    )
    for kind, colour in colours.items():
        names = [name for name, node in cfg.models.items() if node.kind == kind]
        texts = [_label(cfg.models, name, scores.get(name, {})) for name in names]
        hovers = [_hover(name, cfg.models[name], scores.get(name, {})) for name in names]
        figure.add_trace(_nodes([models[n] for n in names], colour, "circle", texts, hovers))
    rows = max(place.y for place in models.values()) + 1
    axis = {"visible": False, "fixedrange": True}
    figure.update_layout(
        title={
            "text": f"Lineage of the study {cfg.study}",
            "subtitle": {"text": "Accuracy: next-token argmax on the validation split of a "
                         "model's own corpora; every corpus on hover."},
        },
        height=ROW * rows + 40,
        showlegend=False,
        xaxis={**axis, "range": [0, 1]},
        yaxis={**axis, "range": [rows - 0.35, -0.35]},
        meta={
            "legend": [
                [GREY, "corpus"], [BLUE, "base"], [GREEN, "fine-tune"], [PURPLE, "merge"],
            ]
        },
    )
    return figure
