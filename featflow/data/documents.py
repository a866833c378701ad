"""The parquet files of documents that pass from `corpus` to `tokenizer` and `tokens`.

Both directions go in batches, so that a corpus may be larger than memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featflow.artifacts.io import readable, written
from featflow.artifacts.provenance import KEY, Provenance
from featflow.data.sources import Document

COLUMNS = {
    "text": pa.string(),
    "source": pa.string(),
    "origin": pa.string(),
    "hash": pa.uint64(),
}
"""As in Document; hash is the beginning of the text's SHA-256, wherever the text stands."""
GROUP_BYTES = 16_000_000
"""UTF-8 bytes of text in a row group: what a writer holds in memory."""
BATCH_CHARACTERS = 2_000_000
"""About as much text a reader hands over at a time."""
ROWS = 256
"""Rows that it decodes at a time."""


class Writer:
    """Writes documents to a parquet file, a row group at a time."""

    def __init__(self, path: Path, provenance: Provenance):
        metadata = {KEY: provenance.dumps()}
        schema = pa.schema(list(COLUMNS.items()), metadata=metadata)
        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._schema = schema
        self._group: list[tuple[str, str, str, int]] = []
        self._group_bytes = 0
        self.documents = 0
        self.bytes = 0

    def add(self, document: Document, size: int, place: int) -> None:
        """Append a document of `size` UTF-8 bytes, whose hash is `place`."""
        self._group.append((*document, place))
        self._group_bytes += size
        self.documents += 1
        self.bytes += size
        if self._group_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        columns = [list(column) for column in zip(*self._group, strict=True)]
        self._file.write_batch(pa.record_batch(columns, schema=self._schema))
        self._group, self._group_bytes = [], 0

    def close(self) -> None:
        """Write what is left, and the footer; once closed, it stays so."""
        try:
            if self._group:
                self._flush()
        finally:
            self._file.close()


@contextmanager
def writer(path: Path, provenance: Provenance) -> Iterator[Writer]:
    """A writer under a temporary name; the file appears when the block ends well."""
    with written(path) as temporary:
        file = Writer(temporary, provenance)
        try:
            yield file
            file.close()
        except BaseException:
            with suppress(Exception):  # what went wrong first is what is told
                file.close()
            raise


def batches(path: Path) -> Iterator[list[str]]:
    """The texts of a parquet of documents, in order, about `BATCH_CHARACTERS` at a time.

    Raises:
        ArtifactError: when the file is missing, truncated or foreign.
    """
    # pre_buffer, pyarrow's default, would keep the whole file in memory
    with readable(path), pq.ParquetFile(path, pre_buffer=False) as file:
        if missing := {"text", "source"} - set(file.schema_arrow.names):
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        batch: list[str] = []
        size = 0
        for rows in file.iter_batches(ROWS, columns=["text"]):
            for text in rows.column(0).to_pylist():
                batch.append(text)
                size += len(text)
                if size >= BATCH_CHARACTERS:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch
