"""Language models: made, merged, swept over a merge's t, measured."""

from collections.abc import Callable, Iterator

from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.data import tokens
from featflow.plan.stages.spec import Field, File, Job, Names, Stage

MEASURES = (
    Field("loss", "float64", "mean next-token cross-entropy, nats a token"),
    Field(
        "accuracy", "float64", "share of tokens whose prediction of highest probability is right"
    ),
)


def _settings(*fields: tuple[str, str, str]) -> tuple[Field, ...]:
    """Settings that only some merge methods have."""
    return tuple(Field(*field, optional=True, null=field[0] == "rescale") for field in fields)


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
    corpora = slices.sweep(names["model"]).corpora
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


STAGES = (
    Stage(
        "train",
        "featflow.models.train",
        revision=2,
        summary="train a base model",
        wildcards=("model",),
        jobs=_of_kind("base"),
        kind="base",
        inputs={
            "tokens": lambda s, n: tokens(s, s.train(n["model"]).corpora, "train"),
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
        jobs=_of_kind("finetune"),
        kind="finetune",
        inputs={
            "parent": _parents,
            "tokens": lambda s, n: tokens(s, s.finetune(n["model"]).corpora, "train"),
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
        jobs=lambda s: [(m,) for m in s.study.models],
        inputs={
            "model": paths.MODEL,
            "tokens": lambda s, n: tokens(s, s.evaluate(n["model"]).corpora, "validation"),
        },
        outputs=(EVALUATE,),
        leaves=(paths.EVALUATE,),
    ),
)
