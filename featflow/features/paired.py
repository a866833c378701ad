"""Two activations of the same features, row by row: how they correlate, and where each fires.

Rows come in batches, as sparse codes, and are not kept: a random-weight model may fire half of a
dictionary at every token, so that not even the sparse activations would fit.

Shapes: T rows of a batch, m features.
"""

import numpy as np
from numba import njit

from featflow.features.moments import UNRESOLVED
from featflow.saes.sparse import Codes


class Firings:
    """On how many rows, and in how many documents, each feature fires."""

    def __init__(self, features: int):
        """Args: m."""
        self.rows, self.documents = np.zeros((2, features), np.int64)
        self._latest = np.full(features, -1)

    def add(self, codes: Codes, documents: np.ndarray) -> None:
        """Add rows.

        Args:
            codes: what fires on them.
            documents: (T,) the document of each row, ascending, from one batch to the next too.
        """
        _count(codes.indptr, codes.indices, documents, self.rows, self.documents, self._latest)


class Paired:
    """Moments of the two sides, float64."""

    def __init__(self, features: int):
        """Args: m."""
        self.rows = 0
        self.of_a, self.of_b = Firings(features), Firings(features)
        self._sums = np.zeros((5, features))

    def add(self, a: Codes, b: Codes, documents: np.ndarray) -> None:
        """Add rows.

        Args:
            a: activations of one side.
            b: those of the other, on the same rows.
            documents: (T,) the document of each row, ascending, from one batch to the next too.
        """
        self.rows += len(documents)
        self.of_a.add(a, documents)
        self.of_b.add(b, documents)
        _add(*a, *b, *self._sums)

    def r(self) -> np.ndarray:
        """Pearson's r of each feature's two sides: (m,) float32, NaN where either is constant."""
        mean_a, mean_b, aa, bb, ab = self._sums / self.rows
        variances = aa - mean_a**2, bb - mean_b**2
        varies = (variances[0] > UNRESOLVED * aa) & (variances[1] > UNRESOLVED * bb)
        scale = np.sqrt(np.where(varies, variances[0] * variances[1], 1))
        r = np.clip((ab - mean_a * mean_b) / scale, -1, 1)
        return np.where(varies, r, np.nan).astype(np.float32)


@njit(cache=True)
def _count(indptr, indices, documents, rows, found, latest):
    for t in range(len(documents)):
        for p in range(indptr[t], indptr[t + 1]):
            i = indices[p]
            rows[i] += 1
            if latest[i] != documents[t]:
                latest[i] = documents[t]
                found[i] += 1


@njit(cache=True)
def _add(starts_a, at_a, a, starts_b, at_b, b, sums_a, sums_b, aa, bb, ab):
    for p in range(starts_a[-1]):
        value = np.float64(a[p])
        sums_a[at_a[p]] += value
        aa[at_a[p]] += value * value
    for q in range(starts_b[-1]):
        value = np.float64(b[q])
        sums_b[at_b[q]] += value
        bb[at_b[q]] += value * value
    for t in range(len(starts_a) - 1):
        p, q = starts_a[t], starts_b[t]
        while p < starts_a[t + 1] and q < starts_b[t + 1]:
            i, j = at_a[p], at_b[q]
            if i == j:
                ab[i] += np.float64(a[p]) * np.float64(b[q])
            p += i <= j
            q += j <= i
