"""The passes between the dense products of a training step: one sweep each where they are fused.

Shapes: B tokens, m features.
"""

import torch
from torch import Tensor

from featflow.saes.fused import Fused


def _count(pre: Tensor) -> Tensor:
    return (pre > 0).sum()


def _activate(pre: Tensor) -> Tensor:
    return pre.relu_().sum(0)


def _mask(slopes: Tensor, codes: Tensor, shrink: Tensor) -> Tensor:
    slopes.add_(shrink)
    torch.ops.aten.threshold_backward.grad_input(slopes, codes, 0, grad_input=slopes)
    return slopes.sum(0)


count = Fused(_count)
"""How many of the pre-activations (B, m) are positive: () int64."""

activate = Fused(_activate)
"""Make codes of pre-activations (B, m), in place; their sums over tokens: (m,)."""

mask = Fused(_mask)
"""Add the penalty's share () to the slopes (B, m) of active pairs, in place, and make the others 0;
the sums over tokens: (m,). Args: the slopes, the codes (B, m), the share."""
