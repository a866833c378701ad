"""Figures."""

from featflow.plan import paths
from featflow.plan.stages.spec import File, Stage

FIGURE = File(
    paths.FIGURE,
    "other",
    "html: a page that needs no network. json: plotly's own (`data`, `layout`; the words "
    "around the plot in `layout.meta`), for pages that bring plotly.js along. svg, png, pdf: "
    "an image.",
    provenance="html: a script element `featflow-provenance`; json: key `featflow`; svg: "
    "`<metadata>`; png: an iTXt chunk; pdf: the Info dictionary",
)

STAGES = (
    Stage(
        "figure",
        "featflow.figures.figure",
        revision=None,
        summary="draw a figure",
        wildcards=("figure",),
        jobs=lambda s: [(figure,) for figure in s.study.drawn],
        outputs=(FIGURE,),
        leaves=(paths.FIGURE,),
    ),
)
