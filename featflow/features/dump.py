"""A dump: the sparse feature activations of one dictionary on one corpus of the probe.

It is read and checked here, and written: at once, or row by row from a spool while it is made.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from featflow.artifacts.io import ArtifactError, load_json, readable, save_tensors, written
from featflow.artifacts.layout import Array, header
from featflow.artifacts.mapping import map_tensors
from featflow.artifacts.provenance import Provenance
from featflow.artifacts.reading import named, rebuild
from featflow.features.stacked import Stacked, part
from featflow.files import writable

if TYPE_CHECKING:  # at run time it would bring torch along, to stages that only read dumps
    from featflow.saes.sparse import Codes


AT_ONCE = 2**22
"""Numbers that are checked at once: bounds the memory."""

ROWS_AT_ONCE = 4096
"""Rows that are read back at a time: about a batch."""

SPOOLED = {"counts": "int32", "positions": "int64", "indices": "int32", "values": "float32"}
"""The files of a spool: two with a number a row, two with a number an active pair."""

REMEDY = "free some, or set FEATFLOW_CHECKPOINTS to a folder on a larger disk"
"""Where the disk of the spools is full."""


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


class Dump(NamedTuple):
    """Activations and where they were read off; rows are the same for every model of a study."""

    activations: csr_array
    """(T, d_sae) float32: what is stored is positive, all else is zero."""
    positions: np.ndarray
    """(T,) int64: the row's place in the corpus's `input_ids`."""

    @property
    def features(self) -> int:
        """d_sae."""
        return self.activations.shape[1]

    def parts(self) -> Iterator[Rows]:
        """All rows, as a spool gives them: here at once, and nothing is copied."""
        matrix = self.activations
        yield Rows(matrix.indptr, matrix.indices, matrix.data, self.positions)


class Mapped(NamedTuple):
    """A dump that stays in its file: what is read of it is in memory for as long as it is used."""

    activations: Stacked
    """(T, d_sae) in one part."""
    positions: np.ndarray
    """(T,) int64."""


def csr(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, width: int) -> csr_array:
    """A CSR matrix (T, width) of these arrays, none copied while it has under 2³¹ non-zeros.

    (scipy wants indptr and indices of one type, and would widen the indices to that of indptr.)

    Args:
        indptr: indptr (T+1,), int64.
        indices: (nnz,) int32.
        values: (nnz,) float32.
        width: columns.
    """
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return csr_array((values, indices, indptr), shape=(len(indptr) - 1, width))


def write(path: Path, dump: Dump, provenance: Provenance) -> None:
    """Write a dump that is in memory as safetensors: indptr, indices, values, positions.

    (One that is being made comes from its spool, with the same bytes.)
    """
    matrix = dump.activations
    tensors = {
        "indptr": matrix.indptr.astype(np.int64),
        "indices": matrix.indices.astype(np.int32),
        "values": matrix.data.astype(np.float32),
        "positions": dump.positions.astype(np.int64),
    }
    save_tensors(path, tensors, provenance)


def read(path: Path, d_sae: int) -> Dump:
    """Read a dump and check that it is one. Its entries stay in the file, mapped.

    Args:
        path: the dump.
        d_sae: how many features the SAE has, from its cfg.json.

    Raises:
        ArtifactError: when the file is missing, truncated, foreign or of another SAE.
    """
    indptr, indices, values, positions = _arrays(path, d_sae)
    return Dump(csr(indptr, indices, values, d_sae), positions)


def mapped(path: Path, d_sae: int) -> Mapped:
    """`read` for who needs no matrix of scipy's: nothing at all is copied.

    Raises:
        ArtifactError: when the file is missing, truncated, foreign or of another SAE.
    """
    indptr, indices, values, positions = _arrays(path, d_sae)
    return Mapped(Stacked([part(indptr, indices, values)], d_sae), positions)


def _arrays(path: Path, d_sae: int) -> list[np.ndarray]:
    """indptr, indices, values, positions."""
    tensors = map_tensors(path, "indptr", "indices", "values", "positions")
    found = indptr, indices, values, positions = list(tensors.values())
    with readable(path):
        _check(indptr, indices, values, positions, d_sae)
    return found


def check_same_rows(a: Path, of_a: np.ndarray, b: Path, of_b: np.ndarray) -> None:
    """Check that two dumps of a corpus are of the same tokens, by their positions (T,).

    Raises:
        ArtifactError: naming both, and what rebuilds them.
    """
    if not np.array_equal(of_a, of_b):
        raise ArtifactError(
            f"{a} and {b} are not of the same tokens; {rebuild(named(a), named(b))}"
        )


def d_sae(sae: Path) -> int:
    """How many features an SAE has, from the cfg.json in its folder.

    Raises:
        ArtifactError: when the file is missing or no SAE's.
    """
    handle = Path(sae) / "cfg.json"
    settings = load_json(handle)
    with readable(handle):
        if not isinstance(settings.get("d_sae"), int):
            raise ValueError("it gives no d_sae")
    return settings["d_sae"]


def _check(indptr, indices, values, positions, d_sae: int) -> None:
    if values.dtype not in (np.float32, np.float64):
        raise ValueError(f"its values are {values.dtype}, not float32")
    if len(indptr) != len(positions) + 1:
        raise ValueError(f"indptr has {len(indptr)} entries for {len(positions)} positions")
    if indptr[0] != 0 or any((np.diff(some) < 0).any() for some in _overlapping(indptr)):
        raise ValueError("indptr does not ascend from 0")
    if not indptr[-1] == len(indices) == len(values):
        raise ValueError(
            f"indptr ends at {indptr[-1]}, with {len(indices)} indices and {len(values)} values"
        )
    for some in _overlapping(indices):
        if len(some) and not 0 <= some.min() <= some.max() < d_sae:
            raise ValueError(f"a feature index is outside the SAE's {d_sae} features")
    if not all((some > 0).all() for some in _overlapping(values)):
        raise ValueError("an activation is not positive")
    if any((np.diff(some) <= 0).any() for some in _overlapping(positions)):
        raise ValueError("positions do not ascend")
    for start, some in zip(range(0, len(indices), AT_ONCE), _overlapping(indices), strict=True):
        falls = some[1:] <= some[:-1]
        first, last = np.searchsorted(indptr, [start + 1, start + len(some)])
        falls[indptr[first:last] - start - 1] = False  # there a row begins
        if falls.any():
            raise ValueError("the indices of a row do not ascend")


def _overlapping(array: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of an array, each with the first number of the next one."""
    for start in range(0, len(array), AT_ONCE):
        yield array[start : start + AT_ONCE + 1]


class Spool:
    """The rows of one dump while it is made, appended batch by batch: memory for one batch.

    Each array of the dump grows in a file of its own in the folder of the checkpoints, which need
    only note how many rows are whole. At the end the files follow one another into the dump.
    """

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
        self._files = {array: folder / f"{name}.{array}" for array in SPOOLED}
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
        for name, array in {**parts, "indices": codes.indices, "values": codes.values}.items():
            with writable(self._files[name], REMEDY), open(self._files[name], "ab") as file:
                file.write(np.ascontiguousarray(array, SPOOLED[name]).data)
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
            while len(found := np.fromfile(counts, SPOOLED["counts"], ROWS_AT_ONCE)):
                indptr = _from_zero(found)
                yield Rows(
                    indptr,
                    np.fromfile(indices, SPOOLED["indices"], indptr[-1]),
                    np.fromfile(values, SPOOLED["values"], indptr[-1]),
                    np.fromfile(positions, SPOOLED["positions"], len(found)),
                )

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the dump: the bytes that `write` would give.

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
                with open(self._files[name], "rb") as array:
                    shutil.copyfileobj(array, file, 2**18)

    def delete(self) -> None:
        """Delete the files."""
        for path in self._files.values():
            path.unlink(missing_ok=True)

    def _edges(self) -> Iterator[np.ndarray]:
        """indptr (T + 1,) in pieces."""
        end = np.zeros(1, np.int64)
        yield end
        with open(self._files["counts"], "rb") as counts:
            while len(found := np.fromfile(counts, SPOOLED["counts"], ROWS_AT_ONCE)):
                edges = end + np.cumsum(found, dtype=np.int64)
                end = edges[-1:]
                yield edges

    def _cut(self) -> bool:
        """Cut the files to the rows that there are; False where one of them is shorter."""
        sizes = {"counts": self.rows, "positions": self.rows}
        for name, path in self._files.items():
            with writable(path, REMEDY), open(path, "ab") as file:
                size = sizes.get(name, self.pairs) * np.dtype(SPOOLED[name]).itemsize
                if file.tell() < size:
                    return False
                file.truncate(size)
        return True


def _from_zero(counts: np.ndarray) -> np.ndarray:
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return indptr
