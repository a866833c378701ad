"""The tokenizer stage: one tokenizer.json for all models of the study."""

from importlib import import_module
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from featflow.artifacts.io import readable, save_json, written
from featflow.artifacts.provenance import Provenance
from featflow.data.bos import document_token, special_tokens
from featflow.data.places import keyed
from featflow.plan.stages.data import TokenizerSlice
from featflow.runtime.log import log

PROVENANCE = "provenance.json"
"""Beside tokenizer.json, whose own format takes no other key."""


def run(cfg: TokenizerSlice, *, corpora: list[Path], output: Path) -> None:
    """Train the study's tokenizer, or fetch one that exists.

    Args:
        corpora: train parquet of each corpus that the tokenizer names, in its order.
        output: tokenizer.json; provenance.json is written beside it.

    Raises:
        ConfigError: when a tokenizer cannot be had, or does not say what begins a document.
    """
    provenance = Provenance("tokenizer", cfg, corpora)
    kind = import_module(f"featflow.data.tokenizers.{cfg.tokenizer.kind}")
    with keyed(f"studies.{cfg.study}.tokenizer"):
        tokenizer = kind.build(cfg.tokenizer, corpora)
    token, number = document_token(tokenizer) or (None, None)
    size = tokenizer.get_vocab_size()
    record = {"document_token": token, "document_token_id": number, "vocabulary": size}
    save_json(output.with_name(PROVENANCE), record, provenance)
    with written(output) as temporary:
        tokenizer.save(str(temporary))
    begins = f"a document begins with {token} (id {number})" if token else "none begins a document"
    log.info("%s tokens; %s", f"{size:,}", begins)


def load(path: Path) -> Tokenizer:
    """The tokenizer of a study, which reads the text of a special token as text.

    A document about HTML may spell `<s>`; it must not begin a document by that.

    Raises:
        ArtifactError: when the file is missing or no tokenizer.
    """
    with readable(path):
        content = Path(path).read_text(encoding="utf-8")
        try:
            tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library raises no narrower class
            raise ValueError(error) from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> np.ndarray:
    """The ids of its special tokens: (k,) int64, ascending."""
    return np.array(sorted(special_tokens(tokenizer).values()), np.int64)
