"""Sparse activations that lie in several places, such as mapped files, read as one matrix.

Nothing is copied to stack them, so that a matrix larger than the memory can be read.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.sparse import csr_array


class Part(NamedTuple):
    """Some rows of a matrix: row t fires at entries indptr[t] … indptr[t + 1] − 1."""

    indptr: np.ndarray
    """(T + 1,) int64; need not begin at 0."""
    indices: np.ndarray
    """The feature of each entry, uint32 (a kernel need not ask whether it counts from the end)."""
    values: np.ndarray
    """Its activation."""

    @property
    def rows(self) -> int:
        """T."""
        return len(self.indptr) - 1

    def cut(self, start: int, stop: int) -> "Part":
        """Rows start … stop − 1."""
        return self._replace(indptr=self.indptr[start : stop + 1])


class Stacked(NamedTuple):
    """A matrix (T, m): the rows of some parts, one part after another."""

    parts: list[Part]
    features: int

    @property
    def shape(self) -> tuple[int, int]:
        """(T, m)."""
        return sum(part.rows for part in self.parts), self.features

    @property
    def starts(self) -> list[int]:
        """The first row of each part."""
        ends = np.cumsum([0, *(part.rows for part in self.parts)])
        return [int(end) for end in ends[:-1]]

    def cut(self, start: int, stop: int) -> "Stacked":
        """Rows start … stop − 1."""
        found = []
        for part, first in zip(self.parts, self.starts, strict=True):
            low, high = max(start - first, 0), min(stop - first, part.rows)
            if low < high:
                found.append(part.cut(low, high))
        return self._replace(parts=found)


Activations: TypeAlias = csr_array | Stacked


def part(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray) -> Part:
    """A part of these arrays, which are copied only where their types are others.

    Read-only, like what is mapped from a file: a kernel is compiled once for both.
    """
    unsigned = indices.astype(np.int32, copy=False).view(np.uint32)
    made = Part(indptr.astype(np.int64, copy=False).view(), unsigned, values.view())
    for view in made:
        view.flags.writeable = False
    return made


def stacked(activations: Activations) -> Stacked:
    """A matrix as one part; what is stacked already stays as it is."""
    if isinstance(activations, Stacked):
        return activations
    arrays = activations.indptr, activations.indices, activations.data
    return Stacked([part(*arrays)], activations.shape[1])


def one_after_another(matrices: Sequence[Stacked]) -> Stacked:
    """The rows of some matrices with the same features."""
    return Stacked([each for m in matrices for each in m.parts], matrices[0].features)
