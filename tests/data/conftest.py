"""What the tests of the data room share."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from featflow.artifacts.provenance import Provenance
from featflow.config.corpora import Generated
from featflow.data.documents import writer
from featflow.data.sources import Document
from featflow.plan.stages.data import CorpusSlice


@pytest.fixture(scope="session")
def write() -> Callable[[Path, Iterable[str]], Path]:
    """Write texts as a parquet of documents."""
    source = Generated(kind="generated", language="lua", documents=5)
    provenance = Provenance("corpus", CorpusSlice(study="s", corpus="c", seed=0, source=source))

    def to(path: Path, texts: Iterable[str]) -> Path:
        with writer(path, provenance) as file:
            for i, text in enumerate(texts):
                file.add(Document(text, "file", f"file:{i}"), len(text.encode()), i)
        return path

    return to
