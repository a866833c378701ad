"""The rows of a dump on the disk while it is made: memory for one batch, however many there are.

Each array of the dump grows in a file of its own in the folder of the checkpoints, which need only
note how many rows are whole. At the end the files follow one another into the dump.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from featflow.artifacts.io import written
from featflow.artifacts.layout import Array, header
from featflow.artifacts.provenance import Provenance
from featflow.files import writable

if TYPE_CHECKING:  # at run time it would bring torch along, to stages that only read dumps
    from featflow.saes.sparse import Codes

TYPES = {"counts": "int32", "positions": "int64", "indices": "int32", "values": "float32"}
"""The files: two with a number a row, two with a number an active pair."""

ROWS = 4096
"""Rows that are read back at a time: about a batch."""

REMEDY = "free some, or set FEATFLOW_CHECKPOINTS to a folder on a larger disk"


class Rows(NamedTuple):
    """Consecutive rows of a dump; T of them, with nnz active pairs."""

    indptr: np.ndarray
    """(T + 1,) where each row's pairs begin in the two that follow."""
    indices: np.ndarray
    """(nnz,) int32, ascending in a row."""
    values: np.ndarray
    """(nnz,) float32, positive."""
    positions: np.ndarray
    """(T,) int64, ascending."""


class Spool:
    """The rows of one dump, appended batch by batch."""

    def __init__(self, folder: Path, name: str, features: int, rows: int = 0, pairs: int = 0):
        """Open it empty, or with what an earlier run has made and noted.

        Args:
            folder: where its files are.
            name: what their names begin with.
            features: how many columns the dump has.
            rows: what the note says; what is behind them is cut off, and where less is there the
                spool is empty.
            pairs: active pairs of these rows.
        """
        self._files = {part: folder / f"{name}.{part}" for part in TYPES}
        self.features, self.rows, self.pairs = features, rows, pairs
        if not self._cut():
            self.rows = self.pairs = 0
            self._cut()

    def add(self, codes: "Codes", positions: np.ndarray) -> None:
        """Append rows: what fires on each, and where they lie in the corpus's tokens (T,).

        Raises:
            WriteError: when the disk is full.
        """
        parts = {"counts": np.diff(codes.indptr), "positions": positions}
        for part, array in {**parts, "indices": codes.indices, "values": codes.values}.items():
            with writable(self._files[part], REMEDY), open(self._files[part], "ab") as file:
                file.write(np.ascontiguousarray(array, TYPES[part]).data)
        self.rows += len(positions)
        self.pairs += len(codes.values)

    def note(self) -> list[int]:
        """How many rows and pairs are safe on the disk from here on: for a checkpoint."""
        for path in self._files.values():
            with writable(path, REMEDY), open(path, "rb") as file:
                os.fsync(file.fileno())
        return [self.rows, self.pairs]

    def parts(self) -> Iterator[Rows]:
        """All rows, some thousands at a time."""
        with (
            open(self._files["counts"], "rb") as counts,
            open(self._files["positions"], "rb") as positions,
            open(self._files["indices"], "rb") as indices,
            open(self._files["values"], "rb") as values,
        ):
            while len(found := np.fromfile(counts, TYPES["counts"], ROWS)):
                indptr = _from_zero(found)
                yield Rows(
                    indptr,
                    np.fromfile(indices, TYPES["indices"], indptr[-1]),
                    np.fromfile(values, TYPES["values"], indptr[-1]),
                    np.fromfile(positions, TYPES["positions"], len(found)),
                )

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the dump: the bytes that `dump.write` would give.

        Raises:
            WriteError: when the disk is full.
        """
        shapes = {
            "indptr": Array("int64", (self.rows + 1,)),
            "indices": Array("int32", (self.pairs,)),
            "values": Array("float32", (self.pairs,)),
            "positions": Array("int64", (self.rows,)),
        }
        begin, names = header(shapes, provenance)
        with written(path) as temporary, open(temporary, "wb") as file:
            file.write(begin)
            for name in names:
                if name == "indptr":
                    for edges in self._edges():
                        file.write(edges.data)
                    continue
                with open(self._files[name], "rb") as part:
                    shutil.copyfileobj(part, file, 2**18)

    def delete(self) -> None:
        """Delete the files."""
        for path in self._files.values():
            path.unlink(missing_ok=True)

    def _edges(self) -> Iterator[np.ndarray]:
        """indptr (T + 1,) in pieces."""
        end = np.zeros(1, np.int64)
        yield end
        with open(self._files["counts"], "rb") as counts:
            while len(found := np.fromfile(counts, TYPES["counts"], ROWS)):
                edges = end + np.cumsum(found, dtype=np.int64)
                end = edges[-1:]
                yield edges

    def _cut(self) -> bool:
        """Cut the files to the rows that there are; False where one of them is shorter."""
        sizes = {"counts": self.rows, "positions": self.rows}
        for part, path in self._files.items():
            with writable(path, REMEDY), open(path, "ab") as file:
                size = sizes.get(part, self.pairs) * np.dtype(TYPES[part]).itemsize
                if file.tell() < size:
                    return False
                file.truncate(size)
        return True


def _from_zero(counts: np.ndarray) -> np.ndarray:
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return indptr
