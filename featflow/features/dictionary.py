"""One SAE's features on the rows of a layout: what is known of them on each set of rows."""

from typing import NamedTuple

import numpy as np

from featflow.features import rule
from featflow.features.best_partners import Judged
from featflow.features.columns import Columns, documents, within
from featflow.features.domains import Layout, joined, joined_rows
from featflow.features.lookup import lookup_r
from featflow.features.moments import standardised
from featflow.features.scope import Source


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
