"""The weight λ of the sparsity term: fixed, or steered until as many features fire as wanted."""

import math
from typing import Any

from featflow.config.errors import FeatflowError
from featflow.config.saes import Sparsity

GAIN = 0.01
"""log λ moves by this times ln(L0 / target) a step."""
SLEW = 0.01
"""log λ moves by no more than this a step."""
SMOOTHING = 0.95
"""What is kept of the smoothed L0 at a step."""
STEERED = (0.1, 0.8)
"""λ is steered between these shares of the run (from step 0 on it would overshoot sevenfold)."""
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


def starting_penalty(width: int, scale: float) -> float:
    """λ that takes half a typical element off every active feature: λ n / 2 = scale / 2.

    Args: n; mean‖x‖/√n in the scale trained in (start.typical_element); where that is 0, as if it
    were 1, since a λ of 0 could not be steered.
    """
    return (scale if scale > 0 else 1.0) / width


def check_target(sparsity: Sparsity, features: int) -> None:
    """Raise FeatflowError unless an SAE has as many features as are to fire at a token."""
    if sparsity.l0 is not None and sparsity.l0 > features:
        raise FeatflowError(
            f"sparsity.l0: {sparsity.l0:g} features are to fire at a token, and the SAE has "
            f"{features:,}; use a smaller l0 (a few percent of them), or a larger expansion"
        )
