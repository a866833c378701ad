"""matrix.safetensors: Pearson's r of all pairs of features, or of those from a floor on.

Without a floor it is a full matrix (m_a, m_b) under the scope's name (`r`, `r_b`), NaN where a side
is constant. With one it is sparse (CSR): `r.indptr`, `r.indices`, `r.values` have the pairs of
|r| ≥ floor, row by row; `floor` and `shape` are tensors, too. (Several keys of metadata would
come in any order.) A pair that is not there has a smaller |r|, or none: what asks for its r is told
NaN.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from featflow.artifacts.io import readable, save_tensors
from featflow.artifacts.mapping import map_tensors
from featflow.artifacts.provenance import Provenance
from featflow.features import rule
from featflow.features.partners import BestPartners

NAMES = ("r", "r_b")
"""On a's scope, and on b's where that is another one."""

ROWS = 256
"""Rows of a full matrix that are looked through at once: bounds the memory beside it."""

ENTRIES = 2**22
"""Entries of a sparse one, likewise."""


class Pairs(NamedTuple):
    """Pairs of features and their r; (n,) each."""

    feature: np.ndarray
    partner: np.ndarray
    r: np.ndarray


class Partners(NamedTuple):
    """What the features of one side find on the other."""

    best: np.ndarray
    """(m,) int64: the best partner that counts; −1: none."""
    r: np.ndarray
    """(m,) float32: with it; NaN: none."""
    above: Pairs
    """Every pair above the threshold, a feature's partners side by side, ascending."""


class Full:
    """r of every pair."""

    floor: float | None = None

    def __init__(self, r: np.ndarray):
        """Args: r (m, n), NaN where there is none."""
        self.shape, self._r = r.shape, r

    @property
    def T(self) -> "Full":
        """The other side's view."""
        return Full(self._r.T)

    def __getitem__(self, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """r of some pairs (n,), NaN where there is none."""
        found: np.ndarray = self._r[pairs]
        return found

    def partners(self, alive: np.ndarray, counting: np.ndarray, threshold: float) -> Partners:
        """The best partner of each row's feature, and its links.

        Args:
            alive: (m,) bool: whose pairs above the threshold are listed.
            counting: (n,) bool: who counts as a partner.
            threshold: above which r is listed.
        """
        size, found = self.shape[0], BestPartners(self.shape[0], 1)
        links = [_no_pairs(self._r.dtype)]
        for start in range(0, size if self.shape[1] else 0, ROWS):
            # copied as it lies in memory, then turned: half the time where r is a transpose
            block = np.ascontiguousarray(np.array(self._r[start : start + ROWS], order="K"))
            found.see_rows(block, start, counting)
            linked = rule.above(block, threshold) & counting
            linked[~alive[start : start + ROWS]] = False
            i, j = np.nonzero(linked)
            links.append(Pairs(i + start, j, block[i, j]))
        return _partners(found, links)


class Sparse:
    """r of the pairs of |r| ≥ floor."""

    def __init__(self, r: csr_array, floor: float):
        """Args: the pairs (m, n), indices ascending in a row; the floor."""
        self.shape, self.floor, self._r = r.shape, floor, r

    @property
    def T(self) -> "Sparse":
        """The other side's view."""
        return Sparse(self._r.T.tocsr(), self.floor)

    def __getitem__(self, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """r of some pairs (n,), NaN where it is under the floor."""
        found = np.full(len(pairs[0]), np.nan, np.float32)
        indptr, indices, values = self._r.indptr, self._r.indices, self._r.data
        for place, (i, j) in enumerate(zip(*pairs, strict=True)):
            at = indptr[i] + np.searchsorted(indices[indptr[i] : indptr[i + 1]], j)
            if at < indptr[i + 1] and indices[at] == j:
                found[place] = values[at]
        return found

    def partners(self, alive: np.ndarray, counting: np.ndarray, threshold: float) -> Partners:
        """As of a full matrix; a feature whose best r is under the floor has no partner here.

        (A negative r that is stored is no best one: those between it and the floor are not.)
        """
        found, links = BestPartners(self.shape[0], 1), [_no_pairs(np.float32)]
        for start, stop in self._batches():
            indptr = self._r.indptr[start : stop + 1]
            some = slice(indptr[0], indptr[-1])
            i, j, r = np.repeat(np.arange(start, stop), np.diff(indptr)), *self._entries(some)
            counts = counting[j] & (r > 0)
            i, j, r = i[counts], j[counts], r[counts]
            found.see_pairs(i, j, r)
            linked = alive[i] & rule.above(r, threshold)
            links.append(Pairs(i[linked], j[linked].astype(np.int64), r[linked]))
        return _partners(found, links)

    def _entries(self, some: slice) -> tuple[np.ndarray, np.ndarray]:
        return self._r.indices[some], self._r.data[some]

    def _batches(self):
        """Ranges of rows with some ENTRIES each."""
        start = 0
        while start < self.shape[0]:
            most = int(self._r.indptr[start]) + ENTRIES
            stop = int(np.searchsorted(self._r.indptr, most, side="right")) - 1
            stop = min(max(stop, start + 1), self.shape[0])
            yield start, stop
            start = stop


Matrix = Full | Sparse


def save_sparse(
    path: Path, r: Mapping[str, csr_array], floor: float, provenance: Provenance
) -> None:
    """Write the pairs from a floor on, float32."""
    tensors: dict[str, np.ndarray] = {}
    for name, each in r.items():
        tensors[f"{name}.indptr"] = each.indptr.astype(np.int64, copy=False)
        tensors[f"{name}.indices"] = each.indices.astype(np.int32, copy=False)
        tensors[f"{name}.values"] = each.data
    tensors["shape"] = np.array(next(iter(r.values())).shape, np.int64)
    tensors["floor"] = np.array([floor])
    save_tensors(path, tensors, provenance)


def load(path: Path) -> tuple[Matrix, Matrix]:
    """r on a's scope and r on b's, both (m_a, m_b); mapped, not loaded.

    Raises:
        ArtifactError: when the file is missing, truncated or foreign.
    """
    tensors = map_tensors(path)
    with readable(path):
        if "floor" not in tensors:
            full = [_full(tensors, name) for name in NAMES if name in tensors]
            if "r" not in tensors:
                raise ValueError("it has no tensor r")
            return full[0], full[-1]
        sparse = [_sparse(tensors, name) for name in NAMES if f"{name}.indptr" in tensors]
        if "r.indptr" not in tensors:
            raise ValueError("it has no tensor r.indptr")
        return sparse[0], sparse[-1]


def _full(tensors: Mapping[str, np.ndarray], name: str) -> Full:
    if tensors[name].ndim != 2:
        raise ValueError(f"its {name} has the shape {tensors[name].shape}, not (m_a, m_b)")
    return Full(tensors[name])


def _sparse(tensors: Mapping[str, np.ndarray], name: str) -> Sparse:
    parts = [*(f"{name}.{part}" for part in ("indptr", "indices", "values")), "shape", "floor"]
    if missing := [part for part in parts if part not in tensors]:
        raise ValueError(f"it has no tensor {', '.join(missing)}")
    indptr, indices, values, shape, floor = (tensors[part] for part in parts)
    if len(indptr) != shape[0] + 1 or not indptr[-1] == len(indices) == len(values):
        raise ValueError(f"its {name} is no matrix of {shape[0]} rows")
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)  # else scipy widens the indices
    size = int(shape[0]), int(shape[1])
    return Sparse(csr_array((values, indices, indptr), shape=size), float(floor[0]))


def _no_pairs(dtype: np.dtype | type) -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, dtype))


def _partners(found: BestPartners, links: list[Pairs]) -> Partners:
    ranked = found.ranked()
    return Partners(ranked.partners[:, 0].astype(np.int64), ranked.r[:, 0], _together(links))


def _together(links: list[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate(part) for part in zip(*links, strict=True)))
