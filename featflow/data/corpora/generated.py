"""Text from featflow's grammars: the same for the same seed, on every machine."""

from collections.abc import Iterator

from featflow.config.corpora import Generated
from featflow.data import grammars
from featflow.data.sources import Document


def documents(source: Generated, seed: int) -> Iterator[Document]:
    """The first `source.documents` documents of the language for this seed."""
    for i, text in enumerate(grammars.documents(source.language, seed, source.documents)):
        yield Document(text, source.language, f"generated:{source.language}:{i}")
