"""Where training starts: the scale of the activations, which of them are outliers, and the decoder
bias at their median.

Shapes: N sampled vectors, n inputs.
"""

import math

from torch import Tensor

from featflow.runtime.log import log

SMALLEST = 1e-30
"""Of an element: its inverse is still far from float32's largest number."""

SAMPLED = 65_536
"""Vectors in the sample."""


def typical_element(norms: Tensor, width: int) -> float:
    """median‖x‖ / √n of vectors with these norms (N,) and n numbers: its inverse is the scale
    `unit`. (A median, since a few vectors may be a thousand times as long as the others.)"""
    return _typical(norms) / math.sqrt(width)


def longest_row(norms: Tensor, outliers: float | None) -> float:
    """The norm above which a vector is an outlier: so many medians of norms (N,); None: none is."""
    typical = _typical(norms)
    return math.inf if outliers is None or not typical else outliers * typical


def _typical(norms: Tensor) -> float:
    """The median of those that are not 0; 0 where all are."""
    there = norms[norms > 0]
    return float(there.double().median()) if len(there) else 0.0


def unit_scale(element: float) -> float:
    """What activations are multiplied by to have typical elements of 1.

    Args:
        element: a typical element as it is.

    Returns:
        Its inverse; 1 where it is 0, or so small that nothing but rounding would be made large.
    """
    if element > SMALLEST:
        return 1 / element
    log.warning(
        "the activations at the hook are all zero: this SAE learns nothing, every feature "
        "of it will be silent"
    )
    return 1.0


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
