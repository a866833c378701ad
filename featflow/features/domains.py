"""The rows on which many domains judge two dictionaries, and what an SAE's features do on them.

Of a domain's side every corpus gives its first k rows, k those of its shortest corpus
(features/scope.py has the same rule for two scopes). Rows that belong to the same sides lie next to
each other, as one *stretch*; a side is then the sum of a few stretches, whose moments add up: each
row is read and multiplied once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from featflow.features import rule
from featflow.features.best_partners import Judged
from featflow.features.columns import Columns, by_blocks, documents, in_ranges, within
from featflow.features.lookup import lookup_r
from featflow.features.moments import standardised
from featflow.features.scope import Piece, Rows, Source
from featflow.features.stacked import Activations, Stacked, one_after_another, stacked
from featflow.plan.stages.analysis import Domain
from featflow.runtime import scratch

LEAST_SHIFT = 1_000
"""Rows: far more than a feature's activation reaches."""

Rolled = tuple[dict[str, Stacked], dict[str, Source]]


class Layout(NamedTuple):
    """All rows that some domain needs, and which of them each needs."""

    rows: Rows
    """What is read; both sides are given all of it."""
    stretches: list[range]
    """Ranges of these rows, one after another."""
    sets: list[list[int]]
    """Every set of rows that some side of a domain is judged on: its stretches, ascending."""
    sides: dict[str, tuple[int, int]]
    """Of each domain the set of side a and that of side b."""

    def of(self, index: int) -> list[range]:
        """The stretches of a set."""
        return [self.stretches[s] for s in self.sets[index]]

    def length(self, index: int) -> int:
        """The rows of a set."""
        return sum(map(len, self.of(index)))


def layout(counts: Mapping[str, int], domains: Mapping[str, Domain]) -> Layout:
    """Arrange the rows of these domains.

    Args:
        counts: rows of each corpus, in the order of the input files.
        domains: the corpora of either side, by name.
    """
    taken: list[dict[str, int]] = []  # of each set the rows of its corpora
    sides = {
        name: (_set(counts, d.a, taken), _set(counts, d.b, taken)) for name, d in domains.items()
    }
    groups: dict[tuple[int, ...], list[Piece]] = {}
    for corpus in counts:
        cuts = sorted({0, *(rows[corpus] for rows in taken if corpus in rows)})
        for start, stop in pairwise(cuts):
            needed_by = tuple(i for i, rows in enumerate(taken) if rows.get(corpus, 0) >= stop)
            groups.setdefault(needed_by, []).append(Piece(corpus, start, stop))
    sizes = [sum(p.stop - p.start for p in pieces) for pieces in groups.values()]
    edges = list(accumulate(sizes, initial=0))
    everything = range(edges[-1])
    return Layout(
        rows=Rows([p for pieces in groups.values() for p in pieces], everything, everything),
        stretches=[range(*ends) for ends in pairwise(edges)],
        sets=[[s for s, of in enumerate(groups) if i in of] for i in range(len(taken))],
        sides=sides,
    )


def _set(counts: Mapping[str, int], scope: Sequence[str], taken: list[dict[str, int]]) -> int:
    """The place of a scope's rows among those that are taken, where they are put if they lack."""
    least = min(counts[corpus] for corpus in scope)
    rows = {corpus: least for corpus in counts if corpus in scope}
    if rows not in taken:
        taken.append(rows)
    return taken.index(rows)


def corpus_of(rows: Rows) -> np.ndarray:
    """The corpus that each row is of, as a number: (T,) int32."""
    names = list(dict.fromkeys(piece.corpus for piece in rows.pieces))
    numbers = np.array([names.index(piece.corpus) for piece in rows.pieces], np.int32)
    return np.repeat(numbers, [piece.stop - piece.start for piece in rows.pieces])


def rolled(dumps: Mapping[str, Activations], sources: dict[str, Source], seed: int) -> Rolled:
    """Activations with their tokens and documents, moved round the end of each corpus.

    By an offset that is drawn for each corpus: at least 1,000 rows either way round, or half the
    corpus where it has fewer than 2,000.

    Args:
        dumps: activations (T, m) of each corpus.
        sources: what lies at their rows.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    moved: dict[str, Stacked] = {}
    with_them: dict[str, Source] = {}
    for corpus, activations in dumps.items():
        matrix, rows = stacked(activations), activations.shape[0]
        least = min(LEAST_SHIFT, rows // 2)
        cut = int(rng.integers(least, rows - least + 1))
        moved[corpus] = one_after_another([matrix.cut(cut, rows), matrix.cut(0, cut)])
        with_them[corpus] = Source(
            *(scratch.joined([array[cut:], array[:cut]]) for array in sources[corpus])
        )
    return moved, with_them


def joined(parts: Sequence[Columns], stretches: Sequence[range]) -> Columns:
    """Some stretches as one matrix: its rows are numbered from 0 on, stretch after stretch.

    Args:
        parts: the firings in each stretch (`columns.within`), of the same features.
        stretches: the rows of each.
    """
    edges = np.concatenate([[0], np.cumsum(np.sum([part.firings for part in parts], axis=0))])

    def fill(first: int, stop: int, rows: np.ndarray, values: np.ndarray) -> None:
        place, before = edges[:-1] - edges[first], 0
        for part, stretch in zip(parts, stretches, strict=True):
            shift = before - stretch.start
            by_blocks(partial(_copy, part, shift, place, rows, values, first), stop - first)
            place, before = place + part.firings, before + len(stretch)

    return in_ranges(edges, (parts[0].rows.dtype, parts[0].values.dtype), fill)


def joined_rows(array: np.ndarray, stretches: Sequence[range]) -> np.ndarray:
    """What an array (T,) has at the rows of some stretches, in the order of `joined`."""
    return scratch.joined([array[stretch.start : stretch.stop] for stretch in stretches])


@njit(cache=True, nogil=True)
def _copy(part, shift, place, rows, values, base, first, stop):
    for i in range(base + first, base + stop):
        to = place[i]
        for k in range(part.starts[i], part.stops[i]):
            rows[to] = part.rows[k] + shift
            values[to] = part.values[k]
            to += 1


class Facts(NamedTuple):
    """What m features do on a set of rows; (m,) each."""

    rows: int
    """Of the set."""
    firings: np.ndarray
    """int64: rows on which each fires."""
    documents: np.ndarray
    """int64: documents in which it fires."""
    lookup_r: np.ndarray
    """float32; NaN where undefined, and everywhere on sets on which its side is not judged."""
    mean: np.ndarray
    scale: np.ndarray
    """1/σ; NaN where it is constant."""


class Dictionary:
    """The features of one SAE."""

    def __init__(
        self, found: Columns, source: Source, shape: Layout, side: int, least: tuple[int, int]
    ):
        """Facts are made when they are first asked for.

        Args:
            found: where its features fire on the layout's rows.
            source: the token and the document at each of them.
            shape: the layout.
            side: 0 for side a, 1 for b.
            least: firings and documents under which a feature is rare.
        """
        self._found = found
        self.parts = [within(found, stretch) for stretch in shape.stretches]
        self._source, self._layout, self._least = source, shape, least
        self._judged_on = {sets[side] for sets in shape.sides.values()}
        self._facts: dict[int, Facts] = {}

    def on(self, index: int) -> Facts:
        """What the features do on a set."""
        if index not in self._facts:
            self._facts[index] = self._make(index)
        return self._facts[index]

    def alive(self, index: int) -> np.ndarray:
        """Which features are neither silent nor rare on a set: (m,) bool."""
        facts = self.on(index)
        found: np.ndarray = rule.alive(facts.firings, facts.documents, *self._least)
        return found

    def judged(self, index: int) -> Judged:
        """What correlating on a set takes; as partners those count that are alive."""
        facts = self.on(index)
        return Judged(facts.mean, facts.scale, self.alive(index))

    def columns(self, index: int) -> Columns:
        """Where the features fire on a set, its rows numbered from 0 on."""
        return joined([self.parts[s] for s in self._layout.sets[index]], self._layout.of(index))

    def columns_as_they_lie(self, index: int) -> Columns:
        """The same in the layout's order of rows: not copied where the set is one range of them."""
        stretches = self._layout.of(index)
        whole = range(stretches[0].start, stretches[-1].stop)
        if len(whole) > self._layout.length(index):
            return self.columns(index)
        return within(self._found, whole)

    def source(self, index: int) -> Source:
        """What lies at the rows of a set."""
        return Source(*(joined_rows(array, self._layout.of(index)) for array in self._source))

    def _make(self, index: int) -> Facts:
        found, source, rows = self.columns(index), self.source(index), self._layout.length(index)
        lookup = np.full(len(found.starts), np.nan)
        if index in self._judged_on:
            lookup = lookup_r(found, range(rows), source.tokens, source.folds)
        return Facts(
            rows,
            found.firings,
            documents(found, source.documents),
            lookup.astype(np.float32),
            *standardised(found, rows),
        )
