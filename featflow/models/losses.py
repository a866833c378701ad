"""Next-token cross-entropy from hidden states, a few rows of logits at a time.

The logits of a small model are most of its memory and, with a loss computed apart from them, most
of its time. Here a chunk of rows goes from logits to gradients while it is in the cache, and the
whole matrix of logits never exists. In the formulas h_NH are hidden states, w_VH the output
embeddings, p_NV = softmax(h wᵀ), and 1_NV the targets as one-hot rows:

    loss = −mean_n ln p[n, target_n],   ∂loss/∂h = (p − 1) w / N,   ∂loss/∂w = (p − 1)ᵀ h / N
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy

CHUNK_BYTES = {"cpu": 2**23, "cuda": 2**28}
"""Logits held at a time: what a CPU's caches hold, and what keeps a GPU busy."""

LEAST, LEAST_TRAINED = 512, 1024
"""Rows of a chunk at least: each reads all embeddings; in training it adds to all their gradients,
too."""

SMALLEST = torch.finfo(torch.float32).tiny
"""A probability that underflows counts as this, so that one token's loss is at most 87 nats."""


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradients are computed in the forward pass, where the logits are."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype):
        """Args: hidden (N, H); weight (V, H); targets (N,); dtype: that of the products."""
        count = len(targets)
        h, w = hidden.to(dtype), weight.to(dtype)
        grad_hidden, grad_weight = torch.empty_like(h), torch.zeros_like(weight)
        loss = torch.zeros((), device=hidden.device, dtype=torch.float32)
        size = _chunk(w, LEAST_TRAINED)
        logits = torch.empty(min(size, count), len(w), dtype=dtype, device=hidden.device)
        of_chunk = torch.empty_like(w)
        each = torch.arange(count, device=hidden.device)
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            p = torch.mm(h[rows], w.T, out=logits[: rows.stop - start])
            torch.softmax(p, -1, out=p)
            place = each[: len(p)], targets[rows]
            right = p[place]
            loss -= right.float().clamp_min(SMALLEST).log().sum()
            p[place] = right - 1
            torch.mm(p, w, out=grad_hidden[rows])
            grad_weight += torch.mm(p.T, h[rows], out=of_chunk)
        ctx.gradients = grad_hidden.div_(count).to(hidden.dtype), grad_weight.div_(count)
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor):
        grad_hidden, grad_weight = ctx.gradients
        del ctx.gradients  # they are given away, not copied
        return grad_hidden.mul_(grads[0]), grad_weight.mul_(grads[0]), None, None


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Mean cross-entropy of hidden (N, H) times weight (V, H) against targets (N,), in nats.

    Differentiable in `hidden` and `weight`, once. The products are made in `dtype`; the loss and
    the sum of the weight's gradient over chunks are float32.
    """
    return _LinearCrossEntropy.apply(hidden, weight, targets, dtype)


class Score(NamedTuple):
    """Sums over N predictions, as scalars on the device."""

    loss: Tensor
    right: Tensor


@torch.no_grad()
def score(hidden: Tensor, weight: Tensor, targets: Tensor) -> Score:
    """How much cross-entropy there is, and how often the largest logit is the target's.

    Args: hidden (N, H), weight (V, H), of one dtype; targets (N,).
    """
    loss = torch.zeros((), device=hidden.device, dtype=torch.float64)
    right = torch.zeros((), device=hidden.device, dtype=torch.int64)
    size = _chunk(weight, LEAST)
    logits = hidden.new_empty(min(size, len(hidden)), len(weight))
    for h, target in zip(hidden.split(size), targets.split(size), strict=True):
        of_these = torch.mm(h, weight.T, out=logits[: len(h)])
        loss += cross_entropy(of_these, target, reduction="sum")
        right += _right(of_these, target)
    return Score(loss, right)


def _right(logits: Tensor, targets: Tensor) -> Tensor:
    """How often a row's argmax (the first, of equals) is its target. The targets are overwritten.

    By the largest of the others, which takes a CPU a tenth of the time of an argmax.
    """
    place = torch.arange(len(targets), device=targets.device), targets
    own = logits[place]
    logits[place] = -torch.inf
    others = logits.amax(-1)
    right = own > others
    ties = own == others
    if ties.any():
        right[ties] = targets[ties] < logits[ties].argmax(-1)
    return right.sum()


def _chunk(weight: Tensor, least: int) -> int:
    """Rows of logits that are held at a time."""
    limit = CHUNK_BYTES.get(weight.device.type, 2**28)
    return max(least, limit // (len(weight) * weight.element_size()))
