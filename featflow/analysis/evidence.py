"""How well a feature marks tokens: counts on the whole probe, and what follows from them.

N rows, of which S are the n_s rows of the tokens s; a feature fires on n_f rows, n_sf of them in S:

    precision = n_sf / n_f,  recall = n_sf / n_s,  F1 = 2 n_sf / (n_f + n_s),

    P(s) = (n_s + ½) / (N + 1),  P(s | f > 0) = (n_sf + ½) / (n_f + 1),

    LLR = ln [P(s | f > 0) / P(s)]  (Bricken et al. 2023; smoothed by ½ of a count on either side).

P(s) is that of the whole probe, the same for every model. A feature that fires on nothing but s has
an LLR just below the cap −ln P(s), however few of the s it fires on: the LLR alone cannot rank.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from featflow.features.probe import parts_of


class Counts(NamedTuple):
    """Firings of m features, and how strong they are together; (m,) each."""

    fired: np.ndarray
    """n_f, int64."""
    marked: np.ndarray
    """n_sf, int64."""
    total: np.ndarray
    """The sum of activations, float64."""
    on_s: np.ndarray
    """That of activations on S, float64."""
    n_s: int
    n: int
    """N."""

    @property
    def precision(self) -> np.ndarray:
        """(m,) float64; 0 for a feature that never fires."""
        return self.marked / np.maximum(self.fired, 1)

    @property
    def recall(self) -> np.ndarray:
        """(m,) float64."""
        return self.marked / max(self.n_s, 1)

    @property
    def f1(self) -> np.ndarray:
        """(m,) float64."""
        return 2 * self.marked / np.maximum(self.fired + self.n_s, 1)

    @property
    def llr(self) -> np.ndarray:
        """(m,) float64, nats."""
        return np.log((self.marked + 0.5) / (self.fired + 1)) - np.log(self.probability)

    @property
    def probability(self) -> float:
        """P(s), smoothed."""
        return (self.n_s + 0.5) / (self.n + 1)

    @property
    def mass(self) -> np.ndarray:
        """(m,) float64: the share of the summed activation that lies on S; 0 where it is silent."""
        return self.on_s / np.where(self.total > 0, self.total, 1)

    @property
    def other_rate(self) -> np.ndarray:
        """(m,) float64: on what share of the rows outside S each fires."""
        return (self.fired - self.marked) / max(self.n - self.n_s, 1)

    @property
    def density(self) -> np.ndarray:
        """(m,) float64: on what share of all rows each fires."""
        return self.fired / max(self.n, 1)

    def ranked(self, among: np.ndarray, count: int) -> list[int]:
        """The features with the largest F1, of equal ones the lower number first.

        Args:
            among: (m,) bool, which features may be named.
            count: at most so many.
        """
        candidates = np.flatnonzero(among & (self.marked > 0))
        order = np.argsort(-self.f1[candidates], kind="stable")[:count]
        return candidates[order].tolist()


def count(matrices: Iterable[csr_array], rows: Iterable[np.ndarray]) -> Counts:
    """Count the firings of every feature of a model.

    Args:
        matrices: its activations (T, m) on each corpus.
        rows: (T,) bool of each corpus, which rows are in S.
    """
    parts = [_count(matrix, inside) for matrix, inside in zip(matrices, rows, strict=True)]
    return Counts(
        np.sum([part.fired for part in parts], axis=0),
        np.sum([part.marked for part in parts], axis=0),
        np.sum([part.total for part in parts], axis=0),
        np.sum([part.on_s for part in parts], axis=0),
        n_s=sum(part.n_s for part in parts),
        n=sum(part.n for part in parts),
    )


def _count(matrix: csr_array, inside: np.ndarray) -> Counts:
    """The counts on one corpus, some rows at a time: a dump may be larger than the memory."""
    width = matrix.shape[1]
    fired, marked = np.zeros((2, width), np.int64)
    total, on_s = np.zeros((2, width))
    for rows, entries in parts_of(matrix):
        features, values = matrix.indices[entries], matrix.data[entries].astype(np.float64)
        there = np.repeat(inside[rows], np.diff(matrix.indptr[rows.start : rows.stop + 1]))
        fired += np.bincount(features, minlength=width)
        marked += np.bincount(features[there], minlength=width)
        np.add.at(total, features, values)  # in order, so that the parts change no bit
        np.add.at(on_s, features[there], values[there])
    return Counts(fired, marked, total, on_s, n_s=int(inside.sum()), n=len(inside))


def count_one(values: np.ndarray, rows: np.ndarray) -> Counts:
    """The counts of one feature, of its activations (T,) and S (T,)."""
    return _count(csr_array(values[:, None]), rows)


MEASURES = ("f1", "precision", "recall", "llr", "mass", "density")


def measures(counts: Counts, feature: int) -> dict[str, Any]:
    """How well one feature marks the tokens: feature, firings and `MEASURES`."""
    numbers = {key: rounded(getattr(counts, key)[feature]) for key in MEASURES}
    return {"feature": feature, "firings": int(counts.fired[feature]), **numbers}


def specific(
    values: np.ndarray | None, rows: np.ndarray, first: np.ndarray
) -> dict[str, float | None]:
    """How much else a feature fires on.

    Args:
        values: (T,) its activations; None: there is no such feature.
        rows: (T,) bool, S.
        first: (T,) the activations of the feature that it is compared with.

    Returns:
        other_rate: the share of the rows outside S on which it fires; other_ratio: that, divided
        by the first feature's (None where the first fires on nothing else); max: its largest
        activation.
    """
    if values is None:
        return dict.fromkeys(("other_rate", "other_ratio", "max"))
    rate, of_first = (float(count_one(v, rows).other_rate[0]) for v in (values, first))
    return {
        "other_rate": rounded(rate),
        "other_ratio": rounded(rate / of_first) if of_first else None,
        "max": rounded(values.max()),
    }


def rounded(number: Any) -> float | None:
    """Six significant digits, for people; None for NaN, which JSON has no word for."""
    return None if number is None or np.isnan(number) else float(f"{float(number):.6g}")
