"""Latent scaling: whether what seems new in a child was there in its parent, under another name.

A child feature without a partner among the parent's features may still be in the parent's
activations. For feature j of the child's SAE, with activation f_j(t) and decoder direction d_j, the
best multiple of its contribution in any activations y (T, n) of the same tokens is

    β_j(y) = argmin_β Σ_t ‖y_t − β f_j(t) d_j‖² = Σ_t f_j(t) ⟨d_j, y_t⟩ / (Σ_t f_j(t)² ‖d_j‖²).

With x̂ = Σ_j f_j d_j + b the reconstruction of x by the model's own SAE, y is

- error:           x − x̂ of the parent; of the child (x − x̂) + f_j d_j, so that its own feature's
                   share, which x̂ took away, is part of it;
- reconstruction:  x̂ of the parent, and of the child.

ν = β of the parent / β of the child, for each of the two:

- ν_error near 1: the parent has the direction, on the same tokens and as strongly, but no feature
  of its SAE says so ("complete shrinkage"): the feature is new to the SAE, not to the model.
- ν_reconstruction near 1: the parent's SAE says it by other features ("latent decoupling": split,
  merged, or turned), none of which fires like this one. It is near 1 too for every feature that
  simply persists, so that it tells something of emerging ones alone.
- Both near 0: the parent does not have it. Minder et al. call a feature specific to the fine-tuned
  model where ν_error < 0.2 and ν_reconstruction < 0.5.

ν is NaN where the feature never fires, and where the child's β is not positive: there it does not
even help its own model, and a ratio to it means nothing.

Source: Minder, Dumas, Juang, Chughtai & Nanda 2025, arXiv 2504.02922, section 3 and their code.
Differences: theirs is one crosscoder, where f_j is a single number for both models, and the base's
own decoder of the feature (near 0 for those in question) is added back to the base's error; here
each model has an SAE of its own, f_j is the child's, and the parent's SAE has no feature j to add
back. So a feature that persists unchanged has ν_reconstruction near 1 and ν_error near 0.

Trap: neither is 0 by chance. An L1 penalty shrinks activations, and so leaves a share of every
direction in the error; x̂ holds the bias b, towards which a direction may lean. Read both beside
those of the features that persist.

Shapes: T rows of a batch, n inputs, m features.
"""

import numba
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from featflow.saes.sparse import Codes

TARGETS = ("error", "reconstruction")

COLUMNS = {
    "feature": "int32",
    "beta_error_parent": "float64",
    "beta_error_child": "float64",
    "nu_error": "float64",
    "beta_reconstruction_parent": "float64",
    "beta_reconstruction_child": "float64",
    "nu_reconstruction": "float64",
    "firings": "int64",
}


class Scaling:
    """Σ f_j ⟨d_j, y⟩ of the child's features and each y, batch by batch, in float64."""

    def __init__(self, directions: Tensor):
        """Args: the child's decoder W_dec (m, n)."""
        self._directions = directions
        features, device = len(directions), directions.device
        self._dots = torch.zeros(4, features, dtype=torch.float64, device=device)
        self._squares = torch.zeros(features, dtype=torch.float64, device=device)
        self._firings = torch.zeros(features, dtype=torch.int64, device=device)

    def add(self, f: Tensor, x: Tensor, y: Tensor, said: Tensor, own: Tensor) -> None:
        """Add rows.

        Args:
            f: the child's features (T, m).
            x: the parent's activations (T, n).
            y: the child's (T, n).
            said: x̂ (T, n) of the parent.
            own: x̂ (T, n) of the child, all of its features in it.
        """
        for dots, target in zip(self._dots, (x - said, y - own, said, own), strict=True):
            dots += ((f.T @ target).double() * self._directions).sum(1)
        self._squares += f.double().square().sum(0)
        self._firings += (f > 0).sum(0)

    def add_codes(
        self, f: Codes, x: np.ndarray, y: np.ndarray, said: np.ndarray, own: np.ndarray
    ) -> None:
        """`add` on the CPU of rows on which few features fire: active pairs alone are looked at."""
        dots = np.empty((len(f.values), 4), np.float32)
        _dots(f.indptr, f.indices, self._directions.numpy(), x, y, said, own, dots)
        sums = (part.numpy() for part in (self._dots, self._squares, self._firings))
        _add(f.indices, f.values, dots, *sums)

    def table(self) -> pd.DataFrame:
        """A row for each of the child's features."""
        norms = self._directions.double().square().sum(1)
        energy = (self._squares * norms).cpu().numpy()
        fires = energy > 0
        betas = np.full((4, len(energy)), np.nan)
        betas[:, fires] = self._dots.cpu().numpy()[:, fires] / energy[fires]
        betas[1] += 1  # the feature's own share of the child's error
        found = {"feature": np.arange(len(energy)), "firings": self._firings.cpu().numpy()}
        for target, parent, child in zip(TARGETS, betas[::2], betas[1::2], strict=True):
            found[f"beta_{target}_parent"], found[f"beta_{target}_child"] = parent, child
            found[f"nu_{target}"] = parent / np.where(child > 0, child, np.nan)
        return pd.DataFrame({name: found[name].astype(kind) for name, kind in COLUMNS.items()})


def no_scaling() -> pd.DataFrame:
    """The same table without a row: of models whose directions cannot be compared."""
    return pd.DataFrame({name: np.empty(0, kind) for name, kind in COLUMNS.items()})


@numba.njit(parallel=True, fastmath=True, cache=True)
def _dots(indptr, indices, directions, x, y, said, own, dots):
    for i in numba.prange(len(indptr) - 1):
        for p in range(indptr[i], indptr[i + 1]):
            direction = directions[indices[p]]
            parent_error = child_error = parent = child = np.float32(0)
            for k in range(directions.shape[1]):
                d = direction[k]
                parent_error += d * (x[i, k] - said[i, k])
                child_error += d * (y[i, k] - own[i, k])
                parent += d * said[i, k]
                child += d * own[i, k]
            dots[p, 0], dots[p, 1], dots[p, 2], dots[p, 3] = (
                parent_error,
                child_error,
                parent,
                child,
            )


@numba.njit(cache=True)
def _add(indices, values, dots, sums, squares, firings):
    for p in range(len(indices)):
        j, value = indices[p], np.float64(values[p])
        for target in range(4):
            sums[target, j] += value * np.float64(dots[p, target])
        squares[j] += value * value
        firings[j] += 1
