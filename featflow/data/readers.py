"""Documents in a file: a text is one, a .jsonl or .parquet holds many; each also .gz or .zst."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from featflow.core.config.errors import FeatflowError
from featflow.core.reading import parsed, told
from featflow.core.writing import writable
from featflow.data.sources import SourceError, text_of

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
BATCH = 256
"""Rows of a .parquet in memory at a time."""


class Unsuitable(Exception):
    """The file is no document; the message is the reason in a few words."""


def texts(path: Path, field: str, max_bytes: int) -> Iterator[tuple[int | None, str]]:
    """The documents of a file, each with its number: a line from 1, a row from 0, none for a text.

    Args:
        path: its name tells the format.
        field: the field or column of a document.
        max_bytes: a text file larger than this is not read to its end.

    Raises:
        Unsuitable: for a text file that is binary, not UTF-8, or too large.
        FeatflowError: for a file that is corrupt.
        SourceError: when the field is missing.
    """
    compressed = path.suffix in COMPRESSIONS
    format = Path(path.stem).suffix if compressed else path.suffix
    with _sound(path), _opened(path) as file:
        if format == ".jsonl":
            yield from _lines(path, file, field)
        elif format == ".parquet" and compressed:
            with _on_disk(file) as whole:
                yield from _rows(path, whole, field)
        elif format == ".parquet":
            yield from _rows(path, path, field)
        else:
            yield None, _text(file.read(max_bytes + 1), max_bytes)


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Name the file in whatever goes wrong while it is read."""
    try:
        yield
    except FileNotFoundError:
        raise FeatflowError(f"{path}: no such file any more") from None
    except PermissionError:
        raise FeatflowError(f"{path}: not readable; change its permissions or exclude it") from None
    except (FeatflowError, Unsuitable, MemoryError):
        raise
    except Exception as error:  # Arrow's and json's are of many classes
        raise FeatflowError(
            f"{path}: corrupt, or not what its name says: {told(error)}; fetch it again, or leave "
            f"it out with the corpus's `exclude`"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # Arrow's decompression, since zstandard's takes the end of a truncated file for its end.
    import pyarrow as pa

    with pa.input_stream(str(path), compression=COMPRESSIONS.get(path.suffix)) as stream:
        yield cast(BinaryIO, io.BufferedReader(stream))


@contextmanager
def _on_disk(file: BinaryIO) -> Iterator[BinaryIO]:
    """Decompressed: a parquet is read from its end, and may not fit in memory."""
    with tempfile.TemporaryFile() as whole:
        room = Path(tempfile.gettempdir(), "a decompressed .parquet")
        with writable(room, "free some, or let TMPDIR name a folder on a larger disk"):
            shutil.copyfileobj(file, whole)
            whole.seek(0)
        yield cast(BinaryIO, whole)


def _text(content: bytes, max_bytes: int) -> str:
    if len(content) > max_bytes:
        raise Unsuitable("too large")
    if b"\0" in content:
        raise Unsuitable("binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unsuitable("not UTF-8") from None


def _lines(path: Path, file: BinaryIO, field: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number},"
        try:
            record = parsed(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        yield number, text_of(_field(record, field, where), "text", f"field {field!r} of {where}")


def _field(record: Any, field: str, where: str) -> object:
    if not isinstance(record, dict):
        raise SourceError(f"text: {where} holds {type(record).__name__}, not an object with fields")
    if field not in record:
        raise SourceError(f"text: {where} has no field {field!r}; it has: {', '.join(record)}")
    return record[field]


def _rows(path: Path, file: BinaryIO | Path, field: str) -> Iterator[tuple[int, str]]:
    import pyarrow.parquet as pq

    # pre_buffer, pyarrow's default, would keep the whole file in memory
    with pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True) as table:
        names = table.schema_arrow.names
        if field not in names:
            raise SourceError(f"text: {path} has no column {field!r}; it has: {', '.join(names)}")
        number = 0
        for batch in table.iter_batches(BATCH, columns=[field]):
            for value in batch.column(0).to_pylist():
                yield number, text_of(value, "text", f"column {field!r} of {path}")
                number += 1
