"""The TopK autoencoder (Gao et al. 2024, "Scaling and evaluating sparse autoencoders",
arXiv 2406.04093, sections 2.3, 2.4 and appendix A).

    f = ReLU(TopK(W_e (x − b_d) + b_e))      (the k largest pre-activations, those below 0 made 0)
    x̂ = W_d f + b_d                          (decoder vectors of unit norm)
    loss = mean over tokens and elements of (x − x̂)² + α · the same of (e − ê)²

e = x − x̂, taken as a constant, and ê = W_d f_aux, with f_aux the k_aux largest among the dead
features alone (AuxK): so that they learn what is not yet explained. Nothing is resampled. There is
no penalty: k says how many features fire (fewer, where fewer pre-activations are positive).

Shapes: B tokens, n inputs, m features, D dead features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from featflow.config.errors import FeatflowError
from featflow.config.saes import Resampling, TopK
from featflow.saes.architectures import StepRecord
from featflow.saes.codes import positive
from featflow.saes.dictionary import Dictionary
from featflow.saes.one_layer import Gradients, OneLayer
from featflow.saes.sparse import Codes


def largest(pre: Tensor, k: int) -> Tensor:
    """The pre-activations (…, m) with all but the k largest made 0, in place."""
    values, chosen = pre.topk(k, dim=-1, sorted=False)
    return pre.zero_().scatter_(-1, chosen, values)


@dataclass(frozen=True)
class TopKDictionary(Dictionary):
    """f = ReLU(TopK((x − b_dec) W_enc + b_enc)), as SAELens's TopKSAE."""

    k: int = 1
    """How many features may fire at a token."""

    architecture = "topk"

    @property
    def settings(self) -> dict[str, Any]:
        """k; and that decoder norms have no say in which are the largest."""
        return {"k": self.k, "rescale_acts_by_decoder_norm": False}

    @classmethod
    def of(cls, weights: dict[str, Any], cfg: dict[str, Any], **more: Any) -> Self:
        """The dictionary of these weights; decoder norms that have a say are folded in.

        Raises:
            ValueError: when there are fewer than k features.
        """
        k, m = int(cfg["k"]), len(weights["b_enc"])
        if not 1 <= k <= m:
            raise ValueError(f"k is {k}, and it has {m} features")
        if cfg.get("rescale_acts_by_decoder_norm"):
            norms = weights["W_dec"].norm(dim=1)
            weights = {
                **weights,
                "W_enc": weights["W_enc"] * norms,
                "b_enc": weights["b_enc"] * norms,
                "W_dec": weights["W_dec"] / norms[:, None],
            }
        return cls(**weights, **more, k=k)

    def activate(self, pre: Tensor) -> Tensor:
        """f (…, m) of pre-activations (…, m), in place."""
        return largest(pre, self.k).relu_()

    def codes(self, product: np.ndarray) -> Codes:
        """What fires where (x − b_dec) W_enc is `product` (T, m), which is overwritten."""
        f = self.activate(torch.from_numpy(product).add_(self.b_enc))
        return positive(f.numpy(), np.zeros(self.features, np.float32))


class Autoencoder(OneLayer):
    """The weights, their optimiser, and AuxK."""

    settings: TopK

    def __init__(self, settings: TopK, width: int, seed: int, device: torch.device):
        """Args: the settings; n; the seed of the decoder's directions; where to compute."""
        super().__init__(settings, width, seed, device)
        self._dead: Tensor | None = None
        self._dead_pre: Tensor | None = None
        self._aux = 0.0

    def prepare(self, steps: int, element: float) -> None:
        """Check that there are k features.

        Raises:
            FeatflowError: when there are fewer.
        """
        if self.settings.k > self.features:
            raise FeatflowError(
                f"k: {self.settings.k:,} features are to fire at a token, and the SAE has "
                f"{self.features:,}; use a smaller k (a few percent of them), or a larger expansion"
            )

    def learn(
        self, x: Tensor, step: int, learning_rate: float, dead: Callable[[], Tensor]
    ) -> StepRecord:
        """A step of Adam on a batch (B, n)."""
        auxiliary, self._aux = self.settings.auxiliary, 0.0
        if auxiliary is not None and len(silent := dead()):
            self._dead = silent
        mse, _, l0, fired = self.step(x, learning_rate)
        self._dead = self._dead_pre = None
        weight = 0.0 if auxiliary is None else auxiliary.weight
        record = {"mse": mse, "l0": l0, "aux": self._aux}
        return StepRecord(mse + weight * self._aux, fired, record)

    @property
    def silence(self) -> float:
        """As the settings say, or as resampling would."""
        return (self.settings.auxiliary or Resampling()).silent

    def remedies(self) -> list[str]:
        """A smaller share of AuxK."""
        auxiliary = self.settings.auxiliary
        return [f"a smaller auxiliary.weight (it is {auxiliary.weight:g})"] if auxiliary else []

    def dictionary(self, scale: float) -> TopKDictionary:
        """The weights for raw activations."""
        return TopKDictionary(**self.raw_weights(scale), k=self.settings.k)

    def _select(self, pre: Tensor) -> Tensor:
        if self._dead is not None:
            self._dead_pre = pre[:, self._dead].float()
        return largest(pre, self.settings.k)

    def _more(self, gradients: Gradients, x: Tensor, centred: Tensor) -> Gradients:
        """Those of AuxK, whose target is the error as a constant: of the dead features' rows."""
        dead, pre, auxiliary = self._dead, self._dead_pre, self.settings.auxiliary
        if dead is None or pre is None or auxiliary is None:
            return gradients
        k = min(auxiliary.k or max(1, self.width // 2), len(dead))
        f = largest(pre, k).relu_()
        decoder = self.decoder[dead]
        rest = torch.addmm(gradients.error, f, decoder)  # ê − e, since the error is x̂ − x
        self._aux = float(rest.square().mean())
        rest *= auxiliary.weight
        slopes = torch.where(f > 0, rest @ decoder.T, 0.0)
        gradients.encoder[dead] += (slopes.T @ centred).to(gradients.encoder.dtype)
        gradients.decoder[dead] += (f.T @ rest).to(gradients.decoder.dtype)
        gradients.bias[dead] += slopes.sum(0)
        return gradients
