"""One file an architecture, named after its `kind`, each with a class `Autoencoder`.

The training loop (saes/training.py) knows an architecture by this alone. Vectors come in the scale
that is trained in, float32; x is (B, n), features are (B, m).
"""

from importlib import import_module
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from featflow.config.saes import Sae
from featflow.saes.saelens import Folded


class Step(NamedTuple):
    """What a training step says of its batch, before the step was taken."""

    mse: float
    """Mean over tokens and elements of (x − x̂)²."""
    l1: float
    """Mean over tokens of Σ f."""
    l0: float
    """Mean over tokens of how many features fire."""
    fired: Tensor
    """Which features fired at all: (m,) bool."""


class Autoencoder(Protocol):
    """A sparse autoencoder that trains itself a batch at a time."""

    features: int

    def __init__(self, settings: Sae, width: int, seed: int, device: torch.device): ...

    @property
    def state(self) -> dict[str, Tensor]:
        """All that a checkpoint must hold; writing into these tensors restores it."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state`."""
        ...

    def start_at(self, offset: Tensor) -> None:
        """Begin with this decoder bias (n,)."""
        ...

    def step(self, x: Tensor, learning_rate: float, penalty: float) -> Step:
        """One step of the optimiser on a batch; `penalty` weighs the sparsity term, if any."""
        ...

    def reconstruct(self, x: Tensor) -> Tensor:
        """x̂ (B, n)."""
        ...

    def revive(self, dead: Tensor, inputs: Tensor) -> None:
        """Point the features `dead` (k,) at `inputs` (k, n), their optimiser's state made new."""
        ...

    def folded(self, scale: float) -> Folded:
        """The weights for activations x, when training saw x · scale."""
        ...


def autoencoder(settings: Sae, width: int, seed: int, device: torch.device) -> Autoencoder:
    """A new autoencoder of the settings' kind."""
    module = import_module(f"featflow.saes.architectures.{settings.kind}")
    return module.Autoencoder(settings, width, seed, device)
