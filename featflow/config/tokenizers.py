"""Tokenizers. One class a kind, one file in `data/tokenizers/`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from featflow.config.base import Config, Name


class Bpe(Config):
    """A byte-level BPE, trained on a balanced sample of the corpora it names."""

    kind: Literal["bpe"]
    corpora: list[Name] = Field(min_length=1)
    """What it is trained on; named, so that a new corpus does not retrain everything."""
    vocabulary: Annotated[int, Field(ge=300)] = 4096
    """Entries, the 256 bytes and the special tokens included."""
    sample_bytes: PositiveInt = 10_000_000
    """UTF-8 bytes of text taken from each corpus."""


class Pretrained(Config):
    """A tokenizer that exists: a name on the hub, a folder, a tokenizer.json, or a SentencePiece
    .model file."""

    kind: Literal["pretrained"]
    name: str
    revision: str | None = None
    """A branch, tag or commit on the hub."""
    bos: str | None = "auto"
    """The token that begins a document. auto: what the tokenizer's own files say (null: none)."""


Tokenizer = Annotated[Bpe | Pretrained, Field(discriminator="kind")]
