"""Language models: made, merged, swept over a merge's t, measured."""

from collections.abc import Callable, Iterator

from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.spec import Field, File, Job, Stage

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


STAGES = (
    Stage(
        "train",
        "featflow.models.train",
        revision=2,
        summary="train a base model",
        wildcards=("model",),
        jobs=_of_kind("base"),
        kind="base",
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
        outputs=(EVALUATE,),
        leaves=(paths.EVALUATE,),
    ),
)
