"""From hidden states to logits. Most models multiply by the output embeddings, and that is all.

Those need no logits in memory (models/losses.py). Others add a bias (Phi), scale (Cohere, Granite)
or cap (Gemma 2) the logits; what they do is asked of the model itself.
"""

from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from featflow.models.losses import Score

TOLERANCE = 1e-5
"""Of the largest logit: what two ways to the same product may differ by in float32."""

LOGIT_BYTES = 2**29
"""Logits of a forward pass, where they cannot be done without."""

_known: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def parts(model: PreTrainedModel) -> tuple[torch.nn.Module, Parameter]:
    """The body, from ids (B, L) to hidden states (B, L, H), and the output embeddings (V, H)."""
    return model.base_model, model.get_output_embeddings().weight  # type: ignore[union-attr,return-value]


@torch.no_grad()
def multiplies(model: PreTrainedModel) -> bool:
    """Whether logits are hidden states times output embeddings, as seen on a few tokens."""
    if model not in _known:
        training = model.training
        model.eval()  # no dropout: the two passes must see the same hidden states
        body, head = parts(model)
        ids = torch.arange(min(16, len(head)), device=head.device)[None]
        logits = model(input_ids=ids, use_cache=False).logits
        product = body(input_ids=ids, use_cache=False).last_hidden_state @ head.T
        model.train(training)
        _known[model] = logits.shape == product.shape and bool(
            (logits - product).abs().max() <= TOLERANCE * logits.abs().max()
        )
    return _known[model]


def token_losses(model: PreTrainedModel, ids: Tensor) -> tuple[Tensor, Tensor]:
    """From the model's own logits for ids (B, L): the next-token losses (nats) and whether the
    argmax is right, both (B · (L − 1),)."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1).float()
    targets = ids[:, 1:].flatten()
    return cross_entropy(logits, targets, reduction="none"), logits.argmax(-1) == targets


def score(model: PreTrainedModel, ids: Tensor) -> Score:
    """Sums over the next-token predictions of ids (B, L), from the model's own logits."""
    size = max(1, LOGIT_BYTES // (4 * ids.shape[1] * len(parts(model)[1])))
    found = [token_losses(model, some) for some in ids.split(size)]
    loss = torch.stack([losses.sum(dtype=torch.float64) for losses, _ in found]).sum()
    return Score(loss, torch.stack([right.sum() for _, right in found]).sum())
