"""Figures."""

import importlib
from importlib import import_module

from featflow.config.base import Name
from featflow.config.figures import Figure
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Node, Slice
from featflow.plan.stages.spec import Cost, File, Names, Stage

FIGURE = File(
    paths.FIGURE,
    "other",
    "html: a page that needs no network. json: plotly's own (`data`, `layout`; the words "
    "around the plot in `layout.meta`), for pages that bring plotly.js along. svg, png, pdf: "
    "an image.",
    provenance="html: a script element `featflow-provenance`; json: key `featflow`; svg: "
    "`<metadata>`; png: an iTXt chunk; pdf: the Info dictionary",
)


def _drawn(slices: Slices, names: Names) -> list[str]:
    """What the figure's module says that it draws."""
    figure = slices.study.drawn[names["figure"]]
    module = importlib.import_module(f"featflow.figures.{figure.kind}")
    files: list[str] = module.inputs(slices, figure)
    return files


class FigureSlice(Slice):
    figure: Name
    settings: Figure
    models: dict[Name, Node]
    """Those whose place in the graph the figure shows; controls are in none but `lineage`."""
    corpora: dict[Name, str]
    """Each corpus and the kind of its source, where the figure shows them."""


def figure_slice(slices: Slices, figure: str) -> FigureSlice:
    settings = slices.study.drawn[figure]
    shown = _shown(slices, settings)
    return FigureSlice(
        study=slices.name,
        figure=figure,
        settings=settings,
        models={name: node for name, node in slices.nodes.items() if name in shown},
        corpora=slices.corpus_kinds() if settings.shows_corpora else {},
    )


def _shown(slices: Slices, settings: Figure) -> set[str]:
    """The models whose place in the graph a figure shows: they and their ancestors, or none."""
    drawn = import_module(f"featflow.figures.{settings.kind}").models(slices, settings)
    return {name for model in drawn for name in (model, *slices.lineage.ancestors(model))}


STAGES = (
    Stage(
        "figure",
        "featflow.figures.figure",
        revision=None,
        summary="draw a figure",
        wildcards=("figure",),
        slice=figure_slice,
        cost=Cost(start=1, memory=0.2e9),
        jobs=lambda s: [(figure,) for figure in s.study.drawn],
        inputs={"drawn": _drawn},
        outputs=(FIGURE,),
        leaves=(paths.FIGURE,),
    ),
)
