"""Language models: made, merged, swept over a merge's t, measured."""

from collections.abc import Callable, Iterator

from featflow.config.base import Name
from featflow.config.errors import ConfigError, did_you_mean
from featflow.config.graph import root_of
from featflow.config.merging import Method, TaskVectors
from featflow.config.models import (
    Architecture,
    Base,
    Finetune,
    FinetuneTraining,
    Pretrained,
    Random,
    Training,
)
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages.data import tokens
from featflow.plan.stages.spec import Cost, Field, File, Job, Names, Sizes, Stage

MEASURES = (
    Field("loss", "float64", "mean next-token cross-entropy, nats a token"),
    Field(
        "accuracy", "float64", "share of tokens whose prediction of highest probability is right"
    ),
)


def _settings(*fields: tuple[str, str, str]) -> tuple[Field, ...]:
    """Settings that only some merge methods have."""
    return tuple(Field(*field, optional=True, null=field[0] == "rescale") for field in fields)


TRAINING_PASSES = 3
"""Forward and backward, in forward passes."""

MODEL = File(
    paths.MODEL,
    "json",
    "The handle of a Hugging Face model folder, written last: where it is, the folder is "
    "whole. Its keys are those of transformers; beside it lie model.safetensors, "
    "tokenizer.json, tokenizer_config.json and generation_config.json.",
    more=True,
)

WEIGHTS = File(
    paths.WEIGHTS,
    "safetensors",
    "The weights under transformers's names, tied ones once. float32 from train and "
    "finetune; a merge has its first parent's dtype.",
    beside="config.json",
    more=True,
)

TRAINING = File(
    paths.TRAINING,
    "parquet",
    "A row every few steps, at most 500.",
    (
        Field("step", "int64", "steps done, from 1"),
        Field("tokens", "int64", "tokens read so far, repeated ones again"),
        Field("loss", "float64", "mean since the row before, nats a token"),
        Field("learning_rate", "float64", "at this step"),
    ),
)

MERGE = File(
    paths.MERGE,
    "json",
    "How a merge was made: its method with all settings, and what became of each weight.",
    (
        Field("method", "text", "kind of the method"),
        Field("parents", "list of text", "the merged models, in order"),
        *_settings(
            ("t", "number", "the t used"),
            ("t_from", "text", "where it comes from: equilibrium, balanced, config"),
            ("base", "text", "the model that differences are taken from"),
            ("weights", "list of number", "a factor for each parent"),
            ("normalize", "boolean", "whether weights are divided by their sum"),
            ("scale", "number", "λ, the factor of the merged difference"),
            ("density", "number", "share of each difference's entries that is kept"),
            ("rescale", "text", "what makes up for dropped entries; null: nothing"),
            ("signs", "boolean", "whether a sign is elected for each entry"),
            ("seed", "integer", "of the entries dropped at random"),
        ),
        Field(
            "tensors.{tensor}",
            "object",
            "how each weight was merged: `cosine` between the parents (or their differences "
            "from the base), and what else the method tells, such as slerp's `branch`",
        ),
    ),
)

SWEEP = File(
    paths.SWEEP,
    "parquet",
    "A row for each t and corpus of the parents, on the split `selection`.",
    (
        Field("t", "float64", "0 is the first parent, 1 the second"),
        Field("corpus", "text", "the corpus"),
        *MEASURES,
    ),
)

EVALUATE = File(
    paths.EVALUATE,
    "json",
    "A model on the split `validation` of every corpus.",
    (
        Field("{corpus}.loss", "number", "mean next-token cross-entropy, nats a token"),
        Field("{corpus}.accuracy", "number", "share of tokens predicted right"),
        Field(
            "{corpus}.perplexity",
            "number",
            "e to the loss; null where that is more than a float holds (over 709 nats)",
            null=True,
        ),
        Field("{corpus}.tokens", "integer", "predictions counted"),
    ),
    provenance="key `featflow`; `_featflow` where a corpus is called so",
)


def _of_kind(kind: str) -> Callable[[Slices], Iterator[Job]]:
    """The models of a kind."""
    return lambda s: ((name,) for name, m in s.study.models.items() if m.kind == kind)


def _parents(slices: Slices, names: Names) -> list[str]:
    parents = slices.lineage.parents(names["model"])
    return paths.MODEL.each(study=slices.name, model=parents)


def _like(slices: Slices, names: Names) -> list[str]:
    """The pretrained model that a random one is like; none where that is trained."""
    models = slices.study.models
    like = models[names["model"]].like  # type: ignore[union-attr]
    pretrained = [like] if models[like].kind == "pretrained" else []
    return paths.MODEL.each(study=slices.name, model=pretrained)


def _swept_tokens(slices: Slices, names: Names) -> list[str]:
    """Of the corpora of a merge's parents, each once."""
    corpora = sweep_slice(slices, names["model"]).corpora
    once = dict.fromkeys(corpus for of_a_parent in corpora for corpus in of_a_parent)
    return tokens(slices, once, "selection")


def choice_of_t(slices: Slices, names: Names) -> dict[str, str]:
    """What a merge needs to choose its t, by flag: the sweep; for `balanced` the ancestor."""
    model = names["model"]
    t = getattr(slices.study.models[model].method, "t", None)  # type: ignore[union-attr]
    chosen = {}
    if isinstance(t, str):
        chosen["--sweep"] = paths.SWEEP.at(study=slices.name, model=model)
    if t == "balanced":
        ancestor = slices.lineage.common_ancestor(model)
        chosen["--ancestor"] = paths.EVALUATE.at(study=slices.name, model=ancestor)
    return chosen


def _merge_base(slices: Slices, names: Names) -> list[str]:
    """The model that a merge's task vectors are measured from, if any."""
    base = slices.merge_base(names["model"])
    return paths.MODEL.each(study=slices.name, model=[base] if base else [])


class TrainSlice(Slice):
    model: Name
    seed: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    corpora: list[Name]
    architecture: Architecture
    training: Training


def train_slice(slices: Slices, model: str) -> TrainSlice:
    base = slices.study.models[model]
    assert isinstance(base, Base)
    return TrainSlice(
        study=slices.name,
        model=model,
        seed=slices.seed("train", model, base.seed),
        blocks_seed=slices.seed("blocks"),
        corpora=base.corpora,
        architecture=base.architecture,
        training=base.training,
    )


class PretrainedSlice(Slice):
    model: Name
    name: str
    revision: str | None = None
    context: int


def pretrained_slice(slices: Slices, model: str) -> PretrainedSlice:
    found = slices.study.models[model]
    assert isinstance(found, Pretrained)
    return PretrainedSlice(
        study=slices.name,
        model=model,
        name=found.name,
        revision=found.revision,
        context=found.context,
    )


class RandomSlice(Slice):
    model: Name
    seed: int
    architecture: Architecture | None = None
    """None: that of the model folder that the stage is given (a pretrained model's)."""


def random_slice(slices: Slices, model: str) -> RandomSlice:
    found = slices.study.models[model]
    assert isinstance(found, Random)
    root = slices.study.models[found.like]
    return RandomSlice(
        study=slices.name,
        model=model,
        seed=slices.seed("random", model, found.seed),
        architecture=root.architecture if isinstance(root, Base) else None,
    )


class FinetuneSlice(Slice):
    model: Name
    seed: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    corpora: list[Name]
    training: FinetuneTraining
    context: int | None = None
    """Tokens of a block (None: the model's longest input, which is what featflow trained it on)."""


def finetune_slice(slices: Slices, model: str) -> FinetuneSlice:
    child = slices.study.models[model]
    assert isinstance(child, Finetune)
    return FinetuneSlice(
        study=slices.name,
        model=model,
        seed=slices.seed("finetune", model, child.seed),
        blocks_seed=slices.seed("blocks"),
        corpora=child.corpora,
        training=child.training,
        context=_context(slices, model),
    )


def _context(slices: Slices, model: str) -> int | None:
    root = root_of(slices.study, model)
    return root.context if isinstance(root, Pretrained) else None


class SweepSlice(Slice):
    """The method without its t: a merge's t is chosen from the sweep, and changes nothing in it."""

    model: Name
    parents: list[Name]
    corpora: list[list[Name]]
    """The own corpora of each parent, in the order of `parents`."""
    method: Method
    points: int
    tokens: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    context: int | None = None
    """As for FinetuneSlice."""


def sweep_slice(slices: Slices, model: str) -> SweepSlice:
    if model not in slices.study.swept:
        hint = did_you_mean(model, slices.study.swept)
        raise ConfigError(f"study {slices.name}: {model!r} is no merge with a t; {hint}")
    merge = slices.merge_of(model)
    fields = type(merge.method).model_fields
    method = merge.method.model_copy(update={"t": fields["t"].default})
    return SweepSlice(
        study=slices.name,
        model=model,
        parents=merge.parents,
        corpora=[slices.lineage.own_corpora(p) for p in merge.parents],
        method=method,
        points=slices.study.evaluation.sweep_points,
        tokens=slices.study.evaluation.tokens,
        blocks_seed=slices.seed("blocks"),
        context=_context(slices, model),
    )


class MergeSlice(Slice):
    model: Name
    parents: list[Name]
    corpora: list[list[Name]]
    """As for SweepSlice; empty where t is a number, or there is none."""
    method: Method
    base: Name | None = None
    """The model that task vectors are measured from, for methods that have them."""


def merge_slice(slices: Slices, model: str) -> MergeSlice:
    merge = slices.merge_of(model)
    swept = isinstance(getattr(merge.method, "t", None), str)
    measured = isinstance(merge.method, TaskVectors)  # `base` below says from what
    return MergeSlice(
        study=slices.name,
        model=model,
        parents=merge.parents,
        corpora=[slices.lineage.own_corpora(p) for p in merge.parents if swept],
        method=merge.method.model_copy(update={"base": None} if measured else {}),
        base=slices.merge_base(model),
    )


class EvaluateSlice(Slice):
    model: Name
    corpora: list[Name]
    tokens: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    context: int | None = None
    """As for FinetuneSlice."""


def evaluate_slice(slices: Slices, model: str) -> EvaluateSlice:
    return EvaluateSlice(
        study=slices.name,
        model=model,
        corpora=sorted(slices.study.corpora),
        tokens=slices.study.evaluation.tokens,
        blocks_seed=slices.seed("blocks"),
        context=_context(slices, model),
    )


def _training(z: Sizes, cfg: TrainSlice | FinetuneSlice, context: int | None) -> float:
    """FLOP: every corpus gives as many tokens as the shortest one does."""
    tokens = len(cfg.corpora) * min(z.tokens(corpus, "train") for corpus in cfg.corpora)
    return TRAINING_PASSES * tokens * cfg.training.epochs * z.forward(cfg.model, context)


def _sweeping(z: Sizes, cfg: SweepSlice) -> float:
    corpora = {corpus for own in cfg.corpora for corpus in own}
    seen = sum(z.at_most(cfg.tokens, corpus, "selection") for corpus in corpora)
    return cfg.points * seen * z.forward(cfg.model, cfg.context)


def _evaluating(z: Sizes, cfg: EvaluateSlice) -> float:
    seen = sum(z.at_most(cfg.tokens, corpus, "validation") for corpus in cfg.corpora)
    return seen * z.forward(cfg.model, cfg.context)


STAGES = (
    Stage(
        "train",
        "featflow.models.train",
        revision=2,
        summary="train a base model",
        wildcards=("model",),
        slice=train_slice,
        cost=Cost(
            start=6,
            rate=80e9,
            bfloat16=0.2,
            work=lambda z, cfg: _training(z, cfg, cfg.architecture.context),
            held=lambda z, cfg: 5 * z.model(cfg.model),
        ),
        jobs=_of_kind("base"),
        kind="base",
        inputs={
            "tokens": lambda s, n: tokens(s, train_slice(s, n["model"]).corpora, "train"),
            "tokenizer": paths.TOKENIZER,
        },
        outputs=(
            MODEL,
            WEIGHTS,
            TRAINING,
        ),
    ),
    Stage(
        "pretrained",
        "featflow.models.pretrained",
        revision=1,
        summary="fetch a model that exists",
        wildcards=("model",),
        slice=pretrained_slice,
        cost=Cost(start=6, rate=1e8, threads=1, work=lambda z, cfg: z.model(cfg.model)),
        jobs=_of_kind("pretrained"),
        kind="pretrained",
        inputs={"tokenizer": paths.TOKENIZER},
        outputs=(
            MODEL,
            WEIGHTS,
        ),
    ),
    Stage(
        "random",
        "featflow.models.random",
        revision=1,
        summary="a model with random weights, for a floor",
        wildcards=("model",),
        slice=random_slice,
        cost=Cost(start=4),
        jobs=_of_kind("random"),
        kind="random",
        inputs={"like": _like, "tokenizer": paths.TOKENIZER},
        outputs=(
            MODEL,
            WEIGHTS,
        ),
    ),
    Stage(
        "finetune",
        "featflow.models.finetune",
        revision=2,
        summary="train a model further on other data",
        wildcards=("model",),
        slice=finetune_slice,
        cost=Cost(
            start=6,
            rate=140e9,
            bfloat16=0.2,
            work=lambda z, cfg: _training(z, cfg, cfg.context),
            held=lambda z, cfg: 5 * z.model(cfg.model),
        ),
        jobs=_of_kind("finetune"),
        kind="finetune",
        inputs={
            "parent": _parents,
            "tokens": lambda s, n: tokens(s, finetune_slice(s, n["model"]).corpora, "train"),
        },
        outputs=(
            MODEL,
            WEIGHTS,
            TRAINING,
        ),
    ),
    Stage(
        "sweep",
        "featflow.models.sweep",
        revision=2,
        summary="a merge at every t, on its parents' data",
        wildcards=("model",),
        slice=sweep_slice,
        cost=Cost(
            start=6,
            rate=55e9,
            float32=0.4,
            work=_sweeping,
            held=lambda z, cfg: (len(cfg.parents) + 1) * z.model(cfg.model),
        ),
        jobs=lambda s: [(m,) for m in s.study.swept],
        inputs={"parents": _parents, "tokens": _swept_tokens},
        outputs=(SWEEP,),
        leaves=(paths.SWEEP,),
    ),
    Stage(
        "merge",
        "featflow.models.merge",
        revision=1,
        summary="merge models tensor by tensor",
        wildcards=("model",),
        slice=merge_slice,
        cost=Cost(
            start=4.5,
            rate=1e8,
            threads=1,
            work=lambda z, cfg: len(cfg.parents) * z.model(cfg.model),
            held=lambda z, cfg: (len(cfg.parents) + 1) * z.model(cfg.model),
        ),
        jobs=_of_kind("merge"),
        kind="merge",
        inputs={
            "parents": _parents,
            "choice": lambda s, n: list(choice_of_t(s, n).values()),
            "base": _merge_base,
        },
        outputs=(
            MODEL,
            WEIGHTS,
            MERGE,
        ),
    ),
    Stage(
        "evaluate",
        "featflow.models.evaluate",
        revision=2,
        summary="loss and accuracy of a model on every corpus",
        wildcards=("model",),
        slice=evaluate_slice,
        cost=Cost(
            start=5.5,
            rate=65e9,
            float32=0.4,
            work=_evaluating,
            held=lambda z, cfg: z.model(cfg.model),
        ),
        jobs=lambda s: [(m,) for m in s.study.models],
        inputs={
            "model": paths.MODEL,
            "tokens": lambda s, n: tokens(s, evaluate_slice(s, n["model"]).corpora, "validation"),
        },
        outputs=(EVALUATE,),
        leaves=(paths.EVALUATE,),
    ),
)
