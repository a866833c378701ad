"""Figures. One class a figure, one file in `figures/`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from featflow.config.base import Config, Name


class LineageFigure(Config):
    """The study's own graph: corpora, models and how each came from its parents."""

    kind: Literal["lineage"]


class FlowFigure(Config):
    """Where every feature went: a Sankey through the lineage, scaled by persisting features."""

    kind: Literal["flow"]
    sae: Name | None = None
    """Which SAE's flow (null: the study's first that is no control)."""
    height: PositiveInt = 620
    """Pixels."""


class SweepFigure(Config):
    """Accuracy on both parents' data against a merge's t, with the base's and the t chosen."""

    kind: Literal["sweep"]
    model: Name | None = None
    """Which merge (null: the study's first whose method has a t)."""


class TrainingFigure(Config):
    """How each SAE was trained: loss, L0, dead features and variance explained over the tokens."""

    kind: Literal["training"]
    sae: Name | None = None
    """Which SAE, on every model that has it (null: the study's first that is no control)."""


class DensityFigure(Config):
    """How often features fire: a histogram of log10 density, a curve a model."""

    kind: Literal["density"]
    sae: Name | None = None
    """Which SAE, on every model that has it (null: the study's first that is no control)."""


class ControlsFigure(Config):
    """Every edge's share against the threshold, between its floors and its ceiling."""

    kind: Literal["controls"]
    sae: Name | None = None
    """Which SAE's flow (null: the study's first that is no control)."""


class CaseFigure(Config):
    """A case: the same passages under each model's matched feature, tokens shaded by activation."""

    kind: Literal["case"]
    case: Name


class ScoresFigure(Config):
    """How well explanations predict: a histogram of persisting features, one of the others."""

    kind: Literal["scores"]


Figure = Annotated[
    LineageFigure
    | FlowFigure
    | SweepFigure
    | TrainingFigure
    | DensityFigure
    | ControlsFigure
    | CaseFigure
    | ScoresFigure,
    Field(discriminator="kind"),
]


class Figures(Config):
    """Which figures to draw, and as what."""

    formats: list[Literal["html", "svg", "png", "pdf"]] = ["html"]
    """html opens in any browser; svg, png and pdf need a Chromium to draw them."""
    draw: dict[Name, Figure] | None = None
    """Name to figure (null: one of each kind that the study has something for)."""
