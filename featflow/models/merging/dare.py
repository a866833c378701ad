"""DARE: drop entries of the differences from a base at random, and rescale the rest (Yu et al.
2024, section 3.2, equations 2 to 4, arXiv 2311.03099).

For each parent and entry m ~ Bernoulli(density), δ̂ = m δ / density, and then, as task arithmetic,

    merged = θ_base + λ Σ_i w_i δ̂_i      normalised: the sum divided by Σ_i w_i

or, with `signs`, over the parents of the elected sign alone, as in TIES. The draws are mergekit's
(`dare_linear`, `dare_ties`) where its generator is in the same state at this weight; here that is
a function of the seed and the weight's name, so that no other weight counts. mergekit 0.1.5
rescales otherwise than the paper, so that each difference keeps its L1 norm within the weight:
`rescale: norm`. The two agree as the weight grows.
"""

import torch
from torch import Tensor

from featflow.config.merging import Dare
from featflow.models.merging import Merged, Weight
from featflow.models.task_vectors import SMALLEST, combined, conflicts, differences, mean_cosine
from featflow.plan.slicer import seed_from


def merge(weight: Weight, settings: Dare) -> Merged:
    """Drop, rescale, and add to the base.

    Facts: `cosine` between the whole differences, the mean over pairs (null where one is zero),
    `kept`, the share of each difference's entries that was drawn, and `conflicts`, the share of
    entries kept of two parents or more whose signs differ (null where there are none).
    """
    deltas = differences(weight)
    cosine, kept = mean_cosine(deltas), []
    generator = torch.Generator().manual_seed(seed_from("dare", settings.seed, weight.name))
    for i, delta in enumerate(deltas):
        mask = drawn(delta.shape, settings.density, generator)
        kept.append(float(mask.mean()))
        deltas[i] = rescaled(delta, delta * mask, settings)
    facts = {"cosine": cosine, "kept": kept, "conflicts": conflicts(deltas)}
    return Merged(combined(weight, deltas, settings, elect=settings.signs), facts)


def drawn(shape: torch.Size, density: float, generator: torch.Generator) -> Tensor:
    """Ones and zeros of a shape, each a one with probability `density`; no draw at density 1."""
    if density == 1:
        return torch.ones(shape)
    return torch.bernoulli(torch.full(shape, density), generator=generator)


def rescaled(whole: Tensor, kept: Tensor, settings: Dare) -> Tensor:
    """What is kept of a difference, made up for what was dropped."""
    if settings.rescale == "density":
        return kept / settings.density
    before, after = whole.abs().sum(), kept.abs().sum()
    if settings.rescale is None or min(before, after) < SMALLEST:
        return kept
    return kept * (before / after)
