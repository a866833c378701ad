"""One file an architecture, named after its `kind`: how it trains, and what its features are.

Each has two classes: `Autoencoder`, which trains itself a batch at a time, and a subclass of
`Dictionary` (saes/dictionary.py), which it ends as. The training loop, the stages after it,
SAELens's format and the estimates know an architecture by these and by its class of the config
(config/saes.py) alone.

Vectors come in the scale that is trained in, float32; x is (B, n), features are (B, m).
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from featflow.config.saes import Resampling, Sae
from featflow.saes.dictionary import Dictionary


class StepRecord(NamedTuple):
    """What a training step says of its batch, before the step was taken."""

    loss: float
    """What the step makes smaller."""
    fired: Tensor
    """Which features fired at all: (m,) bool."""
    record: dict[str, float]
    """More columns of training.parquet: `mse` and `l0`, and what the architecture adds."""


class Autoencoder(Protocol):
    """A sparse autoencoder that trains itself a batch at a time."""

    features: int
    """m"""

    def __init__(self, settings: Any, width: int, seed: int, device: torch.device): ...

    def prepare(self, steps: int, element: float) -> None:
        """Get ready for a run.

        Args:
            steps: how many it has.
            element: a typical element of x; 0 where all activations are.

        Raises:
            FeatflowError: when the settings do not fit m.
        """
        ...

    def start_at(self, offset: Tensor) -> None:
        """Begin with this decoder bias (n,)."""
        ...

    def learn(
        self, x: Tensor, step: int, learning_rate: float, dead: Callable[[], Tensor]
    ) -> StepRecord:
        """Step number `step` (from 1 on) of the optimiser, on a batch.

        Args:
            x: (B, n).
            step: its number.
            learning_rate: of this step.
            dead: gives the features that have been silent for too long, (k,) int64.
        """
        ...

    @property
    def state(self) -> dict[str, Tensor]:
        """The tensors that a checkpoint must hold; writing into them restores it."""
        ...

    @property
    def notes(self) -> dict[str, Any]:
        """The rest that a checkpoint must hold, as JSON."""
        ...

    def restore(self, state: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Go on from a `state` and its `notes`."""
        ...

    @property
    def silence(self) -> float:
        """A feature silent for this share of the run is dead."""
        ...

    @property
    def resampling(self) -> Resampling | None:
        """How the loop revives the dead; None: not at all, or `learn` has a remedy of its own."""
        ...

    @property
    def settled(self) -> bool:
        """Whether as many features fire as are to: before that, none is revived."""
        ...

    def reconstruct(self, x: Tensor) -> Tensor:
        """x̂ (B, n)."""
        ...

    def revive(self, dead: Tensor, inputs: Tensor) -> None:
        """Point the features `dead` (k,) at `inputs` (k, n), their optimiser's state made new."""
        ...

    def complaint(self) -> str | None:
        """What the end of training leaves to be wished for, in a sentence for the log."""
        ...

    def remedies(self) -> list[str]:
        """Settings of its own to change where training diverges, in words."""
        ...

    def dictionary(self, scale: float) -> Dictionary:
        """What it has learnt, for activations x, when training saw x · scale."""
        ...


def autoencoder(settings: Sae, width: int, seed: int, device: torch.device) -> Autoencoder:
    """A new autoencoder of the settings' kind."""
    made: Autoencoder = _module(settings.kind).Autoencoder(settings, width, seed, device)
    return made


def dictionaries() -> dict[str, type[Dictionary]]:
    """The classes of all architectures' dictionaries, by what SAELens calls the architecture."""
    kinds = [get_args(c.model_fields["kind"].annotation)[0] for c in get_args(get_args(Sae)[0])]
    classes = [
        member
        for kind in kinds
        for _, member in inspect.getmembers(_module(kind), inspect.isclass)
        if issubclass(member, Dictionary) and member is not Dictionary
    ]
    return {each.architecture: each for each in classes}


def _module(kind: str) -> Any:
    return import_module(f"featflow.saes.architectures.{kind}")
