"""A dump: the sparse feature activations of one dictionary on one corpus of the probe."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from featflow.core.artifacts import (
    ArtifactError,
    load_json,
    load_tensors,
    readable,
    save_tensors,
)
from featflow.core.provenance import Provenance
from featflow.core.reading import named, rebuild


class Dump(NamedTuple):
    """Activations and where they were read off; rows are the same for every model of a study."""

    activations: csr_array
    """(T, d_sae) float32: what is stored is positive, all else is zero."""
    positions: np.ndarray
    """(T,) int64: the row's place in the corpus's `input_ids`."""


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


class Builder:
    """Collects the rows of a dump batch by batch."""

    def __init__(self) -> None:
        self.counts: list[np.ndarray] = []
        self.indices: list[np.ndarray] = []
        self.values: list[np.ndarray] = []

    def add(self, counts: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
        """Add rows: how many features fire on each, which (ascending in a row), how strongly."""
        self.counts.append(counts.astype(np.int64))
        self.indices.append(indices.astype(np.int32))
        self.values.append(values.astype(np.float32))

    @property
    def rows(self) -> int:
        """How many rows there are so far."""
        return sum(len(counts) for counts in self.counts)

    def arrays(self) -> dict[str, np.ndarray]:
        """All rows so far, as `add` takes them."""
        parts = {"counts": self.counts, "indices": self.indices, "values": self.values}
        return {name: np.concatenate(found) for name, found in parts.items() if found}

    def build(self, positions: np.ndarray, d_sae: int) -> Dump:
        """The dump of all rows added, which lie at these positions (T,)."""
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(self.counts))])
        indices, values = np.concatenate(self.indices), np.concatenate(self.values)
        return Dump(csr(indptr, indices, values, d_sae), positions)


def write(path: Path, dump: Dump, provenance: Provenance) -> None:
    """Write a dump as safetensors: indptr, indices, values, positions."""
    matrix = dump.activations
    tensors = {
        "indptr": matrix.indptr.astype(np.int64),
        "indices": matrix.indices.astype(np.int32),
        "values": matrix.data.astype(np.float32),
        "positions": dump.positions.astype(np.int64),
    }
    save_tensors(path, tensors, provenance)


def read(path: Path, d_sae: int) -> Dump:
    """Read a dump and check that it is one.

    Args:
        path: the dump.
        d_sae: how many features the SAE has, from its cfg.json.

    Raises:
        ArtifactError: when the file is missing, truncated, foreign or of another SAE.
    """
    tensors = load_tensors(path, "indptr", "indices", "values", "positions")
    indptr, indices, values, positions = tensors.values()
    with readable(path):
        _check(indptr, indices, values, positions, d_sae)
        matrix = csr(indptr, indices, values, d_sae)
        if not matrix.has_canonical_format:
            raise ValueError("the indices of a row do not ascend")
    return Dump(matrix, positions)


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
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise ValueError("indptr does not ascend from 0")
    if not indptr[-1] == len(indices) == len(values):
        raise ValueError(
            f"indptr ends at {indptr[-1]}, with {len(indices)} indices and {len(values)} values"
        )
    if len(indices) and not 0 <= indices.min() <= indices.max() < d_sae:
        raise ValueError(f"a feature index is outside the SAE's {d_sae} features")
    if not (values > 0).all():
        raise ValueError("an activation is not positive")
    if (np.diff(positions) <= 0).any():
        raise ValueError("positions do not ascend")
