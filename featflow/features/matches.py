"""The rows of matches.parquet: the best partners of the features of one side, and what is known of
both.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from featflow.features import rule
from featflow.features.columns import Columns, by_blocks, documents
from featflow.features.lookup import lookup_r
from featflow.features.partners import Ranked
from featflow.features.scope import Source
from featflow.features.trimmed import trimmed_r

Directions = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""For features (p,) of a and (p,) of b the cosine of their directions."""


class Side(NamedTuple):
    """The features of one dictionary, on the scope that they are judged on."""

    name: str
    own: Columns
    other: Columns
    rows: int
    tokens: int
    documents: np.ndarray
    other_documents: np.ndarray
    lookup: np.ndarray

    @classmethod
    def of(cls, name: str, own: Columns, other: Columns, scope: range, source: Source) -> "Side":
        """What is known of a side, from both sides' firings in its scope and what lies there."""
        found, there = documents(own, source.documents), documents(other, source.documents)
        lookup = lookup_r(own, scope, source.tokens, source.folds)
        return cls(name, own, other, len(source.tokens), len(scope), found, there, lookup)

    def table(
        self, ranked: Ranked, cosines: Directions | None, least: tuple[int, int]
    ) -> pd.DataFrame:
        """The rows of matches.parquet for this side.

        Args:
            ranked: the best partners.
            cosines: between directions (None: they cannot be compared).
            least: firings and documents under which a feature is rare; r_trimmed is asked of the
                first partner that is not.
        """
        found, best = ranked.partners.astype(np.int64), ranked.r
        listed = found >= 0
        listed[:, 0] = True  # a feature without a partner has a row all the same
        feature, rank = np.nonzero(listed)
        partner, r = found[feature, rank], best[feature, rank].astype(np.float64)
        has = partner >= 0
        pairs = feature[has], partner[has]
        firings = self.own.firings[feature]
        partner_firings, partner_documents, both = np.zeros((3, len(has)), int)
        partner_firings[has] = self.other.firings[pairs[1]]
        partner_documents[has] = self.other_documents[pairs[1]]
        both[has] = cofirings(self.own, self.other, self.rows, *pairs)
        cosine, trimmed = np.full((2, len(has)), np.nan)
        if cosines is not None:
            cosine[has] = cosines(*pairs)
        counts = has & rule.alive(partner_firings, partner_documents, *least)
        before: np.ndarray = np.cumsum(counts) - counts
        first = counts & (before == before[np.searchsorted(feature, feature)])
        trimmed[first] = trimmed_r(
            self.own, self.other, self.tokens, feature[first], partner[first]
        )
        shared = jaccard(firings, partner_firings, both)
        return pd.DataFrame(
            {
                "side": self.name,
                "feature": feature,
                "rank": rank,
                "partner": partner,
                "r": r,
                "firings": firings,
                "partner_firings": partner_firings,
                "cofirings": both,
                "jaccard": np.where(has, shared, np.nan),
                "decoder_cosine": cosine,
                "lookup_r": self.lookup[feature],
                "documents": self.documents[feature],
                "partner_documents": partner_documents,
                "tokens": self.tokens,
                "r_trimmed": trimmed,
            }
        )


def cofirings(
    a: Columns, b: Columns, rows: int, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """On how many rows feature first[p] of a and feature second[p] of b both fire: (p,) int64.

    Args:
        a: one side's firings.
        b: the other side's.
        rows: of both, T.
        first: (p,) features of a, the pairs of one side by side.
        second: (p,) features of b.
    """
    counts = np.zeros(len(first), np.int64)
    by_blocks(
        lambda start, stop: _cofirings(a, b, rows, first, second, start, stop, counts),
        len(first),
        1024,
    )
    return counts


def jaccard(firings_a: np.ndarray, firings_b: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Rows where both fire, as a share of those where either does; NaN where neither does."""
    either = firings_a + firings_b - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


@njit(cache=True, nogil=True)
def _cofirings(a, b, rows, first, second, start, stop, counts):
    fires = np.zeros(rows, np.uint8)  # whether the pair's first feature does
    for pair in range(start, stop):
        i, j = first[pair], second[pair]
        if pair == start or i != first[pair - 1]:
            if pair > start:
                old = first[pair - 1]
                for k in range(a.starts[old], a.stops[old]):
                    fires[a.rows[k]] = 0
            for k in range(a.starts[i], a.stops[i]):
                fires[a.rows[k]] = 1
        for k in range(b.starts[j], b.stops[j]):
            counts[pair] += fires[b.rows[k]]
