"""Large arrays that are no results: in files without a name, whose memory the kernel can take back.

Such a file lies beside the checkpoints and ends with the process, however that ends: its name is
gone before anything is written to it. FEATFLOW_SCRATCH_BYTES says from what size on an array is put
there (default 2²⁸, 256 MiB); results do not depend on it.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import IO, Self

import numpy as np
from numpy.typing import DTypeLike

from featflow.files import writable
from featflow.runtime.log import checkpoints_root

REMEDY = "free some, or let FEATFLOW_CHECKPOINTS name a folder on a larger disk"


def limit() -> int:
    """Bytes from which on an array is put into a file."""
    return int(os.environ.get("FEATFLOW_SCRATCH_BYTES", 2**28))


def empty(size: int, dtype: DTypeLike) -> np.ndarray:
    """An array (size,) whose numbers are yet to be written.

    Raises:
        WriteError: when the disk has no room for it.
    """
    wanted = size * np.dtype(dtype).itemsize
    if wanted < limit() or not wanted:
        return np.empty(size, dtype)
    with nameless() as file:
        with writing():
            os.posix_fallocate(file.fileno(), 0, wanted)  # a full disk is met here, not by a signal
        return _mapped(file, dtype, size)


class Writer:
    """An array that is written piece by piece, into a file without a name."""

    def __init__(self) -> None:
        """Raises WriteError when the folder of the checkpoints may not be written."""
        self._file, self._bytes = nameless(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file up; arrays of it stay."""
        self._file.close()

    def add(self, piece: np.ndarray) -> None:
        """Append the numbers of a contiguous array.

        Raises:
            WriteError: when the disk is full.
        """
        with writing():
            self._file.write(piece.data)
        self._bytes += piece.nbytes

    def array(self, dtype: DTypeLike) -> np.ndarray:
        """All that was written, as an array (n,); it outlives the writer."""
        with writing():
            self._file.flush()
        return _mapped(self._file, dtype, self._bytes // np.dtype(dtype).itemsize)


def writing() -> AbstractContextManager[None]:
    """Around what is written to such a file: a full disk is told with its remedy."""
    return writable(checkpoints_root() / "scratch", REMEDY)


def nameless() -> IO[bytes]:
    """A file without a name, to write and to read; it ends with the process."""
    root = checkpoints_root()
    with writing():
        root.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=root)


def _mapped(file: IO[bytes], dtype: DTypeLike, size: int) -> np.ndarray:
    """The numbers (size,) that a file holds; they outlive the file's being closed."""
    if not size:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(file, dtype, "r+", shape=(size,)))


def gathered(pieces: Iterable[np.ndarray], dtype: DTypeLike) -> np.ndarray:
    """Arrays (n,) one after another, as they come: into a file once they are many.

    Raises:
        WriteError: when the disk is full.
    """
    held: list[np.ndarray] = []
    coming = iter(pieces)
    for piece in coming:
        held.append(np.ascontiguousarray(piece, dtype))
        if sum(part.nbytes for part in held) >= limit():
            break
    else:
        return np.concatenate([np.empty(0, dtype), *held])
    with Writer() as writer:
        while held:
            writer.add(held.pop(0))
        for piece in coming:
            writer.add(np.ascontiguousarray(piece, dtype))
        return writer.array(dtype)


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (n,) one after another; a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    found = empty(sum(map(len, parts)), np.result_type(*parts))
    place = 0
    for part in parts:
        found[place : place + len(part)] = part
        place += len(part)
    return found
