"""A study: everything between its corpora and its figures, checked as a whole."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, ValidationInfo, model_validator

from featflow.config.base import Config, Name
from featflow.config.cases import Case
from featflow.config.checks import problems_of
from featflow.config.controls import Controls
from featflow.config.corpora import Corpus
from featflow.config.exploring import Explorer
from featflow.config.figures import KINDS, Figure, Figures
from featflow.config.interpreting import Interpret
from featflow.config.models import Merge, Model
from featflow.config.saes import Activations, Sae
from featflow.config.tokenizers import Tokenizer


class Evaluation(Config):
    """How models are measured."""

    tokens: PositiveInt = 200_000
    """At most this many validation tokens a corpus."""
    sweep_points: Annotated[int, Field(ge=3)] = 21
    """Values of t from 0 to 1 that a merge's sweep evaluates, on the selection split."""


class Probe(Config):
    """The tokens on which features are compared: the same rows for every model of the study."""

    corpora: Annotated[list[Name], Field(min_length=1)] | Literal["all"] = "all"
    tokens_per_corpus: PositiveInt = 1_500_000
    split: Literal["validation"] = "validation"


class Flow(Config):
    """What counts as the same feature."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """A feature persists if a feature of the other model has a Pearson's r above this."""
    scope: Literal["home", "intersection", "union"] = "home"
    """home: disappearing is judged on the parent's corpora, emerging on the child's.
    intersection: on the corpora of both (the paper). union: on the corpora of either."""
    min_firings: PositiveInt = 20
    """A feature that fires on fewer tokens of the scope is rare and stays out of every share."""
    min_documents: PositiveInt = 5
    """So is one that fires in fewer documents."""
    partners: PositiveInt = 10
    """Best partners of a feature that matches.parquet lists."""
    floor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Keep only the pairs of features with |r| at or above this in matrix.safetensors, for
    dictionaries whose full matrix is too large (null: every pair)."""


class Study(Config):
    """One study: a lineage of models, their SAEs, and the flow of features between them."""

    seed: int = 0
    """Every seed of the study derives from this one and from the names involved."""
    corpora: dict[Name, Corpus] = Field(min_length=1)
    tokenizer: Tokenizer
    models: dict[Name, Model] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()
    activations: Activations = Activations()
    saes: dict[Name, Sae] = {}
    """Sparse autoencoders: each is trained on every model, or on those that it names."""
    probe: Probe = Probe()
    flow: Flow = Flow()
    controls: Controls = Controls()
    cases: dict[Name, Case] = {}
    """Features to follow, by a name of yours."""
    interpret: Interpret | None = None
    """Explain features and score the explanations (null: no)."""
    explorer: Explorer | None = Explorer()
    """A page for every feature (null: none)."""
    pairs: list[tuple[str, str]] = []
    """More pairs of `model.sae` to correlate, beside the lineage's edges: reseeds, too."""
    figures: Figures = Figures()

    @model_validator(mode="after")
    def _names_and_graph(self, info: ValidationInfo) -> "Study":
        problems = problems_of(self, (info.context or {}).get("wrong", ()))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def probe_corpora(self) -> list[Name]:
        """The corpora of the probe, by name."""
        return sorted(self.corpora if self.probe.corpora == "all" else self.probe.corpora)

    @property
    def drawn(self) -> dict[Name, Figure]:
        """The figures by name: those of the config, or one of each kind that applies."""
        if self.figures.draw is not None:
            return dict(self.figures.draw)
        return {name: figure for kind in KINDS for name, figure in kind.of(self).items()}

    @property
    def flow_saes(self) -> list[Name]:
        """The SAEs that are no control: each has a flow of its own."""
        return [name for name, sae in self.saes.items() if sae.control_of is None]

    @property
    def swept(self) -> list[Name]:
        """The merges whose method has a scalar t."""
        return [
            name
            for name, model in self.models.items()
            if isinstance(model, Merge) and hasattr(model.method, "t")
        ]
