"""Which rows of which corpora two dictionaries are compared on, and what is known of each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featflow.artifacts.io import readable
from featflow.data.tokens import read
from featflow.features.stacked import Activations, Stacked, one_after_another, stacked
from featflow.runtime import scratch

AT_ONCE = 2**22
"""Rows that are looked up at once: bounds the memory."""


class Piece(NamedTuple):
    """Rows start … stop − 1 of a corpus."""

    corpus: str
    start: int
    stop: int


class Rows(NamedTuple):
    """The rows that are read, ordered so that each scope is one range of them."""

    pieces: list[Piece]
    a: range
    """The rows on which side a is judged."""
    b: range
    """The rows on which side b is judged."""


def rows_in_scope(counts: dict[str, int], scope_a: Sequence[str], scope_b: Sequence[str]) -> Rows:
    """The rows of two scopes: those of a alone, then those of both, then those of b alone.

    Every corpus of a scope gives it equally many rows: the first ones, as many as the shortest
    corpus of that scope has.

    Args:
        counts: rows of each corpus, in the order of the input files.
        scope_a: the corpora of the first scope.
        scope_b: the corpora of the second scope.
    """
    taken_a, taken_b = (
        {c: min(counts[s] for s in scope) if c in scope else 0 for c in counts}
        for scope in (scope_a, scope_b)
    )
    both = {c: min(taken_a[c], taken_b[c]) for c in counts}
    groups = (
        [Piece(c, both[c], taken_a[c]) for c in counts],
        [Piece(c, 0, both[c]) for c in counts],
        [Piece(c, both[c], taken_b[c]) for c in counts],
    )
    alone_a, shared, alone_b = (sum(p.stop - p.start for p in pieces) for pieces in groups)
    pieces = [piece for group in groups for piece in group if piece.start < piece.stop]
    return Rows(
        pieces,
        a=range(alone_a + shared),
        b=range(alone_a, alone_a + shared + alone_b),
    )


def whole(counts: Mapping[str, int]) -> Rows:
    """All rows of all corpora, in order."""
    pieces = [Piece(corpus, 0, count) for corpus, count in counts.items()]
    everything = range(sum(counts.values()))
    return Rows(pieces, everything, everything)


def stack(rows: Rows, dumps: Mapping[str, Activations]) -> Stacked:
    """The activations (T, m) on these rows, from those of each corpus; nothing is copied."""
    of = {corpus: stacked(found) for corpus, found in dumps.items()}
    return one_after_another([of[p.corpus].cut(p.start, p.stop) for p in rows.pieces])


class Source(NamedTuple):
    """What lies at each row; (T,) each."""

    tokens: np.ndarray
    """Token ids, int32."""
    documents: np.ndarray
    """int64: the document's number, from 0 on."""
    folds: np.ndarray
    """int8: 0 or 1, whether that number is even or odd in the document's corpus."""


def source_of(path: Path, positions: np.ndarray) -> Source:
    """The token and the document at each position of a corpus's tokens.

    Args:
        path: the tokens of the corpus's split that the dump was made from.
        positions: (T,) of the dump.

    Raises:
        ArtifactError: when the file is unreadable, or too short to be the dump's.
    """
    ids, starts = read(path)
    with readable(path):
        if len(positions) and positions[-1] >= len(ids):
            raise ValueError(f"it has {len(ids)} tokens, the dump reaches token {positions[-1]}")
    types = (ids.dtype, np.dtype(np.int64), np.dtype(np.int8))
    found = Source(*(scratch.empty(len(positions), dtype) for dtype in types))
    for start in range(0, len(positions), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        documents = document_of(positions[some], starts)
        found.tokens[some], found.documents[some] = ids[positions[some]], documents
        found.folds[some] = documents % 2
    return found


def document_of(positions: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The number of the document that each position of a stream lies in: (T,) int64."""
    return np.searchsorted(starts, positions, side="right") - 1


def stack_sources(rows: Rows, sources: dict[str, Source]) -> Source:
    """The tokens and documents of these rows; documents numbered on from corpus to corpus."""
    offsets, total = {}, 0
    for corpus, found in sources.items():
        offsets[corpus] = total
        total += int(found.documents.max(initial=-1)) + 1
    parts = [(sources[p.corpus], slice(p.start, p.stop), offsets[p.corpus]) for p in rows.pieces]
    if offsets and not any(offset for *_, offset in parts):
        numbers = [source.documents[some] for source, some, _ in parts]
    else:
        numbers = [source.documents[some] + offset for source, some, offset in parts]
    return Source(
        scratch.joined([source.tokens[some] for source, some, _ in parts]),
        scratch.joined(numbers),
        scratch.joined([source.folds[some] for source, some, _ in parts]),
    )
