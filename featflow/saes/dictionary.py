"""A dictionary: what an SAE has learnt, as any stage after its training uses it.

An architecture has a class of its own here (saes/architectures/), which says which features fire.

Shapes: T tokens, n inputs, m features.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from featflow.saes.sparse import Codes

WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")


@dataclass(frozen=True)
class Dictionary(ABC):
    """f = activate((x − b_dec) W_enc + b_enc), x̂ = f W_dec + b_dec, on raw activations, float32."""

    W_enc: Tensor
    """(n, m)"""
    b_enc: Tensor
    """(m,)"""
    W_dec: Tensor
    """(m, n)"""
    b_dec: Tensor
    """(n,)"""
    apply_b_dec_to_input: bool = True
    longest: float = math.inf
    """The norm above which rows were left out of training: of those it says nothing."""

    architecture: ClassVar[str]
    """What SAELens calls it."""

    @property
    def width(self) -> int:
        """n."""
        return self.W_enc.shape[0]

    @property
    def features(self) -> int:
        """m."""
        return self.W_enc.shape[1]

    @property
    def settings(self) -> dict[str, Any]:
        """What cfg.json says of the architecture beside the shape."""
        return {}

    @classmethod
    def of(cls, weights: dict[str, Any], cfg: dict[str, Any], **more: Any) -> Self:
        """The dictionary of these weights, as cfg.json says.

        Raises:
            ValueError, KeyError: when cfg.json says what featflow cannot read.
        """
        return cls(**weights, **more)

    @abstractmethod
    def activate(self, pre: Tensor) -> Tensor:
        """f (…, m) of pre-activations (…, m), which it may overwrite."""

    @abstractmethod
    def codes(self, product: np.ndarray) -> Codes:
        """What fires where (x − b_dec) W_enc is `product` (T, m), which it may overwrite: the
        non-zeros of `activate`, on a CPU."""

    def outside(self, x: Tensor) -> Tensor:
        """Which rows (T,) of x (T, n) are longer than any that it was trained on.

        A row that is not finite is none of them: it is an error, which is to be seen.
        """
        norms = x.norm(dim=1)
        return (norms > self.longest) & norms.isfinite()

    def encode(self, x: Tensor) -> Tensor:
        """f (…, m) of x (…, n): SAELens's own operations, in its order."""
        if self.apply_b_dec_to_input:
            x = x - self.b_dec
        return self.activate(x @ self.W_enc + self.b_enc)

    def decode(self, f: Tensor) -> Tensor:
        """The reconstruction (…, n) of feature activations (…, m)."""
        return f @ self.W_dec + self.b_dec

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in WEIGHTS})
