"""Sources of documents: a file a kind, named after its `kind`, beside a class in config.corpora."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from featflow.config.corpora import Source
from featflow.data.sources import Document


class CorpusKind(Protocol):
    """What the file of a kind has. Dry runs call the last two, so nothing heavy is imported there.

    All of them raise SourceError, beginning with the key that is wrong.
    """

    def documents(self, source: Any, seed: int) -> Iterator[Document]:
        """All documents, in an order that is the same on every machine.

        Args:
            source: the kind's own class of config.corpora.
            seed: of what is drawn, where something is.
        """

    def local_files(self, source: Any) -> list[Path]:
        """The files of this machine that it is made from: a change of one rebuilds the corpus."""

    def text_bytes(self, source: Any) -> float | None:
        """About how much text it holds, in UTF-8 bytes; None where nobody knows before it is read.

        Its limits count where that makes it smaller, except `bytes`.
        """


def kind_of(source: Source) -> CorpusKind:
    """The file of a source's kind."""
    return cast(CorpusKind, import_module(f"featflow.data.corpora.{source.kind}"))  # type: ignore[attr-defined]
