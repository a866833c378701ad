"""The probe as interpretation reads it: all rows of a model's dumps, and where some features fire.

Rows of all corpora are numbered on, corpus after corpus, and so are their documents.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featflow.analysis.evidence import parts_of
from featflow.analysis.probe import ANY
from featflow.features import dump
from featflow.features.dump import Dump
from featflow.features.scope import Source, source_of


class Firings(NamedTuple):
    """Where a feature fires: rows (n,) int64, ascending, and activations (n,) float64."""

    rows: np.ndarray
    values: np.ndarray


class Probe:
    """What lies at each of the T rows."""

    def __init__(self, sources: Sequence[Source], positions: Sequence[np.ndarray]):
        """Args: the tokens, documents and positions of the rows of each corpus."""
        self.tokens = np.concatenate([source.tokens for source in sources]).astype(np.int64)
        """(T,) token ids."""
        self.documents = _numbered_on([source.documents for source in sources])
        """(T,) ascending."""
        self._places = np.concatenate(list(positions))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def runs(self) -> np.ndarray:
        """The rows at which runs begin: consecutive tokens of one document. The first is 0."""
        breaks = (np.diff(self.documents) != 0) | (np.diff(self._places) != 1)
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


def read(dumps: Sequence[Path], tokens: Sequence[Path]) -> tuple[Probe, list[Dump]]:
    """The probe of a model, and its dumps.

    Args:
        dumps: of each corpus.
        tokens: the corpora's tokens, in the same order.

    Raises:
        ArtifactError: when a file is missing, truncated, foreign, or does not fit the others.
    """
    found = [dump.read(path, ANY) for path in dumps]
    sources = [source_of(path, d.positions) for path, d in zip(tokens, found, strict=True)]
    return Probe(sources, [d.positions for d in found]), found


def firing_counts(dumps: Sequence[Dump]) -> np.ndarray:
    """On how many rows each feature fires: (m,) int64; m is the last one that does, plus one."""
    width = _width(dumps)
    counts = np.zeros(width, np.int64)
    for each in dumps:
        for _, some in parts_of(each.activations):
            counts += np.bincount(each.activations.indices[some], minlength=width)
    return counts


def firings(dumps: Sequence[Dump], features: Sequence[int]) -> dict[int, Firings]:
    """Where each of some features fires; one that never does has no rows."""
    place = np.full(max(_width(dumps), max(features, default=0) + 1), -1)
    place[list(features)] = np.arange(len(features))
    parts, offset = [], 0
    for each in dumps:
        matrix = each.activations
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


def _width(dumps: Sequence[Dump]) -> int:
    """One more than the last feature that fires."""
    return 1 + max(int(d.activations.indices.max(initial=-1)) for d in dumps)


def _numbered_on(documents: Sequence[np.ndarray]) -> np.ndarray:
    parts, offset = [], 0
    for part in documents:
        parts.append(part + offset)
        offset += int(part.max(initial=-1)) + 1
    return np.concatenate(parts)
