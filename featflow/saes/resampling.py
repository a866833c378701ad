"""Reviving dead features (Bricken et al. 2023, "Neuron resampling"), in shares of the run.

Shapes: N sampled vectors, n inputs, m features.
"""

import math
from typing import Any

import torch
from torch import Tensor

from featflow.config.saes import Resampling
from featflow.runtime.log import log
from featflow.saes.architectures import Autoencoder

CHUNK = 4096


def draw_weights(errors: Tensor) -> Tensor | None:
    """Weights (N,) to draw vectors by their squared errors (N,): these squared; None: all are 0."""
    weights = errors.double().cpu().square()
    return weights if 0 < float(weights.sum()) < math.inf else None


class Revival:
    """Keeps account of which features are dead, and revives them when it is time."""

    def __init__(
        self,
        settings: Resampling | None,
        steps: int,
        features: int,
        seed: int,
        device: torch.device | None = None,
        silence: float | None = None,
    ):
        """Args: the settings (None: only count the dead); the run's steps; m; the draws' seed;
        where the SAE is (None: the CPU); the share of the run after which a silent feature is dead
        (None: as the settings say)."""
        self._settings, self._seed = settings, seed
        shares = settings or Resampling()
        self._every = max(1, round(shares.every * steps))
        self._silent = max(1, round((silence or shares.silent) * steps))
        self._until = round(shares.until * steps)
        self.last_fired = torch.zeros(features, dtype=torch.int64, device=device)
        self.last_time = 0

    def note(self, step: int, fired: Tensor) -> None:
        """Take note of the features that fired at a step."""
        self.last_fired.masked_fill_(fired, step)

    def dead(self, step: int) -> Tensor:
        """The features that have been silent for too long: (k,) int64."""
        return (step - self.last_fired >= self._silent).nonzero()[:, 0]

    def due(self, step: int) -> bool:
        """Whether it is time to look for dead features."""
        if self._settings is None or step > self._until:
            return False
        return step - self.last_time >= self._every

    def revive(self, step: int, sae: Autoencoder, sample: Tensor) -> int:
        """Point the dead features at badly reconstructed vectors of the sample (N, n); how many.

        A vector is drawn with a probability in proportion to its squared error, squared. None is
        revived where every vector is reconstructed without an error: there is nothing to point at.
        """
        self.last_time = step
        dead = self.dead(step)
        if len(dead):
            errors = [(x - sae.reconstruct(x)).square().sum(1) for x in sample.split(CHUNK)]
            weights = draw_weights(torch.cat(errors))
            if weights is None:
                return 0
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
            replacement = len(dead) > int((weights > 0).sum())
            chosen = torch.multinomial(weights, len(dead), replacement, generator=generator)
            sae.revive(dead.to(sample.device), sample[chosen.to(sample.device)])
            self.last_fired[dead] = step
            log.info("step %d: %d dead features revived", step, len(dead))
        return len(dead)

    @property
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint must hold."""
        return {"last_fired": self.last_fired}, {"last_time": self.last_time}

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.last_fired.copy_(tensors["last_fired"])
        self.last_time = meta["last_time"]
