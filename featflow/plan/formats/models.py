"""Language models, their training, merging and measuring."""

from featflow.plan import paths
from featflow.plan.formats.describe import Field, Format

MEASURES = (
    Field("loss", "float64", "mean next-token cross-entropy, nats a token"),
    Field(
        "accuracy", "float64", "share of tokens whose prediction of highest probability is right"
    ),
)


def _settings(*fields: tuple[str, str, str]) -> tuple[Field, ...]:
    """Settings that only some merge methods have."""
    return tuple(Field(*field, optional=True, null=field[0] == "rescale") for field in fields)


FORMATS = (
    Format(
        paths.MODEL,
        "json",
        "train, finetune, merge, pretrained, random",
        "The handle of a Hugging Face model folder, written last: where it is, the folder is "
        "whole. Its keys are those of transformers; beside it lie model.safetensors, "
        "tokenizer.json, tokenizer_config.json and generation_config.json.",
        more=True,
    ),
    Format(
        paths.WEIGHTS,
        "safetensors",
        "train, finetune, merge, pretrained, random",
        "The weights under transformers's names, tied ones once. float32 from train and "
        "finetune; a merge has its first parent's dtype.",
        provenance="config.json beside it",
        more=True,
    ),
    Format(
        paths.TRAINING,
        "parquet",
        "train, finetune",
        "A row every few steps, at most 500.",
        (
            Field("step", "int64", "steps done, from 1"),
            Field("tokens", "int64", "tokens read so far, repeated ones again"),
            Field("loss", "float64", "mean since the row before, nats a token"),
            Field("learning_rate", "float64", "at this step"),
        ),
    ),
    Format(
        paths.MERGE,
        "json",
        "merge",
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
    ),
    Format(
        paths.SWEEP,
        "parquet",
        "sweep",
        "A row for each t and corpus of the parents, on the split `selection`.",
        (
            Field("t", "float64", "0 is the first parent, 1 the second"),
            Field("corpus", "text", "the corpus"),
            *MEASURES,
        ),
    ),
    Format(
        paths.EVALUATE,
        "json",
        "evaluate",
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
    ),
)
