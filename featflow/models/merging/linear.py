"""A weighted sum of the parents' weights (Wortsman et al. 2022, "model soups", arXiv 2203.05482).

    merged = Σ_i w_i θ_i      normalised: divided by Σ_i w_i

With every w_i equal it is the paper's uniform soup (its section 2), and mergekit's `linear`.
"""

import torch

from featflow.config.merging import Linear
from featflow.models.merging import Merged, Weight
from featflow.models.task_vectors import factors, mean_cosine, working


def merge(weight: Weight, settings: Linear) -> Merged:
    """Sum up the parents' weights.

    Facts: `cosine` between the parents' weights, the mean over pairs (null where one is zero).
    """
    tensors = working(weight.parents)
    share = factors(settings, len(tensors))
    if settings.normalize:
        share = [factor / sum(share) for factor in share]
    total = torch.zeros_like(tensors[0])
    for tensor, factor in zip(tensors, share, strict=True):
        total.add_(tensor, alpha=factor)
    return Merged(total.to(weight.parents[0].dtype), {"cosine": mean_cosine(tensors)})
