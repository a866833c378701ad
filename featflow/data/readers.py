"""Documents in a file, told apart by its content and its name: a text is one, records hold many.

Records are JSON (a line each, one after the other, or an array), .csv and .tsv, or parquet. Endings
count in upper and lower case; each file may be packed as .gz or .zst.
"""

import csv
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from featflow.artifacts.reading import error_text, parsed
from featflow.config.errors import FeatflowError
from featflow.data.places import SourceError
from featflow.data.sources import text_of
from featflow.files import writable

Form = Literal["text", "strings", "lines", "values", "table", "parquet"]
"""lines: JSON, a record a line. values: an array of records, or several in a row. strings: an array
of texts."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
PACKED = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""What a packed file begins with, whatever its name."""
ENDINGS: dict[str, Form] = {
    ".parquet": "parquet",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".jsonlines": "lines",
    ".csv": "table",
    ".tsv": "table",
}
UNPACKED = {".gz": 3.0, ".zst": 3.5, ".parquet": 2.0}
"""Bytes of text for a byte of a packed file."""
FIELD = "text"
"""The field of records where the user names none."""
BATCH = 256
"""Rows of a .parquet in memory at a time."""
HEAD = 16_000_000
"""Bytes in which the first record must end where only the content says that there are records."""
CHUNK = 2**20
LONGEST = 2**28
"""Characters of JSON that are read at a time, and that a record may have at most."""


class Unsuitable(Exception):
    """The file is no document; the message is the reason in a few words."""


class FileDocument(NamedTuple):
    """A document of a file."""

    number: int | None
    """A line from 1, a row from 0, none for a text."""
    text: str
    source: str | None = None
    """What the user's field for it says."""


def texts(
    path: Path, field: str, max_bytes: int, source: str | None = None
) -> Iterator[FileDocument]:
    """The documents of a file.

    Args:
        path: the file.
        field: the field or column of a document; a text has none.
        max_bytes: a text file larger than this is not read to its end.
        source: the field or column that says what a document is a part of (None: none does).

    Raises:
        Unsuitable: for a text file that is binary, not UTF-8, or too large.
        FeatflowError: for a file that is corrupt.
        SourceError: when the field is missing.
    """
    with _sound(path):
        form = _form(path, field)
    with _sound(path), _opened(path) as file:
        if form == "text":
            yield FileDocument(None, _text(file.read(max_bytes + 1), max_bytes))
        elif form == "parquet":
            with _whole(path, file) as table:
                yield from _rows(path, table, field, source)
        elif form == "table":
            yield from _cells(path, file, field, source)
        else:
            for number, record, where in _records(path, file, form):
                found = record if form == "strings" else _field(record, field, "text", where)
                part_of = None if source is None else str(_field(record, source, "source", where))
                text = text_of(found, "text", f"field {field!r} of {where}")
                yield FileDocument(number, text, part_of)


def has_fields(path: Path, field: str) -> bool:
    """Whether a file holds records with fields: by its name, or else by its beginning.

    Raises:
        FeatflowError: when it cannot be read.
    """
    with _sound(path):
        if ending(path) in ENDINGS or not path.stat().st_size:  # nothing is anything
            return True
        return _form(path, field) not in ("text", "strings")


def no_fields(path: Path, key: str, field: str) -> str:
    """What is wrong where a key of the config names the field of a file that holds no records."""
    return (
        f"{key}: {path} has no fields, such as {field!r}: it is neither JSON records nor .csv, "
        f".tsv or parquet; leave out the key `{key}`, or the file with `exclude`"
    )


def sample(path: Path, count: int) -> list[dict[str, Any]] | None:
    """The first records of a file; None where it is a text (or an array of texts).

    Raises:
        FeatflowError: for a file that is corrupt.
    """
    import pyarrow.parquet as pq

    with _sound(path), _opened(path) as file:
        form = _form(path, FIELD)
        if form in ("text", "strings"):
            return None
        if form == "parquet":
            with _whole(path, file) as whole, pq.ParquetFile(whole, pre_buffer=False) as table:
                batch = next(table.iter_batches(count), None)
                return batch.to_pylist() if batch is not None else []
        if form == "table":
            names, rows = _read_table(path, file, FIELD)
            return [dict(zip(names, row, strict=True)) for row in islice(rows, count)]
        found = islice(_records(path, file, form), count)
        return [record for _, record, _ in found if isinstance(record, dict)]


def ending(path: Path) -> str:
    """What follows the last dot, in lower case, of a name without that of its packing."""
    packed = path.suffix.lower() in COMPRESSIONS
    return (Path(path.stem) if packed else path).suffix.lower()


def text_sizes(paths: Iterable[Path], largest: int | None = None) -> list[float]:
    """About how many bytes of text each file holds, by its size on the disk.

    Args:
        paths: the files.
        largest: text files (one document each) above this hold none.
    """
    sizes = []
    for path in paths:
        held = path.stat().st_size * UNPACKED.get(path.suffix.lower(), 1)
        many = ending(path) in {*ENDINGS, ".json"}
        if largest is None or held <= largest or many:
            sizes.append(held)
    return sizes


def _form(path: Path, field: str) -> Form:
    """By the name, else by the content."""
    if form := ENDINGS.get(ending(path)):
        return form
    with _opened(path) as file:
        head = file.read(64)
        if head.startswith(b"PAR1"):
            return "parquet"
        if head.decode("utf-8-sig", "ignore").lstrip()[:1] not in ("{", "["):
            return "text"
        head += file.read(HEAD)
    return _form_of_json(head.decode("utf-8-sig", "ignore"), ending(path) == ".json", field)


def _form_of_json(head: str, named: bool, field: str) -> Form:
    """Of what begins with a bracket: text too, if no JSON record follows.

    A single object is a record if it has the field, else a text such as a package.json; an array of
    strings is one of texts where the file is `named` .json.

    Raises:
        SourceError: for an object that holds the records in one of its fields.
    """
    start = _SPACE.match(head).end()
    array = head[start] == "["
    start = _SPACE.match(head, start + array).end()
    if array and head[start : start + 1] not in (("{", '"') if named else ("{",)):
        return "text"
    try:
        first, end = json.JSONDecoder().raw_decode(head, start)
    except (ValueError, RecursionError):
        return "text"
    following = _SPACE.match(head, end).end()
    after = head[following : following + 1]
    if array:
        form: Form = "strings" if isinstance(first, str) else "values"
        return form if after in (",", "]", "") else "text"
    if after == "{" or (after and named):
        a_line = "\n" not in head[start:end] and "\n" in head[end:following]
        return "lines" if a_line else "values"
    if after:
        return "text"
    for key, value in first.items():
        inner = value[0] if isinstance(value, list) and value else None
        if field not in first and isinstance(inner, dict) and field in inner:
            raise SourceError(
                f"text: the records are in a list, {key!r}, of one JSON object; write them as JSON "
                f"lines: jq -c '.[\"{key}\"][]' FILE > FILE.jsonl"
            )
    return "values" if field in first else "text"


_SPACE = cast(Any, re.compile(r"\s*"))
"""Always matches."""


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
    except Exception as error:  # Arrow's, csv's and json's are of many classes
        raise FeatflowError(
            f"{path}: corrupt, or not what its name says: {error_text(error)}; fetch it again, or "
            f"leave it out with the corpus's `exclude`"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # Arrow's decompression, since zstandard's takes the end of a truncated file for its end.
    import pyarrow as pa

    with pa.input_stream(str(path), compression=_compression(path)) as stream:
        yield cast(BinaryIO, io.BufferedReader(stream))


def _compression(path: Path) -> str | None:
    """By the name, else by the content."""
    if named := COMPRESSIONS.get(path.suffix.lower()):
        return named
    with open(path, "rb") as file:
        begin = file.read(4)
    return next((kind for magic, kind in PACKED.items() if begin.startswith(magic)), None)


@contextmanager
def _whole(path: Path, file: BinaryIO) -> Iterator[BinaryIO | Path]:
    """A parquet, unpacked: it is read from its end, and may not fit in memory."""
    if _compression(path) is None:
        yield path
        return
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


def _records(path: Path, file: BinaryIO, form: Form) -> Iterator[tuple[int, Any, str]]:
    """Each record of JSON, its number, and where it is."""
    if form != "lines":
        for number, value in enumerate(_values(file)):
            yield number, value, f"{path}, record {number},"
        return
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = parsed(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        yield number, record, f"{path}, line {number},"


def _values(file: BinaryIO) -> Iterator[Any]:
    """JSON values that follow each other, or those of an array; a chunk of the file in memory."""
    stream = io.TextIOWrapper(file, encoding="utf-8-sig")
    text = stream.read(CHUNK)
    at = _SPACE.match(text).end()
    array = text[at : at + 1] == "["
    at += array
    while True:
        at = _BETWEEN.match(text, at).end()
        if array and text[at : at + 1] == "]":
            if (text[at + 1 :] + stream.read()).strip():
                raise ValueError("something follows the array of records")
            return
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            more = stream.read(max(CHUNK, len(text) - at)) if len(text) - at < LONGEST else ""
            if not more and not text[at:] and not array:
                return
            if not more:
                raise ValueError(f"behind {text[at : at + 40]!r}: {error}") from error
            text, at = text[at:] + more, 0
            continue
        yield value


_BETWEEN = cast(Any, re.compile(r"[\s,]*"))
"""Always matches."""


def _field(record: Any, field: str, key: str, where: str) -> object:
    """Raises SourceError, which names the config's key, where a record has no such field."""
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise SourceError(f"{key}: {where} holds {kind}, not an object with fields")
    if field not in record:
        raise SourceError(f"{key}: {where} has no field {field!r}; {_there_are(record)}")
    return record[field]


def _there_are(names: Any) -> str:
    """The remedy of a wrong field."""
    return f"it has: {', '.join(str(name)[:40] for name in names)}"


def _check_columns(path: Path, names: list[str], field: str, source: str | None) -> None:
    for key, name in (("text", field), ("source", source)):
        if name is not None and name not in names:
            raise SourceError(f"{key}: {path} has no column {name!r}; {_there_are(names)}")


def _cells(path: Path, file: BinaryIO, field: str, source: str | None) -> Iterator[FileDocument]:
    names, rows = _read_table(path, file, field)
    _check_columns(path, names, field, source)
    column = names.index(field)
    other = None if source is None else names.index(source)
    for number, row in enumerate(rows):
        yield FileDocument(number, row[column], None if other is None else row[other])


def _read_table(path: Path, file: BinaryIO, field: str) -> tuple[list[str], Iterator[list[str]]]:
    """The columns' names, and the rows.

    A .csv may be delimited by what makes a header with the field; else by what cuts it most often.
    """
    csv.field_size_limit(sys.maxsize)
    stream = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    line, delimiters = stream.readline(), "\t" if ending(path) == ".tsv" else ",;\t|"
    headers = {d: next(csv.reader([line], delimiter=d), []) for d in delimiters}
    names = {d: [name.strip() for name in header] for d, header in headers.items()}
    delimiter = max(delimiters, key=lambda d: (field in names[d], len(names[d])))
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    return names[delimiter], _whole_rows(reader, len(names[delimiter]))


def _whole_rows(reader: Any, columns: int) -> Iterator[list[str]]:
    for row in reader:
        if row and len(row) != columns:
            line = reader.line_num + 1
            raise ValueError(f"line {line} has {len(row)} columns, and the first {columns}")
        if row:
            yield row


def _rows(
    path: Path, file: BinaryIO | Path, field: str, source: str | None
) -> Iterator[FileDocument]:
    import pyarrow.parquet as pq

    # pre_buffer, pyarrow's default, would keep the whole file in memory
    with pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True) as table:
        _check_columns(path, table.schema_arrow.names, field, source)
        number, wanted = 0, [field] if source is None else [field, source]
        for batch in table.iter_batches(BATCH, columns=wanted):
            for record in batch.to_pylist():
                text = text_of(record[field], "text", f"column {field!r} of {path}")
                yield FileDocument(number, text, None if source is None else str(record[source]))
                number += 1
