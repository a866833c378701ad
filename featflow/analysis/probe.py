"""The whole probe as one run of rows, and the dumps of a dictionary on it, for a case."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from featflow.analysis.evidence import parts_of
from featflow.artifacts.io import ArtifactError
from featflow.artifacts.reading import named, rebuild
from featflow.data.tokens import Tokens
from featflow.data.tokens import read as read_tokens
from featflow.features.dump import Dump
from featflow.features.dump import read as read_dump
from featflow.features.scope import source_of
from featflow.plan.names import parsed

ANY = np.iinfo(np.int32).max
"""A width that no SAE has: a case is not told the true one, and needs only features that fire."""


class Probe(NamedTuple):
    """What lies at each of the T rows of the probe, corpus after corpus, all rows of each."""

    corpora: list[str]
    tokens: list[Tokens]
    """The stream of each corpus."""
    positions: list[np.ndarray]
    """Of each corpus's rows in its stream; the same for every model."""
    documents: list[np.ndarray]
    """Of each corpus's rows: the document's number in that corpus."""
    ids: np.ndarray
    """(T,) int32: the token at each row."""

    @property
    def starts(self) -> list[int]:
        """The first row of each corpus, and T behind the last."""
        return [0, *np.cumsum([len(p) for p in self.positions]).tolist()]

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """An array (T, …) cut into the corpora's parts."""
        return np.split(rows, self.starts[1:-1])


def probe_of(corpora: Sequence[str], dumps: Sequence[Path], tokens: Sequence[Path]) -> Probe:
    """The probe, as the dumps of one model have it.

    Args:
        corpora: their names.
        dumps: of one model, in that order.
        tokens: of the same corpora, in that order.

    Raises:
        ArtifactError: when a file is unreadable, or the two are not of the same corpus.
    """
    positions = [read_dump(path, ANY).positions for path in dumps]
    sources = [source_of(path, at) for path, at in zip(tokens, positions, strict=True)]
    return Probe(
        corpora=list(corpora),
        tokens=[read_tokens(path) for path in tokens],
        positions=positions,
        documents=[source.documents for source in sources],
        ids=np.concatenate([source.tokens for source in sources]),
    )


def dumps_of(model: str, files: Sequence[Path], probe: Probe) -> list[csr_array]:
    """A model's activations on each corpus, all of one width: the last feature that fires.

    Raises:
        ArtifactError: when a dump is unreadable, another model's, or of other rows than the probe.
    """
    found = []
    for path, positions in zip(files, probe.positions, strict=True):
        name = parsed(named(path))
        if name is not None and name.names.get("model", model) != model:
            raise ArtifactError(f"{path}: the slice asks for a dump of {model} in its place")
        dump = read_dump(path, ANY)
        if not np.array_equal(dump.positions, positions):
            raise ArtifactError(
                f"{path}: its rows are other tokens than those of the first model; "
                f"{rebuild(named(path))}"
            )
        found.append(dump)
    return _of_one_width(found)


def _of_one_width(dumps: list[Dump]) -> list[csr_array]:
    matrices = [dump.activations for dump in dumps]
    width = 1 + max(int(m.indices.max(initial=-1)) for m in matrices)
    return [csr_array((m.data, m.indices, m.indptr), shape=(m.shape[0], width)) for m in matrices]


def column(matrices: Sequence[csr_array], feature: int) -> np.ndarray:
    """A feature's activation at each row of the probe: (T,) float32."""
    starts = np.cumsum([0, *(matrix.shape[0] for matrix in matrices)])
    values = np.zeros(starts[-1], np.float32)
    for matrix, first in zip(matrices, starts, strict=False):
        for _, some in parts_of(matrix):
            entries = some.start + np.flatnonzero(matrix.indices[some] == feature)
            rows = np.searchsorted(matrix.indptr, entries, side="right") - 1
            values[first + rows] = matrix.data[entries]
    return values
