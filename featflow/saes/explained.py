"""Explained loss: how much of what a model's activations do for its loss an SAE's output does."""

from collections.abc import Mapping, Sequence
from typing import Any

LEAST_GAP = 0.05
"""Nats that the LM's loss must rise when its activations are zeroed, for explained loss to mean
something: below, it is a ratio to nearly nothing, or to less than nothing."""


def explained_loss(zero: float | None, sae: float | None, clean: float | None) -> float | None:
    """(L_zero − L_sae) / (L_zero − L_clean), of mean losses in nats a token.

    Returns:
        None where the LM hardly does worse without these activations, or predicts nothing.
    """
    if zero is None or sae is None or clean is None or not zero - clean >= LEAST_GAP:
        return None
    return (zero - sae) / (zero - clean)


def over_corpora(parts: Sequence[Mapping[str, Any]]) -> float | None:
    """The same over some corpora, each with its tokens.

    Args:
        parts: of metrics.json, those of `corpora`.
    """
    total = sum(part["tokens"] for part in parts)
    if not total or any(part["loss_clean"] is None for part in parts):
        return None
    zero, sae, clean = (
        sum(part["tokens"] * part[f"loss_{what}"] for part in parts) / total
        for what in ("zero", "sae", "clean")
    )
    return explained_loss(zero, sae, clean)
