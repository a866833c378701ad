"""A study: everything between its corpora and its figures, checked as a whole."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from featflow.core.config.base import Config, Name
from featflow.core.config.corpora import Corpus
from featflow.core.config.errors import did_you_mean
from featflow.core.config.figures import Figure, Figures, FlowFigure, LineageFigure, SweepFigure
from featflow.core.config.models import Base, Finetune, Merge, Model
from featflow.core.config.saes import Activations, Sae
from featflow.core.config.tokenizers import Bpe, Tokenizer


class Evaluation(Config):
    """How models are measured."""

    tokens: PositiveInt = 200_000
    """At most this many validation tokens a corpus."""
    sweep_points: Annotated[int, Field(ge=3)] = 21
    """Values of t from 0 to 1 that a merge's sweep evaluates, on the selection split."""


class Probe(Config):
    """The tokens on which features are compared: the same rows for every model of the study."""

    corpora: list[Name] | Literal["all"] = "all"
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
    probe: Probe = Probe()
    flow: Flow = Flow()
    pairs: list[tuple[str, str]] = []
    """More pairs of `model.sae` to correlate, beside the lineage's edges and the controls."""
    figures: Figures = Figures()

    @model_validator(mode="after")
    def _names_and_graph(self) -> "Study":
        problems = [*_unknown_names(self), *_sae_problems(self)]
        problems = problems or _cycles(self) or [*_graph_problems(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def probe_corpora(self) -> list[Name]:
        """The corpora of the probe, in the config's order."""
        return list(self.corpora) if self.probe.corpora == "all" else list(self.probe.corpora)

    @property
    def drawn(self) -> dict[Name, Figure]:
        """The figures by name: those of the config, or one of each kind that applies."""
        if self.figures.draw is not None:
            return dict(self.figures.draw)
        figures: dict[Name, Figure] = {"lineage": LineageFigure(kind="lineage")}
        if self.flow_saes and any(not isinstance(m, Base) for m in self.models.values()):
            figures["flow"] = FlowFigure(kind="flow")
        if self.swept:
            figures["sweep"] = SweepFigure(kind="sweep")
        return figures

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


def parents_of(model: Model) -> list[Name]:
    """The models that this one is made from, in order."""
    if isinstance(model, Base):
        return []
    return [model.parent] if isinstance(model, Finetune) else list(model.parents)


def _unknown_names(study: Study):
    def check(key: str, name: str, known, what: str):
        if name not in known:
            yield f"{key}: no {what} named {name!r}; {did_you_mean(name, known)}"

    if isinstance(study.tokenizer, Bpe):
        for name in study.tokenizer.corpora:
            yield from check("tokenizer.corpora", name, study.corpora, "corpus")
    for key, model in study.models.items():
        for name in getattr(model, "corpora", []):
            yield from check(f"models.{key}.corpora", name, study.corpora, "corpus")
        for name in parents_of(model):
            field = "parent" if isinstance(model, Finetune) else "parents"
            yield from check(f"models.{key}.{field}", name, study.models, "model")
    for key, sae in study.saes.items():
        for name in sae.models or []:
            yield from check(f"saes.{key}.models", name, study.models, "model")
        if sae.control_of:
            yield from check(f"saes.{key}.control_of", sae.control_of, study.saes, "SAE")
    if study.probe.corpora != "all":
        for name in study.probe.corpora:
            yield from check("probe.corpora", name, study.corpora, "corpus")
    dictionaries = [f"{m}.{s}" for m in study.models for s in study.saes]
    for pair in study.pairs:
        for name in pair:
            yield from check("pairs", name, dictionaries, "dictionary (model.sae)")
    for key, figure in (study.figures.draw or {}).items():
        if isinstance(figure, FlowFigure) and figure.sae:
            yield from check(
                f"figures.draw.{key}.sae", figure.sae, study.flow_saes, "SAE with a flow"
            )
        if isinstance(figure, SweepFigure) and figure.model:
            yield from check(
                f"figures.draw.{key}.model", figure.model, study.swept, "merge with a t"
            )


def _sae_problems(study: Study):
    for key, sae in study.saes.items():
        main = study.saes.get(sae.control_of or "")
        if main is None:
            continue
        if main.control_of is not None:
            yield f"saes.{key}.control_of: {sae.control_of!r} is itself a control"
        elif sae.seed == main.seed:
            yield f"saes.{key}.seed: a control needs another seed than {sae.control_of!r} has"
        elif main.models is not None and not set(sae.models or study.models) <= set(main.models):
            yield f"saes.{key}.models: {sae.control_of!r} is not trained on all of these models"


def _cycles(study: Study) -> list[str]:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [f"models: a cycle, {' → '.join([*path[path.index(name) :], name])}"]
        if name in done:
            return []
        for parent in parents_of(study.models[name]):
            if found := visit(parent, [*path, name]):
                return found
        done.add(name)
        return []

    for name in study.models:
        if found := visit(name, []):
            return found
    return []


def _graph_problems(study: Study):
    architectures = {name: _architecture(study, name) for name in study.models}
    for key, model in study.models.items():
        if isinstance(model, Merge):
            shapes = {parent: architectures[parent] for parent in model.parents}
            if len({a.model_dump_json() for a in shapes.values()}) > 1:
                yield f"models.{key}.parents: {', '.join(shapes)} have different architectures"


def _architecture(study: Study, name: str):
    model = study.models[name]
    return (
        model.architecture
        if isinstance(model, Base)
        else _architecture(study, parents_of(model)[0])
    )
