"""The built-in baseline: a feature does what it does on average for the token, in any context.

`lookup` fits the mean activation per token on the explain records: all that an explainer sees.
`lookup_probe` fits it on the whole probe without the documents of the feature's score records: the
most that any explanation in terms of the token alone could predict. A token that was not seen has
the mean 0. Bills et al. 2023 call the first a token lookup table.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from featflow.config.interpreting import Lookup
from featflow.data.token_text import quoted
from featflow.features.probe import Firings, Probe
from featflow.interpret.providers import LEVELS, Marked, Outcome, Provider, Record

NAME, PROBE_NAME = "lookup", "lookup_probe"

SHOWN = 8
"""Tokens that an explanation names at most."""

LEAST = 0.02
"""The share of all activation that a token it names has at least."""

FIRES = 1.0
"""The predicted level from which on a token counts as firing: what counts as true, too."""


class Table:
    """Mean level per token of a feature, and how much of its activation each token has."""

    def __init__(self, means: Mapping[int, float], sums: Mapping[int, float]):
        """Args: by token id, of those on which the feature fired."""
        self.means, self.sums = means, sums

    def predict(self, ids: Sequence[int]) -> list[float]:
        """The level expected at each token."""
        return [self.means.get(i, 0.0) for i in ids]

    def explanation(self, texts: Mapping[int, str]) -> str:
        """The tokens with the largest mean × count, in words."""
        if not self.sums:
            return "fires on no token that was seen"
        total = sum(self.sums.values())
        ranked = sorted(self.sums, key=lambda token: (-self.sums[token], token))[:SHOWN]
        named = [t for t in ranked if self.sums[t] >= LEAST * total] or ranked
        return "fires on: " + ", ".join(quoted(texts[token]) for token in named)


def fit_records(records: Sequence[Record]) -> Table:
    """A table from records alone."""
    ids = np.array([i for record in records for i in record.ids])
    values = np.array([v for record in records for v in record.values])
    return _table(np.bincount(ids), np.bincount(ids, weights=values), values.max(initial=0))


def fit_probe(probe: Probe, found: Firings, without: frozenset[int], largest: float) -> Table:
    """A table from the whole probe.

    Args:
        probe: all rows.
        found: where the feature fires.
        without: documents that are left out.
        largest: the activation that is level 10.
    """
    outside = ~np.isin(probe.documents[found.rows], list(without))
    rows, values = found.rows[outside], found.values[outside]
    size = len(probe.counts)
    left_out = np.bincount(probe.tokens[probe.rows_of(without)], minlength=size)
    sums = np.bincount(probe.tokens[rows], weights=values, minlength=size)
    return _table(probe.counts - left_out, sums, largest)


def _table(counts: np.ndarray, sums: np.ndarray, largest: float) -> Table:
    seen = np.flatnonzero(sums)
    means = LEVELS / largest * sums[seen] / counts[seen] if len(seen) else sums[seen]
    tokens = seen.tolist()
    return Table(
        dict(zip(tokens, means.tolist(), strict=True)),
        dict(zip(tokens, sums[seen].tolist(), strict=True)),
    )


class LookupProvider:
    """Answers from a table for each feature."""

    def __init__(
        self, tables: Mapping[int, Table] | None = None, texts: Mapping[int, str] | None = None
    ):
        """Args: tables by feature, and the text of every token (None: from the explain records)."""
        self.name = NAME if tables is None else PROBE_NAME
        self._fits = tables is None
        self._tables, self._texts = dict(tables or {}), dict(texts or {})

    def announce(
        self,
        explain: Mapping[int, Sequence[Record]],
        simulate: Sequence[tuple[int, str, Record]],
        detect: Sequence[tuple[int, str, Sequence[Record]]],
        fuzz: Sequence[tuple[int, str, Sequence[Marked]]],
        categorise: Sequence[tuple[int, str, Sequence[str]]] = (),
    ) -> None:
        """Nothing: a table costs nothing."""

    def explain(self, items: Mapping[int, Sequence[Record]]) -> dict[int, Outcome[str]]:
        """The tokens on which each feature fires most."""
        if self._fits:
            for feature, records in items.items():
                self._tables[feature] = fit_records(records)
                for record in records:
                    self._texts.update(zip(record.ids, record.tokens, strict=True))
        return {f: Outcome(self._tables[f].explanation(self._texts)) for f in items}

    def simulate(self, items: Sequence[tuple[int, str, Record]]) -> list[Outcome[list[float]]]:
        """The mean level of each token."""
        return [Outcome(self._tables[f].predict(record.ids)) for f, _, record in items]

    def detect(
        self, items: Sequence[tuple[int, str, Sequence[Record]]]
    ) -> list[Outcome[list[bool]]]:
        """Whether any token of a record is predicted to fire."""
        return [
            Outcome([max(self._tables[f].predict(r.ids)) >= FIRES for r in records])
            for f, _, records in items
        ]

    def fuzz(self, items: Sequence[tuple[int, str, Sequence[Marked]]]) -> list[Outcome[list[bool]]]:
        """Whether the marked tokens are predicted to fire, on average."""
        return [
            Outcome([self._mean(f, marked) >= FIRES for marked in marks]) for f, _, marks in items
        ]

    def _mean(self, feature: int, marked: Marked) -> float:
        ids = [marked.record.ids[position] for position in marked.positions]
        return float(np.mean(self._tables[feature].predict(ids)))

    def categorise(self, items: Sequence[tuple[int, str, Sequence[str]]]) -> list[Outcome[str]]:
        """None: a table has no words for kinds."""
        return [Outcome(None, "the lookup baseline names no categories") for _ in items]


def make(settings: Lookup, folder: Path) -> Provider:
    """The baseline of the explain records; nothing is read from or written to the folder."""
    return LookupProvider()
