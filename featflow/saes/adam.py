"""Adam with a step counter a row, so that a revived feature starts its moments afresh.

Each row of a weight matrix belongs to one feature. Under a shared counter the first steps of a
revived feature would be ten times too large: its second moment is young, its bias correction old.
On the CPU one sweep reads and writes each number once (numba); elsewhere torch's own operations.
"""

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

EPSILON = 1e-8


class Moments(NamedTuple):
    """Adam's state for a matrix of rows."""

    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, weight: Tensor) -> "Moments":
        """No steps taken yet."""
        return cls(torch.zeros_like(weight), torch.zeros_like(weight))


class Rule(NamedTuple):
    """The settings of one step."""

    learning_rate: float
    betas: tuple[float, float]
    scale: float = 1.0
    """What the gradient is multiplied by before anything else."""


def update_rows(
    weight: Tensor,
    gradient: Tensor,
    moments: Moments,
    steps: Tensor,
    rule: Rule,
    unit: bool = False,
) -> None:
    """One step of Adam on every row, in place.

    Args:
        weight: (rows, n) float32.
        gradient: (rows, n) float32.
        moments: of the same shape.
        steps: (rows,) int64, the steps each row has taken, this one included.
        rule: learning rate, betas and the gradient's scale.
        unit: rows have unit norm: remove the gradient's component along each before the step, and
            normalise after it (Bricken et al. 2023).
    """
    if weight.device.type == "cpu":
        w, g, first, second, t = (x.numpy() for x in (weight, gradient, *moments, steps))
        beta1, beta2 = rule.betas
        rates = (rule.learning_rate / (1 - beta1**t)).astype(np.float32)
        corrections = (1 / (1 - beta2**t)).astype(np.float32)
        along = (gradient * weight).sum(1).numpy() if unit else np.zeros(len(w), np.float32)
        _sweep(w, g, first, second, along, rates, corrections, beta1, beta2, rule.scale)
        if unit:
            weight.div_(weight.norm(dim=1, keepdim=True))
    else:
        update_rows_torch(weight, gradient, moments, steps, rule, unit)


def update_rows_torch(
    weight: Tensor,
    gradient: Tensor,
    moments: Moments,
    steps: Tensor,
    rule: Rule,
    unit: bool = False,
) -> None:
    """The same as `update_rows` in torch's operations, for any device."""
    if unit:
        gradient = gradient - (gradient * weight).sum(1, keepdim=True) * weight
    gradient = gradient * rule.scale
    beta1, beta2 = rule.betas
    moments.first.lerp_(gradient, 1 - beta1)
    moments.second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    rows = steps.double()[:, None]
    size = (moments.second / (1 - beta2**rows).float()).sqrt_().add_(EPSILON)
    weight.sub_(moments.first * (rule.learning_rate / (1 - beta1**rows)).float() / size)
    if unit:
        weight.div_(weight.norm(dim=1, keepdim=True))


# No fastmath: what it allows is decided differently in code that was just compiled and in the same
# code out of numba's cache, and a run would not repeat to the bit.
@numba.njit(parallel=True, cache=True, error_model="numpy")
def _sweep(w, g, first, second, along, rates, corrections, beta1, beta2, scale):
    b1, b2, eps = np.float32(beta1), np.float32(beta2), np.float32(EPSILON)
    c1, c2, factor = np.float32(1 - beta1), np.float32(1 - beta2), np.float32(scale)
    for i in numba.prange(w.shape[0]):
        rate, correction, component = rates[i], corrections[i], along[i]
        for k in range(w.shape[1]):
            slope = (g[i, k] - component * w[i, k]) * factor
            first[i, k] = b1 * first[i, k] + c1 * slope
            second[i, k] = b2 * second[i, k] + c2 * slope * slope
            w[i, k] -= rate * first[i, k] / (np.sqrt(second[i, k] * correction) + eps)


def match_threads() -> None:
    """Let numba use as many threads as torch does.

    Both share one OpenMP runtime, and numba, when it first starts, gives it all cores: torch's
    number is set again.
    """
    threads = torch.get_num_threads()
    available = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, available))
    torch.set_num_threads(threads)
