"""Text from featflow's grammars: the same for the same seed, on every machine."""

from collections.abc import Iterator
from pathlib import Path

from featflow.config.corpora import Generated
from featflow.data import grammars
from featflow.data.sources import Document

DOCUMENT = {"english": 970, "python": 1970, "lua": 1880, "stories": 1030}
"""Bytes of a document, by language."""


def documents(source: Generated, seed: int) -> Iterator[Document]:
    """The first `source.documents` documents of the language for this seed."""
    for i, text in enumerate(grammars.documents(source.language, seed, source.documents)):
        yield Document(text, source.language, f"generated:{source.language}:{i}")


def local_files(source: Generated) -> list[Path]:
    """None: the grammars are featflow's own."""
    return []


def text_bytes(source: Generated) -> float:
    """By the mean length of the language's documents."""
    return source.documents * DOCUMENT[source.language]
