"""The probe as one run of rows: T rows, those of one corpus after those of another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from featflow.artifacts.io import ArtifactError
from featflow.artifacts.reading import named, rebuild
from featflow.data.tokens import Tokens
from featflow.data.tokens import read as read_tokens
from featflow.features import dump
from featflow.features.columns import Columns, by_blocks, columns, in_ranges
from featflow.features.scope import Piece, Rows, Source, source_of, stack, stack_sources
from featflow.plan.names import parsed
from featflow.plan.paths import FEATURES

ANY = np.iinfo(np.int32).max
"""The width of a dictionary whose number of features is not known."""


class Activations(NamedTuple):
    """A dictionary's activations on the probe, by corpus."""

    corpora: dict[str, csr_array]
    """(rows, m) each."""
    positions: dict[str, np.ndarray]
    """Of each corpus's rows in its stream, (rows,) int64."""

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each corpus."""
        return {name: len(found) for name, found in self.positions.items()}


class Probe(NamedTuple):
    """What lies at each row."""

    corpora: list[str]
    streams: list[Tokens]
    """Of each corpus."""
    offsets: np.ndarray
    """(C + 1,) int64: the rows of corpus c are offsets[c] … offsets[c + 1] − 1."""
    positions: np.ndarray
    """(T,) int64: the row's place in its corpus's stream."""
    source: Source
    """Tokens, documents (numbered on from corpus to corpus) and folds of the rows."""


def activations(corpora: Sequence[str], paths: Sequence[Path], width: int = ANY) -> Activations:
    """Read a dictionary's dumps.

    Args:
        corpora: their corpora.
        paths: the dumps, in the same order.
        width: the number of features m. If it is not known, m is what fires: features behind the
            last one that does are left out.

    Raises:
        ArtifactError: when one is missing, truncated or foreign.
    """
    found = {c: dump.read(path, width) for c, path in zip(corpora, paths, strict=True)}
    if width == ANY:
        width = 1 + max(int(d.activations.indices.max(initial=-1)) for d in found.values())
    return Activations(
        {c: _of_width(d.activations, width) for c, d in found.items()},
        {c: d.positions for c, d in found.items()},
    )


def _of_width(matrix: csr_array, width: int) -> csr_array:
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], width))


def probe(positions: dict[str, np.ndarray], tokens: Sequence[Path]) -> Probe:
    """The rows of a dump and what lies there.

    Args:
        positions: of each corpus's rows in its stream.
        tokens: the corpora's validation tokens, in the same order.

    Raises:
        ArtifactError: when a file is unreadable, or too short to be the dump's.
    """
    sources = {
        corpus: source_of(path, where)
        for (corpus, where), path in zip(positions.items(), tokens, strict=True)
    }
    counts = [len(where) for where in positions.values()]
    everything = whole({corpus: len(where) for corpus, where in positions.items()})
    return Probe(
        list(positions),
        [read_tokens(path) for path in tokens],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate(list(positions.values())),
        stack_sources(everything, sources),
    )


def whole(counts: dict[str, int]) -> Rows:
    """All rows of all corpora, in order."""
    pieces = [Piece(corpus, 0, count) for corpus, count in counts.items()]
    everything = range(sum(counts.values()))
    return Rows(pieces, everything, everything)


def columns_of(found: Activations) -> Columns:
    """The activations of the whole probe by feature."""
    return columns(stack(whole(found.counts), found.corpora))


def places(rows: Rows, counts: dict[str, int]) -> np.ndarray:
    """Which row of a scope each row of the probe is: (T,) int64, −1 where it is none."""
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]), strict=False))
    found, at = np.full(sum(counts.values()), -1), 0
    for piece in rows.pieces:
        start = starts[piece.corpus]
        size = piece.stop - piece.start
        found[start + piece.start : start + piece.stop] = np.arange(at, at + size)
        at += size
    return found


def restricted(columns: Columns, place: np.ndarray) -> Columns:
    """The firings on some of the rows, these numbered anew: place (T,), −1 where one is left out.

    The places ascend, those that are left out aside.
    """
    count = len(columns.starts)
    sizes = np.zeros(count + 1, np.int64)
    by_blocks(lambda first, stop: _count(columns, first, stop, place, sizes), count)
    edges = np.cumsum(sizes)

    def fill(low: int, high: int, rows: np.ndarray, values: np.ndarray) -> None:
        starts = edges - edges[low]
        by_blocks(
            lambda first, stop: _copy(
                columns, low + first, low + stop, place, starts, rows, values
            ),
            high - low,
        )

    return in_ranges(edges, (columns.rows.dtype, np.float32), fill)


def check_models(groups: Mapping[str, Sequence[Path]]) -> None:
    """Check that dumps are of the models that they are taken for.

    Raises:
        ArtifactError: naming a dump of another model.
    """
    for model, paths in groups.items():
        for path in paths:
            found = parsed(named(path))
            if found and found.template is FEATURES and found.names["model"] != model:
                raise ArtifactError(
                    f"{path} is of model {found.names['model']}, where one of {model} is wanted; "
                    "give the dumps in the order of the slice's models"
                )


def check_rows(own: Activations, other: Activations, path: Path) -> None:
    """Check that two dictionaries' dumps are of the same tokens.

    Raises:
        ArtifactError: when they are not.
    """
    for corpus, where in own.positions.items():
        if not np.array_equal(where, other.positions[corpus]):
            raise ArtifactError(
                f"{path} and its like are not of the same tokens of {corpus} as the dumps of this "
                f"dictionary; {rebuild(named(path))}"
            )


@njit(cache=True, nogil=True)
def _count(columns, first, stop, place, sizes):
    for i in range(first, stop):
        for k in range(columns.starts[i], columns.stops[i]):
            if place[columns.rows[k]] >= 0:
                sizes[i + 1] += 1


@njit(cache=True, nogil=True)
def _copy(columns, first, stop, place, starts, rows, values):
    for i in range(first, stop):
        at = starts[i]
        for k in range(columns.starts[i], columns.stops[i]):
            row = place[columns.rows[k]]
            if row >= 0:
                rows[at], values[at] = row, columns.values[k]
                at += 1
