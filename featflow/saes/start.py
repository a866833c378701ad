"""Where training starts: the scale of the activations, which of them are outliers, and the decoder
bias at their median.

Shapes: N sampled vectors, n inputs.
"""

import math

from torch import Tensor

SAMPLED = 65_536
"""Vectors in the sample."""


def typical_element(norms: Tensor, width: int) -> float:
    """median‖x‖ / √n of vectors with these norms (N,) and n numbers: its inverse is the scale
    `unit`. (A median, since a few vectors may be a thousand times as long as the others.)"""
    return float(norms.double().median()) / math.sqrt(width)


def longest_row(norms: Tensor, outliers: float | None) -> float:
    """The norm above which a vector is an outlier: so many medians of norms (N,); None: none is."""
    return math.inf if outliers is None else outliers * float(norms.double().median())


def geometric_median(x: Tensor, iterations: int = 100, tolerance: float = 1e-6) -> Tensor:
    """The point (n,) of least summed distance to x (N, n), by Weiszfeld's algorithm.

    Args:
        x: the vectors.
        iterations: at most this many.
        tolerance: end when a step is smaller than this share of the vectors' mean distance.
    """
    median = x.mean(0)
    for _ in range(iterations):
        distance = (x - median).norm(dim=1)
        weights = 1 / distance.clamp_min(1e-9 * float(distance.mean()) + 1e-30)
        moved = (weights @ x) / weights.sum()
        step = float((moved - median).norm())
        median = moved
        if step <= tolerance * float(distance.mean()):
            break
    return median
