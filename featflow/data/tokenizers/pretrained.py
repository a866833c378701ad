"""A tokenizer that exists: a folder, a tokenizer.json, or a name on the Hugging Face hub."""

import os
from pathlib import Path

from huggingface_hub import hf_hub_download
from tokenizers import Tokenizer

from featflow.core.config.tokenizers import Pretrained
from featflow.data.sources import SourceError, expand

FILE = "tokenizer.json"


def build(cfg: Pretrained, corpora: list[Path]) -> Tokenizer:
    """The tokenizer as it is, but for truncation and padding, which are switched off.

    Raises:
        SourceError: when it cannot be found or read.
    """
    path = _file(expand(cfg.name, "name"), cfg.revision)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower class
        raise SourceError(f"name: {path} is no tokenizer.json: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _file(name: str, revision: str | None) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / FILE).is_file():
            raise SourceError(f"name: the folder {name!r} has no {FILE}")
        return path / FILE
    try:
        token = os.environ.get("HF_TOKEN") or False
        return Path(hf_hub_download(name, FILE, revision=revision, token=token))
    except (OSError, ValueError) as error:
        raise SourceError(
            f"name: {name!r} is no folder or file here, and the hub gives no {FILE} of it: "
            f"{error}; check name, revision and network, and HF_TOKEN if it is gated"
        ) from error
