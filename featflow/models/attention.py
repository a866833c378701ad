"""A bridged model's own attention, in place of the one that TransformerLens computes step by step.

Its steps can be hooked, and cost a (B, heads, L, L) tensor and a pass over it each. Where the hook
that is asked for is none of them, transformers' fused kernel gives the same numbers, to rounding,
in a part of the time and of the memory.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-3
"""Of the largest activation: roundings differ by about 1e-6, other functions by far more."""


def use_own(bridge: Any, implementation: str, sample: Callable[[], Tensor | None]) -> bool:
    """Let the model compute its attention, if that changes nothing at the hook.

    Args:
        bridge: a TransformerBridge.
        implementation: of attention, that transformers had chosen for this model. With "eager" it
            would take the same steps itself.
        sample: activations at the hook on some tokens; None where the hook is not passed.

    Returns:
        Whether it does now.
    """
    from transformer_lens.model_bridge.generalized_components import (
        AttentionBridge,
        PositionEmbeddingsAttentionBridge,
    )

    stepwise = [m for m in bridge.modules() if type(m) is PositionEmbeddingsAttentionBridge]
    if implementation == "eager" or not stepwise or (expected := sample()) is None:
        return False
    config = bridge.original_model.config
    before = config._attn_implementation
    config._attn_implementation = implementation
    for module in stepwise:  # not by setattr, which a bridge hands on to the model's own module
        vars(module)["forward"] = MethodType(AttentionBridge.forward, module)
    if _equal(sample(), expected):
        return True
    config._attn_implementation = before
    for module in stepwise:
        del vars(module)["forward"]
    return False


def _equal(found: Tensor | None, expected: Tensor) -> bool:
    """Whether two samples differ by no more than rounding. (A model that is no good has NaNs.)"""
    if found is None or found.shape != expected.shape:
        return False
    limit = TOLERANCE * float(expected.abs().max())
    return torch.allclose(found, expected, rtol=0, atol=limit, equal_nan=True)
