"""The weights of a model folder as they are stored, read one at a time."""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from featflow.artifacts.io import readable
from featflow.config.errors import FeatflowError

WEIGHTS = "model.safetensors"

TRAIN_AGAIN = "the model's training went wrong: look at its training.parquet and train it again"


class Weights:
    """An open safetensors file: the shapes of its weights by name; `[name]` reads one of them.

    Tied weights are in such a file once.
    """

    def __init__(self, path: Path, remedy: str = TRAIN_AGAIN):
        """Open a file; the remedy is what to do where a weight is not finite.

        Raises:
            ArtifactError: when the file is missing, truncated or no safetensors.
        """
        self.path, self._remedy = path, remedy
        with readable(path):
            self._file = safe_open(path, framework="pt")
            slices = {name: self._file.get_slice(name) for name in sorted(self._file.keys())}
        self.shapes = {name: tuple(found.get_shape()) for name, found in slices.items()}

    def __getitem__(self, name: str) -> Tensor:
        """A weight in its stored dtype.

        Raises:
            FeatflowError: when it is not finite.
        """
        with readable(self.path):
            weight = self._file.get_tensor(name)
        check_finite(weight, name, self.path, self._remedy)
        return weight


def check_finite(weight: Tensor, name: str, path: Path, remedy: str = TRAIN_AGAIN) -> None:
    """Raise FeatflowError if a weight of a file is NaN or infinite anywhere."""
    if not torch.isfinite(weight).all():
        raise FeatflowError(
            f"{path}: {name} has weights that are not finite (NaN or infinite); {remedy}"
        )
