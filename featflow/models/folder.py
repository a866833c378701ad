"""Hugging Face model folders: written whole, with config.json last, and read back.

transformers is imported where it is used: that takes longer than most stages that write a folder.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from featflow.artifacts.io import readable, settle
from featflow.artifacts.provenance import KEY, Provenance, named
from featflow.artifacts.reading import error_text
from featflow.config.errors import FeatflowError
from featflow.data.bos import document_token
from featflow.data.tokenizer import load
from featflow.files import writable
from featflow.models.weights import WEIGHTS, Weights, check_finite
from featflow.runtime.log import importing

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

HANDLE = "config.json"

ONE_FILE = "100TB"
"""More than any model: its weights are one file, which is a target of the workflow."""


@contextmanager
def written_folder(folder: Path, handle: str = HANDLE) -> Iterator[Path]:
    """A temporary folder beside `folder`, whose files move into it when the block ends well.

    The handle is deleted first and moved last: where it is, the folder is complete.

    Raises:
        WriteError: when the disk is full, or the folder may not be written.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        with writable(folder):
            temporary.mkdir(parents=True)
            yield temporary
            folder.mkdir(parents=True, exist_ok=True)
            (folder / handle).unlink(missing_ok=True)
            for file in sorted(temporary.iterdir(), key=lambda file: file.name == handle):
                settle(file, folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_model(model: "PreTrainedModel", folder: Path, provenance: Provenance) -> None:
    """Weights and config.json, with the provenance under its key `featflow`."""
    setattr(model.config, KEY, provenance.fields)
    with quiet():
        model.save_pretrained(folder, max_shard_size=ONE_FILE)


def save_tokenizer(tokenizer: Path, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json, from a tokenizer.json."""
    with importing():
        from transformers import PreTrainedTokenizerFast

    token, _ = document_token(load(tokenizer)) or (None, None)
    fast = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer), bos_token=token)
    with quiet():
        fast.save_pretrained(folder)


def copy_tokenizer(parent: Path, folder: Path) -> None:
    """The tokenizer's files of another model folder."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        with readable(parent / name):
            content = (parent / name).read_bytes()
        (folder / name).write_bytes(content)  # apart: a full disk is not the reader's fault


def load_model(folder: Path) -> "PreTrainedModel":
    """The model of a folder on the CPU, in float32.

    Raises:
        ArtifactError: when a file is missing or cannot be read, or holds other weights than the
            config asks for, or the model cannot be run.
        FeatflowError: when a weight is not finite.
    """
    weights = folder / WEIGHTS
    with readable(folder / HANDLE):
        config = read_config(folder)
    Weights(weights)  # so that it is this file which a message names
    with readable(weights):
        model, strangers = open_model(folder, config, torch.float32)
        if strangers:
            raise ValueError(f"it holds {named_few(strangers)}, which the model does not have")
    for name, weight in model.named_parameters():
        check_finite(weight, name, weights)
    with readable(folder / HANDLE):
        check_runs(model)
    return model


def read_config(folder: Path) -> "PretrainedConfig":
    """The config of a model folder, as featflow calls the model.

    Raises:
        FileNotFoundError, ValueError or OSError: when there is none, or transformers cannot use it.
    """
    with importing():
        from transformers import AutoConfig

    (folder / HANDLE).stat()
    with explained("transformers cannot read it"), quiet():
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _as_called(config)
    return config


def _as_called(config: "PretrainedConfig") -> None:
    """Undo what a config.json asks of the one who calls the model, and changes no logit.

    A tuple instead of an output with names, states that nobody reads, kernels that may not be
    installed here (transformers chooses one that is), an id for padding that is no token's.
    """
    if not isinstance(config.architectures, list | None):
        raise ValueError(f"architectures is {config.architectures!r}, not a list of names")
    config.return_dict = True
    config.output_hidden_states = False
    config._output_attentions = False
    for part in ("attn", "experts"):
        if getattr(config, f"_{part}_implementation", None) != "eager":
            setattr(config, f"_{part}_implementation", None)
    text = config.get_text_config()
    padding, rows = getattr(text, "pad_token_id", None), getattr(text, "vocab_size", None)
    if padding is not None and rows is not None and not 0 <= padding < rows:
        text.pad_token_id = None  # featflow pads nothing


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Whatever transformers raises for a folder that it cannot use as a ValueError.

    It documents no classes; by what is wrong they are KeyError, TypeError, AssertionError,
    ImportError, ZeroDivisionError and others.

    Args:
        what: cannot be done, for the message.

    Raises:
        ValueError: in place of all but OSError, such as that for a file that is not there.
    """
    try:
        yield
    except (OSError, MemoryError, FeatflowError):
        raise
    except Exception as error:
        raise ValueError(f"{what}: {error_text(error)}") from error


@torch.inference_mode()
def check_runs(model: "PreTrainedModel") -> None:
    """A first forward pass, which shows whether what config.json says can be computed.

    Raises:
        ValueError: when it fails, or gives no logits, or some that are not finite.
    """
    ids = torch.arange(4, device=model.device)[None] % vocabulary(model)
    with explained("the model cannot be run"), quiet():
        logits = model(input_ids=ids, use_cache=False).logits
    if logits.shape[:2] != ids.shape or model.get_output_embeddings() is None:
        raise ValueError(f"the model gives {tuple(logits.shape)} logits for 4 tokens")
    if model.dtype != torch.float16 and not logits.isfinite().all():  # whose range may be too small
        raise ValueError("the model's logits are NaN or infinite, though its weights are not")


def open_model(
    folder: Path, config: "PretrainedConfig", dtype: torch.dtype
) -> tuple["PreTrainedModel", list[str]]:
    """The model of a folder, and what its safetensors hold beside the model's weights.

    Raises:
        ValueError: when they lack a weight, or have one in another shape. (transformers itself
            would draw it at random, and say so in a warning.)
    """
    with importing():
        import transformers.modeling_utils  # noqa: F401  what from_pretrained would import
        from transformers import AutoModelForCausalLM

    model: PreTrainedModel
    info: dict[str, Any]
    with explained(f"transformers cannot make a model of it and its {HANDLE}"), quiet():
        model, info = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
            folder,
            config=config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    architecture = type(model).__name__
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"it lacks {named_few(missing)} of a {architecture}")
    for name, found, wanted in sorted(info["mismatched_keys"]):
        raise ValueError(f"{name} is {tuple(found)}, and {tuple(wanted)} in its {HANDLE}")
    return model, sorted(info["unexpected_keys"])


def named_few(names: list[str]) -> str:
    """The first three of some names, and how many more there are."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def block_length(model: "PreTrainedModel", asked: int | None, folder: Path) -> int:
    """Tokens of the blocks that a model reads: what the study asks, or its longest input.

    Raises:
        FeatflowError: when that is longer than its longest input, or not known.
    """
    longest = longest_input(model.config)
    if asked is not None and longest is not None and asked > longest:
        raise FeatflowError(
            f"{named(folder)}: context {asked} is longer than the model's longest input, {longest}"
        )
    if min(length for length in (asked, longest, 2) if length is not None) < 2:
        raise FeatflowError(
            f"{named(folder)}: in blocks of 1 token nothing is predicted; a context of 2 or more"
        )
    if asked is None and longest is None:
        raise FeatflowError(
            f"{named(folder)}/{HANDLE}: it does not say how long an input may be "
            "(max_position_embeddings); give the study's pretrained model a context"
        )
    return asked or longest  # type: ignore[return-value]


def longest_input(config: "PretrainedConfig") -> int | None:
    """The most tokens that a model was made for; None where its config does not say."""
    text = config.get_text_config()
    found = (getattr(text, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return next((length for length in found if length and length > 0), None)


def vocabulary(model: "PreTrainedModel") -> int:
    """Rows of the input embeddings: every token id lies below it."""
    return len(model.get_input_embeddings().weight)  # type: ignore[arg-type]


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its bars and its notes on every file."""
    with importing():
        from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
