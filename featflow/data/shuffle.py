"""Documents in a random order, however many there are: limits and readers take its beginning.

The order is that of a hash of the seed and the document's text, so that it does not depend on the
order in which a source yields them. While documents come, they lie in buckets, each a stretch of
that order; what is much is kept in files without a name (runtime/scratch.py).
"""

import hashlib
from collections.abc import Iterator
from operator import itemgetter
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa

from featflow.data.sources import Document
from featflow.runtime import scratch

BUCKETS = 256
HELD = 2**25
"""Bytes of text in memory, over all buckets, from which on they are put into their files."""
SCHEMA = pa.schema(
    [
        ("key", pa.uint64()),
        ("digest", pa.binary(32)),
        ("text", pa.string()),
        ("source", pa.string()),
        ("origin", pa.string()),
    ]
)


class Hashed(NamedTuple):
    """A document, the SHA-256 of its text, and its size in UTF-8 bytes."""

    document: Document
    digest: bytes
    size: int


class Shuffle:
    """Takes documents in any order, and gives them back in one that the seed decides.

    With limits it gives as many of the first ones as fit, and keeps little more than those.
    """

    def __init__(self, seed: int, documents: int | None = None, size: int | None = None):
        """Args: the seed; the most documents; the most bytes of UTF-8 text (None: no limit)."""
        self._seed, self._documents, self._size = seed, documents, size
        self._held: list[list[tuple]] = [[] for _ in range(BUCKETS)]
        self._files: dict[int, _File] = {}
        self._counts, self._sizes = np.zeros((2, BUCKETS), np.int64)
        self._bytes = 0
        self._last = BUCKETS
        """Buckets from this one on lie beyond the limits."""

    def __enter__(self) -> "Shuffle":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def add(self, found: Hashed) -> None:
        """Take a document.

        Raises:
            WriteError: when the disk is full.
        """
        key = int.from_bytes(hashlib.sha256(b"%d/%b" % (self._seed, found.digest)).digest()[:8])
        bucket = key * BUCKETS >> 64
        if bucket >= self._last:
            return
        self._held[bucket].append((key, found.digest, *found.document))
        self._counts[bucket] += 1
        self._sizes[bucket] += found.size
        self._bytes += found.size
        if self._bytes >= HELD:
            self._forget()
            self._spill()

    def __iter__(self) -> Iterator[Hashed]:
        """The documents in their order, up to the first that is beyond a limit."""
        count, size = self._documents, self._size
        for bucket in range(self._last):
            for _, digest, *fields in sorted(self._of(bucket), key=itemgetter(0, 1)):
                found = Hashed(Document(*fields), digest, len(fields[0].encode()))
                if count is not None and (count := count - 1) < 0:
                    return
                if size is not None and (size := size - found.size) < 0:
                    return
                yield found

    def _of(self, bucket: int) -> list[tuple]:
        file = self._files.get(bucket)
        stored = file.read() if file else []
        return stored + self._held[bucket]

    def _forget(self) -> None:
        """Let go of the buckets that the limits cannot reach any more."""
        for limit, there in ((self._documents, self._counts), (self._size, self._sizes)):
            if limit is not None:
                full = int(np.searchsorted(np.cumsum(there), limit, side="right")) + 1
                self._last = min(self._last, full)
        for bucket in range(self._last, BUCKETS):
            self._held[bucket] = []
            if file := self._files.pop(bucket, None):
                file.close()

    def _spill(self) -> None:
        for bucket, rows in enumerate(self._held):
            if rows:
                if bucket not in self._files:
                    self._files[bucket] = _File()
                self._files[bucket].add(rows)
                self._held[bucket] = []
        self._bytes = 0


class _File:
    """The documents of a bucket that are not in memory."""

    def __init__(self) -> None:
        self._file: IO[bytes] = scratch.nameless()
        self._writer = pa.ipc.new_stream(self._file, SCHEMA)

    def add(self, rows: list[tuple]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        with scratch.writing():
            self._writer.write_batch(pa.record_batch(columns, schema=SCHEMA))

    def read(self) -> list[tuple]:
        with scratch.writing():
            self._file.flush()
        self._file.seek(0)
        table = pa.ipc.open_stream(self._file).read_all()
        self._file.seek(0, 2)
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def close(self) -> None:
        self._file.close()
