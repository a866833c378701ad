"""What merge methods share: the parents' differences from a base ("task vectors"), and their sum.

Shapes: P parents; a weight has n entries, in any shape.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from featflow.config.merging import Dare, TaskArithmetic, Ties, Weighted
from featflow.models.merging import Weight

SMALLEST = 1e-8
"""A sum of weights, or a norm, that counts as zero: nothing is divided by it."""


def working(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors in float32, or in float64 where the first one is."""
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    return [tensor.to(dtype) for tensor in tensors]


def factors(settings: Weighted, parents: int) -> list[float]:
    """The weight of each parent."""
    return settings.weights or [1.0] * parents


def differences(weight: Weight) -> Tensor:
    """Each parent minus the base: (P, *shape), float32 or float64."""
    assert weight.base is not None, "the merge stage gives task vectors their base"
    *parents, base = working([*weight.parents, weight.base])
    return torch.stack([parent - base for parent in parents])


def combined(
    weight: Weight, deltas: Tensor, settings: TaskArithmetic | Ties | Dare, elect: bool
) -> Tensor:
    """The base plus the weighted sum of differences, in the first parent's dtype.

    Args:
        weight: the parents' and the base's.
        deltas: (P, *shape), what is left of the differences; overwritten.
        settings: the parents' weights, `normalize` and `scale`.
        elect: leave out, entry by entry, the parents whose sign is not that of the sum (+ where it
            is 0), and those whose difference is 0.
    """
    share = torch.tensor(factors(settings, len(deltas)), dtype=deltas.dtype)
    share = share.view(-1, *[1] * (deltas.ndim - 1))
    deltas *= share
    if elect:
        elected = torch.where(deltas.sum(0) >= 0, 1.0, -1.0)
        agreeing = deltas.sign() == elected
        deltas *= agreeing
        divisor = (share * agreeing).sum(0)
    else:
        divisor = share.sum(0)
    total = deltas.sum(0)
    if settings.normalize:
        total /= torch.where(divisor.abs() < SMALLEST, 1, divisor)
    assert weight.base is not None
    return (weight.base.to(total.dtype) + settings.scale * total).to(weight.parents[0].dtype)


def trimmed(delta: Tensor, density: float) -> Tensor:
    """The ⌊density · n⌋ entries of largest magnitude, at least one, of equal ones the first; the
    others as zeros."""
    if density == 1:
        return delta
    size = delta.abs().flatten()
    keep = max(1, int(density * len(size)))
    threshold = size.kthvalue(len(size) - keep + 1).values
    mask = size > threshold
    equal = (size == threshold).nonzero().flatten()
    mask[equal[: keep - int(mask.sum())]] = True
    return delta * mask.view_as(delta)


def conflicts(deltas: Tensor) -> float | None:
    """Of the entries that are not zero in two differences (P, *shape) or more, the share in which
    their signs differ."""
    positive, negative = (deltas > 0).sum(0), (deltas < 0).sum(0)
    shared = int((positive + negative > 1).sum())
    return int(((positive > 0) & (negative > 0)).sum()) / shared if shared else None


def mean_cosine(vectors: Sequence[Tensor] | Tensor) -> float | None:
    """The mean cosine over pairs of tensors, each one long vector; None where one is zero."""
    flat = [vector.flatten() for vector in vectors]
    norms = [float(torch.linalg.vector_norm(vector, dtype=torch.float64)) for vector in flat]
    if min(norms) == 0 or len(flat) < 2:
        return None
    pairs = list(combinations(range(len(flat)), 2))
    found = [float(flat[i].double() @ flat[j].double()) / norms[i] / norms[j] for i, j in pairs]
    return sum(found) / len(found)


def relative_norms(weight: Weight, deltas: Tensor) -> list[float] | None:
    """The norm of each difference over the base's; None where that is zero."""
    assert weight.base is not None
    base = float(torch.linalg.vector_norm(weight.base, dtype=torch.float64))
    norms = [float(torch.linalg.vector_norm(delta, dtype=torch.float64)) for delta in deltas]
    return [norm / base for norm in norms] if base else None
