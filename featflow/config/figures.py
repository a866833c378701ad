"""Figures. One class a kind, one file in `figures/`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, PositiveInt

from featflow.config.base import Config, Name
from featflow.config.errors import unknown
from featflow.config.graph import edges

if TYPE_CHECKING:
    from featflow.config.study import Study


class Drawn(Config):
    """What every kind of figure says of itself. Problems begin with the figure's own key."""

    shows_corpora: ClassVar[bool] = False
    """Whether the study's corpora are in its slice."""

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """Those that `all` draws where the config names none, by name."""
        raise NotImplementedError

    def unknown(self, study: "Study") -> Iterator[str]:
        """The names in it that the study does not have."""
        yield from ()

    def impossible(self, study: "Study") -> Iterator[str]:
        """Why it cannot be drawn of a study whose other parts are as they should be."""
        yield from ()


class OfAnSae(Drawn):
    """A figure of one of the study's SAEs."""

    sae: Name | None = None

    def impossible(self, study: "Study") -> Iterator[str]:
        """Without an SAE that is no control."""
        if not study.flow_saes:
            yield ": it draws an SAE; the study has none"


class OfAFlow(OfAnSae):
    """A figure of an SAE's flow, where it has edges."""

    sae: Name | None = None
    """Which SAE's flow (null: the study's first that is no control)."""

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """That of the first SAE that is on both ends of an edge."""
        kind = get_args(cls.model_fields["kind"].annotation)[0]
        for sae in study.flow_saes:
            if edges(study, sae):
                first = sae == study.flow_saes[0]
                return {kind: cls.model_validate({"kind": kind, "sae": None if first else sae})}
        return {}

    def unknown(self, study: "Study") -> Iterator[str]:
        """The SAE."""
        if self.sae:
            yield from unknown(".sae", self.sae, study.flow_saes, "SAE with a flow")


class OfTraining(OfAnSae):
    """A figure of an SAE on every model that has it."""

    sae: Name | None = None
    """Which SAE, on every model that has it (null: the study's first that is no control)."""

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """That of the first SAE."""
        kind = get_args(cls.model_fields["kind"].annotation)[0]
        return {kind: cls.model_validate({"kind": kind})} if study.flow_saes else {}

    def unknown(self, study: "Study") -> Iterator[str]:
        """The SAE."""
        if self.sae:
            yield from unknown(".sae", self.sae, study.saes, "SAE")


class LineageFigure(Drawn):
    """The study's own graph: corpora, models and how each came from its parents."""

    kind: Literal["lineage"]
    shows_corpora = True

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """Always one."""
        return {"lineage": cls(kind="lineage")}


class FlowFigure(OfAFlow):
    """Where every feature went: a Sankey through the lineage, scaled by persisting features."""

    kind: Literal["flow"]
    height: PositiveInt = 620
    """Pixels."""


class ControlsFigure(OfAFlow):
    """Every edge's share against the threshold, between its floors and its ceiling."""

    kind: Literal["controls"]


class SweepFigure(Drawn):
    """Accuracy on both parents' data against a merge's t, with the base's and the t chosen."""

    kind: Literal["sweep"]
    model: Name | None = None
    """Which merge (null: the study's first whose method has a t)."""

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """That of the first merge that has a t."""
        return {"sweep": cls(kind="sweep")} if study.swept else {}

    def unknown(self, study: "Study") -> Iterator[str]:
        """The merge."""
        if self.model:
            yield from unknown(".model", self.model, study.swept, "merge with a t")

    def impossible(self, study: "Study") -> Iterator[str]:
        """Without a merge that has a t."""
        if not study.swept:
            yield ": it draws a merge whose method has a t; the study has none"


class TrainingFigure(OfTraining):
    """How each SAE was trained: loss, L0, dead features and variance explained over the tokens."""

    kind: Literal["training"]


class DensityFigure(OfTraining):
    """How often features fire: a histogram of log10 density, a curve a model."""

    kind: Literal["density"]


class CaseFigure(Drawn):
    """A case: the same passages under each model's matched feature, tokens shaded by activation."""

    kind: Literal["case"]
    case: Name

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """One a case."""
        return {f"case{case}": cls(kind="case", case=case) for case in study.cases}

    def unknown(self, study: "Study") -> Iterator[str]:
        """The case."""
        yield from unknown(".case", self.case, study.cases, "case")


class ScoresFigure(Drawn):
    """How well explanations predict: a histogram of persisting features, one of the others."""

    kind: Literal["scores"]

    @classmethod
    def of(cls, study: "Study") -> dict[Name, Self]:
        """One, where features are explained."""
        return {"scores": cls(kind="scores")} if study.interpret else {}

    def unknown(self, study: "Study") -> Iterator[str]:
        """Explanations."""
        if study.interpret is None:
            yield ": it draws scores; the study has no `interpret`"


Figure = Annotated[
    LineageFigure
    | FlowFigure
    | ControlsFigure
    | SweepFigure
    | TrainingFigure
    | DensityFigure
    | CaseFigure
    | ScoresFigure,
    Field(discriminator="kind"),
]
KINDS: tuple[Any, ...] = get_args(get_args(Figure)[0])
"""In the order in which the report shows them."""


class Figures(Config):
    """Which figures to draw, and as what."""

    formats: list[Literal["html", "svg", "png", "pdf"]] = ["html"]
    """html opens in any browser; svg, png and pdf need a Chromium to draw them."""
    draw: dict[Name, Figure] | None = None
    """Name to figure (null: one of each kind that the study has something for)."""
