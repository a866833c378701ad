"""The probe as one run of rows, what lies at each, and the activations of dictionaries there.

T rows, those of one corpus after those of another, all rows of each; the same for every model of a
study. Documents are numbered on from corpus to corpus.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from featflow.artifacts.io import ArtifactError
from featflow.artifacts.reading import named
from featflow.data.tokens import Tokens
from featflow.data.tokens import read as read_tokens
from featflow.features import dump
from featflow.features.scope import Source, source_of, stack_sources, whole
from featflow.plan.names import parsed
from featflow.plan.paths import FEATURES
from featflow.runtime import scratch

ANY = np.iinfo(np.int32).max
"""The width of a dictionary whose number of features is not known."""

AT_ONCE = 2**20
"""Entries that are in memory at once."""


class Activations(NamedTuple):
    """A dictionary's activations on the probe, by corpus."""

    files: dict[str, Path]
    corpora: dict[str, csr_array]
    """(rows, m) each."""
    positions: dict[str, np.ndarray]
    """Of each corpus's rows in its stream, (rows,) int64."""

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each corpus."""
        return {name: len(found) for name, found in self.positions.items()}

    @property
    def matrices(self) -> list[csr_array]:
        """Those of each corpus."""
        return list(self.corpora.values())


class Firings(NamedTuple):
    """Where a feature fires: rows (n,) int64, ascending, and activations (n,) float64."""

    rows: np.ndarray
    values: np.ndarray

    def dense(self, rows: int) -> np.ndarray:
        """Its activation at each of all rows, 0 where it does not fire: (T,) float32."""
        found = np.zeros(rows, np.float32)
        found[self.rows] = self.values
        return found


@dataclass(frozen=True, eq=False)
class Probe:
    """What lies at each row."""

    corpora: list[str]
    streams: list[Tokens]
    """Of each corpus."""
    offsets: np.ndarray
    """(C + 1,) int64: the rows of corpus c are offsets[c] … offsets[c + 1] − 1."""
    positions: np.ndarray
    """(T,) int64: the row's place in its corpus's stream."""
    tokens: np.ndarray
    """(T,) int32: token ids."""
    documents: np.ndarray
    """(T,) int64, ascending."""
    folds: np.ndarray
    """(T,) int8: 0 or 1, that of the row's document."""

    def __len__(self) -> int:
        return len(self.positions)

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """An array (T, …) cut into the corpora's parts."""
        return np.split(rows, self.offsets[1:-1])

    def corpus_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of the corpus that each of some rows (n,) is of: (n,) int64."""
        return np.searchsorted(self.offsets, rows, side="right") - 1

    @cached_property
    def runs(self) -> np.ndarray:
        """The rows at which runs begin: consecutive tokens of one document. The first is 0."""
        breaks = (np.diff(self.documents) != 0) | (np.diff(self.positions) != 1)
        return np.concatenate([[0], np.flatnonzero(breaks) + 1])

    def run_of(self, row: int) -> tuple[int, int]:
        """The first row of a row's run, and the first after it."""
        at = int(np.searchsorted(self.runs, row, side="right"))
        return int(self.runs[at - 1]), int(self.runs[at]) if at < len(self.runs) else len(self)

    @cached_property
    def counts(self) -> np.ndarray:
        """How often each token id occurs."""
        return np.bincount(self.tokens)

    def occurrences(self, token: int) -> np.ndarray:
        """The rows of a token, ascending."""
        order, starts = self._by_token
        return order[starts[token] : starts[token + 1]]

    @cached_property
    def _by_token(self) -> tuple[np.ndarray, np.ndarray]:
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        return np.argsort(self.tokens, kind="stable"), starts

    def rows_of(self, documents: Iterable[int]) -> np.ndarray:
        """All rows of these documents."""
        wanted = sorted(documents)
        starts = np.searchsorted(self.documents, wanted, side="left")
        stops = np.searchsorted(self.documents, wanted, side="right")
        none = np.zeros(0, np.int64)
        return np.concatenate([none, *map(np.arange, starts, stops)])


def read_probe(found: Activations, tokens: Sequence[Path]) -> Probe:
    """The rows of a dictionary's dumps and what lies there.

    Args:
        found: the dictionary's activations.
        tokens: the corpora's validation tokens, in the same order.

    Raises:
        ArtifactError: when a file is unreadable, or too short to be the dump's.
    """
    sources = {
        corpus: source_of(path, where)
        for (corpus, where), path in zip(found.positions.items(), tokens, strict=True)
    }
    return probe_at(found.positions, sources, [read_tokens(path) for path in tokens])


def probe_at(
    positions: Mapping[str, np.ndarray], sources: dict[str, Source], streams: list[Tokens]
) -> Probe:
    """The probe of these rows.

    Args:
        positions: of each corpus's rows in its stream.
        sources: what lies there.
        streams: the corpora's tokens.
    """
    counts = {corpus: len(where) for corpus, where in positions.items()}
    offsets = np.concatenate([[0], np.cumsum(list(counts.values()))]).astype(np.int64)
    places = scratch.joined(list(positions.values()))
    source = stack_sources(whole(counts), sources)
    return Probe(list(positions), streams, offsets, places, *source)


def read_activations(
    corpora: Sequence[str], paths: Sequence[Path], width: int = ANY
) -> Activations:
    """Read a dictionary's dumps.

    Args:
        corpora: their corpora.
        paths: the dumps, in the same order.
        width: the number of features m. If it is not known, m is what fires: features behind the
            last one that does are left out.

    Raises:
        ArtifactError: when one is missing, truncated or foreign.
    """
    files = dict(zip(corpora, paths, strict=True))
    found = {corpus: dump.read(path, width) for corpus, path in files.items()}
    if width == ANY:
        width = 1 + max(int(d.activations.indices.max(initial=-1)) for d in found.values())
    return Activations(
        files,
        {c: _of_width(d.activations, width) for c, d in found.items()},
        {c: d.positions for c, d in found.items()},
    )


def _of_width(matrix: csr_array, width: int) -> csr_array:
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], width))


def check_model(model: str, paths: Sequence[Path]) -> None:
    """Check that dumps are of the model that they are taken for.

    Raises:
        ArtifactError: naming a dump of another model.
    """
    for path in paths:
        found = parsed(named(path))
        if found and found.template is FEATURES and found.names["model"] != model:
            raise ArtifactError(
                f"{path} is of model {found.names['model']}, where one of {model} is wanted; "
                "give the dumps in the order of the slice's models"
            )


def check_rows(first: Activations, other: Activations) -> None:
    """Check that two dictionaries' dumps are of the same tokens.

    Raises:
        ArtifactError: naming two dumps that are not, and what rebuilds them.
    """
    for corpus, path in other.files.items():
        positions = first.positions[corpus], other.positions[corpus]
        dump.check_same_rows(first.files[corpus], positions[0], path, positions[1])


def firing_counts(matrices: Sequence[csr_array]) -> np.ndarray:
    """On how many rows of all corpora each feature fires: (m,) int64."""
    width = matrices[0].shape[1]
    counts = np.zeros(width, np.int64)
    for matrix in matrices:
        for _, some in parts_of(matrix):
            counts += np.bincount(matrix.indices[some], minlength=width)
    return counts


def firings(matrices: Sequence[csr_array], features: Sequence[int]) -> dict[int, Firings]:
    """Where each of some features fires; one that never does has no rows.

    Args:
        matrices: a dictionary's activations (rows, m) on each corpus.
        features: their numbers, m or more where they are of no use.
    """
    place = np.full(max(matrices[0].shape[1], max(features, default=0) + 1), -1)
    place[list(features)] = np.arange(len(features))
    parts, offset = [], 0
    for matrix in matrices:
        for _, some in parts_of(matrix):
            entries = some.start + np.flatnonzero(place[matrix.indices[some]] >= 0)
            rows = np.searchsorted(matrix.indptr, entries, side="right") - 1
            parts.append((place[matrix.indices[entries]], rows + offset, matrix.data[entries]))
        offset += matrix.shape[0]
    at, rows, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(at, kind="stable")  # rows ascend within a feature
    edges = np.searchsorted(at[order], np.arange(len(features) + 1))
    rows, values = rows[order].astype(np.int64), values[order].astype(np.float64)
    return {
        feature: Firings(rows[edges[i] : edges[i + 1]], values[edges[i] : edges[i + 1]])
        for i, feature in enumerate(features)
    }


def parts_of(matrix: csr_array) -> Iterator[tuple[slice, slice]]:
    """Rows one after another, as slices of some AT_ONCE entries, and the slices of their entries.

    (A row is never cut.)
    """
    start, rows = 0, matrix.shape[0]
    while start < rows:
        most = int(matrix.indptr[start]) + AT_ONCE
        stop = max(start + 1, int(np.searchsorted(matrix.indptr, most, side="right")) - 1)
        yield slice(start, stop), slice(int(matrix.indptr[start]), int(matrix.indptr[stop]))
        start = stop
