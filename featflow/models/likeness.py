"""Whether two models compute alike: all that their config.json say, but for what changes nothing.

Weights of the same shapes mean something else to a model with another activation function, other
rotary frequencies or another epsilon. Configs are read by transformers' class for the architecture,
so that a key that is not there has its default, and old names are those of today.
"""

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featflow.artifacts.io import readable
from featflow.artifacts.provenance import KEY
from featflow.config.errors import FeatflowError
from featflow.models.folder import HANDLE, read_config

if TYPE_CHECKING:
    from transformers import PretrainedConfig

HARMLESS = {
    KEY,
    "_name_or_path",
    "name_or_path",
    "architectures",
    "auto_map",
    "tokenizer_class",
    # dtype of the weights: a merge computes in float32 at least, and has that of the first parent
    "dtype",
    "torch_dtype",
    # what a forward pass gives beside the logits, or by which of equal means
    "use_cache",
    "return_dict",
    "output_hidden_states",
    "output_attentions",
    "torchscript",
    "output_router_logits",
    "chunk_size_feed_forward",
    "gradient_checkpointing",
    "pretraining_tp",
    # heads that are not a language model's
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "finetuning_task",
    "classifier_dropout",
    "task_specific_params",
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_proj_to_labels",
    "summary_first_dropout",
    # training alone
    "initializer_range",
    "initializer_factor",
    "router_aux_loss_coef",
    "router_jitter_noise",
}
"""Keys of config.json that change no logit of a text; those of generation are harmless, too."""

HARMLESS_NAMES = re.compile(
    r"(.*_)?(dropout|pdrop|layerdrop|dropout_prob|dropout_rate)"  # training alone
    r"|.*_version"  # of the library that wrote it
    r"|.*(_token_id|_token_ids|_token_index)"  # featflow feeds ids itself, without padding
    r"|_.*_implementation(_internal)?|(attn|experts)_implementation"  # equal to rounding
)
"""The same, by how they are called."""


def check_alike(pair: str, folders: tuple[Path, Path]) -> None:
    """Raise FeatflowError, beginning with `pair`, unless two models compute alike.

    Raises:
        ArtifactError: when a config.json is missing or cannot be used.
        FeatflowError: naming every key in which they differ, and both values.
    """
    first, second = (_computed_with(folder) for folder in folders)
    pairs = {key: (first.get(key), second.get(key)) for key in sorted(first.keys() | second.keys())}
    different = [
        f"{key} is {' and '.join('not set' if v is None else str(v) for v in values)}"
        for key, values in pairs.items()
        if values[0] != values[1]
    ]
    if different:
        raise FeatflowError(
            f"{pair}: {', '.join(different)} (in their {HANDLE}): the same weights would compute "
            "something else in the other model; take models that descend from one another, or from "
            "the same model"
        )


def _computed_with(folder: Path) -> dict[str, Any]:
    """What decides a model's logits beside its weights: dotted key to value."""
    with readable(folder / HANDLE):
        config = read_config(folder)
    return dict(_flat("", config.to_dict(), HARMLESS | _of_generation(config)))


def _of_generation(config: "PretrainedConfig") -> set[str]:
    """Keys that say how text is sampled, and are none of the architecture's own."""
    from transformers import GenerationConfig

    return set(GenerationConfig().to_dict()) - {field.name for field in fields(config)}


def _flat(prefix: str, values: dict[str, Any], harmless: set[str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if key in harmless or HARMLESS_NAMES.fullmatch(str(key)):
            continue
        if isinstance(value, dict) and value:
            found += _flat(f"{prefix}{key}.", value, harmless)
        else:
            found.append((f"{prefix}{key}", value))
    return found
