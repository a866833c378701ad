"""Explained loss: how much of what a model's activations do for its loss an SAE's output does."""

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
