"""A data set of the Hugging Face hub, or a local folder in the hub's layout; read as a stream.

Gated data sets take their token from HF_TOKEN alone. No code of a data set is ever run.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import datasets

from featflow.core.config.corpora import Hub
from featflow.data.sources import Document, SourceError, expand, text_of


def documents(source: Hub, seed: int) -> Iterator[Document]:
    """The documents of the data set's split, in its order.

    Raises:
        SourceError: when the data set cannot be opened or read, or lacks the column.
    """
    name = expand(source.dataset, "dataset")
    label = Path(name).resolve().name if Path(name).is_dir() else name
    for i, row in enumerate(_rows(source, name)):
        if source.text not in row:
            found = ", ".join(row)
            raise SourceError(f"text: {label} has no column {source.text!r}; it has: {found}")
        text = text_of(row[source.text], "text", f"column {source.text!r} of {label}")
        yield Document(text, f"{label}/{source.split}:{i}")


def _rows(source: Hub, name: str) -> Iterator[dict]:
    datasets.disable_progress_bars()
    try:
        yield from datasets.load_dataset(
            name,
            name=source.config,
            split=source.split,
            revision=source.revision,
            token=os.environ.get("HF_TOKEN") or False,
            streaming=True,
        )
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:
        raise SourceError(
            f"dataset: {source.dataset!r} cannot be read: {error}; check dataset, config, split "
            f"and revision, the network, and HF_TOKEN if it is gated"
        ) from error
