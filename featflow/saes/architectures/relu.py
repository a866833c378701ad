"""The ReLU autoencoder with an L1 penalty (Horn & Elliott 2024, Eq. 1 to 4; Bricken et al. 2023).

    x̄ = x − mean(x)·1 − b_d      (centering: element; without the mean in Bricken's form)
    f = ReLU(W_e x̄ + b_e)
    x̂ = W_d f + b_d              (decoder vectors of unit norm)
    loss = mean over tokens and elements of (x − x̂)² + λ · mean over tokens of Σ f

λ is fixed, or steered until as many features fire as wanted. Dead features are resampled.

Shapes: B tokens, n inputs, m features.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from featflow.config.errors import FeatflowError
from featflow.config.saes import STEERED, Relu, Resampling, Sparsity
from featflow.saes.architectures import StepRecord
from featflow.saes.codes import positive
from featflow.saes.dictionary import Dictionary
from featflow.saes.one_layer import OneLayer
from featflow.saes.sparse import Codes

GAIN = 0.01
"""log λ moves by this times ln(L0 / target) a step."""
SLEW = 0.01
"""log λ moves by no more than this a step."""
SMOOTHING = 0.95
"""What is kept of the smoothed L0 at a step."""
TOLERANCE = 0.2
"""Dead features are left alone while L0 is further off its target than this."""


class Penalty:
    """λ, and how it follows the L0."""

    def __init__(self, sparsity: Sparsity, steps: int, start: float):
        """Args: the settings; the run's steps; λ at the start where it is steered."""
        self.target = sparsity.l0
        self.value = start if sparsity.l1 is None else sparsity.l1
        self.l0: float | None = None
        self._steered = range(round(STEERED[0] * steps), round(STEERED[1] * steps))

    def follow(self, step: int, l0: float) -> None:
        """Take note of a step's L0, and move λ."""
        self.l0 = l0 if self.l0 is None else SMOOTHING * self.l0 + (1 - SMOOTHING) * l0
        if self.target is not None and step in self._steered:
            pull = GAIN * math.log(max(self.l0, 1e-3) / self.target)
            self.value *= math.exp(min(max(pull, -SLEW), SLEW))

    @property
    def on_target(self) -> bool:
        """Whether L0 is near enough to its target (always, where there is none)."""
        if self.target is None or self.l0 is None:
            return self.target is None
        return abs(self.l0 / self.target - 1) <= TOLERANCE

    @property
    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"value": self.value, "l0": self.l0}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.value, self.l0 = state["value"], state["l0"]


class ReluDictionary(Dictionary):
    """f = ReLU((x − b_dec) W_enc + b_enc)."""

    architecture = "standard"

    def activate(self, pre: Tensor) -> Tensor:
        """f (…, m) of pre-activations (…, m), in place."""
        return pre.relu_()

    def codes(self, product: np.ndarray) -> Codes:
        """What fires where (x − b_dec) W_enc is `product` (T, m)."""
        return positive(product, self.b_enc.numpy())


class Autoencoder(OneLayer):
    """The weights, their optimiser, and λ."""

    settings: Relu
    penalty: Penalty

    def prepare(self, steps: int, element: float) -> None:
        """Start λ where half a typical element is taken off every active feature: λ n / 2 =
        element / 2. (Where that is 0, as if it were 1: a λ of 0 could not be steered.)

        Raises:
            FeatflowError: when more features are to fire at a token than there are.
        """
        target = self.settings.sparsity.l0
        if target is not None and target > self.features:
            raise FeatflowError(
                f"sparsity.l0: {target:g} features are to fire at a token, and the SAE has "
                f"{self.features:,}; use a smaller l0 (a few percent of them), or a larger "
                "expansion"
            )
        start = (element if element > 0 else 1.0) / self.width
        self.penalty = Penalty(self.settings.sparsity, steps, start)

    def learn(
        self, x: Tensor, step: int, learning_rate: float, dead: Callable[[], Tensor]
    ) -> StepRecord:
        """A step of Adam on a batch (B, n), and of λ."""
        weight = self.penalty.value
        mse, l1, l0, fired = self.step(x, learning_rate, weight)
        self.penalty.follow(step, l0)
        record = {"mse": mse, "l1": l1, "l0": l0, "lambda": weight}
        return StepRecord(mse + weight * l1, fired, record)

    @property
    def notes(self) -> dict[str, Any]:
        """λ and the smoothed L0."""
        return {"penalty": self.penalty.state}

    def restore(self, state: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Go on from a `state` and its `notes`."""
        super().restore(state, notes)
        self.penalty.restore(notes["penalty"])

    @property
    def resampling(self) -> Resampling | None:
        """As the settings say."""
        return self.settings.resampling

    @property
    def silence(self) -> float:
        """As the settings say, or would."""
        return (self.settings.resampling or Resampling()).silent

    @property
    def settled(self) -> bool:
        """Whether L0 is near enough to its target."""
        return self.penalty.on_target

    def complaint(self) -> str | None:
        """Where L0 ended, if that is off its target."""
        if self.settled:
            return None
        return (
            f"L0 ended at {self.penalty.l0:.1f}, its target was {self.penalty.target:.1f}: train "
            "on more tokens, or set l1 instead"
        )

    def remedies(self) -> list[str]:
        """A smaller λ, where it is fixed."""
        l1 = self.settings.sparsity.l1
        return [f"a smaller sparsity.l1 (it is {l1:g})"] if l1 else []

    def dictionary(self, scale: float) -> ReluDictionary:
        """The weights for raw activations, centring and scale folded in (in float64).

        W_enc = (W_e (I − 11ᵀ/n))ᵀ, b_enc = (b_e − mean(b_d) W_e 1) / s, b_dec = b_d / s.
        """
        encoder, bias, offset = (t.double().cpu() for t in (self.encoder, self.bias, self.offset))
        bias = bias[:, 0]
        if self.settings.centering == "element":
            bias = bias - offset.mean() * encoder.sum(1)
            encoder = encoder - encoder.mean(1, keepdim=True)
        return ReluDictionary(**self.raw_weights(scale, encoder, bias))

    def _centred(self, x: Tensor) -> Tensor:
        if self.settings.centering == "element":
            x = x - x.mean(1, keepdim=True)
        return x - self.offset
