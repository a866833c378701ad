"""Two activations of the same features, row by row: how they correlate, and where each fires.

Rows come in batches and are not kept: a random-weight model may fire half of a dictionary at every
token, so that not even the sparse activations would fit.

Shapes: T rows of a batch, m features.
"""

import numpy as np
import torch
from torch import Tensor

from featflow.features.moments import UNRESOLVED


class Firings:
    """On how many rows, and in how many documents, each feature fires."""

    def __init__(self, features: int, device: torch.device):
        """Args: m, and where the batches are."""
        self.rows = torch.zeros(features, dtype=torch.int64, device=device)
        self.documents = torch.zeros_like(self.rows)
        self._open = torch.zeros_like(self.rows, dtype=torch.bool)
        self._last = -1

    def add(self, fires: Tensor, documents: np.ndarray) -> None:
        """Add rows.

        Args:
            fires: (T, m) bool.
            documents: (T,) the document of each row, ascending, from one batch to the next too.
        """
        numbers, local = np.unique(documents, return_inverse=True)
        counts = torch.zeros(len(numbers), fires.shape[1], device=fires.device)
        found = counts.index_add_(0, torch.from_numpy(local).to(fires.device), fires.float()) > 0
        # what fired in the document that the last batch broke off is counted already
        counted = self._open & bool(numbers[0] == self._last)
        found[0] |= counted
        self.rows += fires.sum(0)
        self.documents += found.sum(0) - counted.long()
        self._open, self._last = found[-1], int(numbers[-1])


class Paired:
    """Moments of the two sides, float64."""

    def __init__(self, features: int, device: torch.device):
        """Args: m, and where the batches are."""
        self.rows = 0
        self.of_a, self.of_b = Firings(features, device), Firings(features, device)
        self._sums = torch.zeros(5, features, dtype=torch.float64, device=device)

    def add(self, a: Tensor, b: Tensor, documents: np.ndarray) -> None:
        """Add rows.

        Args:
            a: activations (T, m) of one side.
            b: those of the other, on the same rows.
            documents: (T,) the document of each row, ascending, from one batch to the next too.
        """
        self.rows += len(a)
        self.of_a.add(a > 0, documents)
        self.of_b.add(b > 0, documents)
        a, b = a.double(), b.double()
        products = (a * a, b * b, a * b)
        self._sums += torch.stack([a.sum(0), b.sum(0), *(product.sum(0) for product in products)])

    def r(self) -> np.ndarray:
        """Pearson's r of each feature's two sides: (m,) float32, NaN where either is constant."""
        mean_a, mean_b, aa, bb, ab = (self._sums / self.rows).cpu().numpy()
        variances = aa - mean_a**2, bb - mean_b**2
        varies = (variances[0] > UNRESOLVED * aa) & (variances[1] > UNRESOLVED * bb)
        scale = np.sqrt(np.where(varies, variances[0] * variances[1], 1))
        r = np.clip((ab - mean_a * mean_b) / scale, -1, 1)
        return np.where(varies, r, np.nan).astype(np.float32)
