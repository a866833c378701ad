"""Hugging Face model folders: written whole, with config.json last, and read back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn import Parameter
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from featflow.core.artifacts import ArtifactError, readable, settle
from featflow.core.provenance import KEY, Provenance
from featflow.data.tokenizer import document_token, load

HANDLE = "config.json"
WEIGHTS = "model.safetensors"


@contextmanager
def written_folder(folder: Path, handle: str = HANDLE) -> Iterator[Path]:
    """A temporary folder beside `folder`, whose files move into it when the block ends well.

    The handle is deleted first and moved last: where it is, the folder is complete.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        folder.mkdir(parents=True, exist_ok=True)
        (folder / handle).unlink(missing_ok=True)
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == handle):
            settle(file, folder / file.name)
    finally:
        shutil.rmtree(temporary)


def save_model(model: PreTrainedModel, folder: Path, provenance: Provenance) -> None:
    """Weights and config.json, with the provenance under its key `featflow`."""
    setattr(model.config, KEY, provenance.fields)
    with _quiet():
        model.save_pretrained(folder)


def save_tokenizer(tokenizer: Path, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json, from a tokenizer.json."""
    token, _ = document_token(load(tokenizer))
    fast = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer), bos_token=token)
    with _quiet():
        fast.save_pretrained(folder)


def copy_tokenizer(parent: Path, folder: Path) -> None:
    """The tokenizer's files of another model folder."""
    with readable(parent / "tokenizer.json"):
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(parent / name, folder / name)


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder on the CPU, in float32.

    Raises:
        ArtifactError: when the folder or a file of it is missing or cannot be read.
    """
    with readable(folder / HANDLE), _quiet():
        for name in (HANDLE, WEIGHTS):
            if not (folder / name).is_file():
                raise ArtifactError(f"{folder / name}: no such file; rebuild the model")
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )


def parts(model: PreTrainedModel) -> tuple[torch.nn.Module, Parameter]:
    """The body, from ids (B, L) to hidden states (B, L, H), and the output embeddings (V, H)."""
    return model.base_model, model.get_output_embeddings().weight  # type: ignore[union-attr,return-value]


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers without its bars and its notes on every file."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
