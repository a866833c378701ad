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
        _sweep(w, g, first, second, t, rule.learning_rate, beta1, beta2, rule.scale, unit)
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


@numba.njit(inline="always", fastmath=True, error_model="numpy")
def _row(w, g, first, second, steps, learning_rate, beta1, beta2, scale, unit):
    """The step of one row: all arrays (n,) float32, `steps` counts this step too."""
    b1, b2, eps = np.float32(beta1), np.float32(beta2), np.float32(EPSILON)
    c1, c2, factor = np.float32(1 - beta1), np.float32(1 - beta2), np.float32(scale)
    rate = np.float32(learning_rate / (1 - beta1**steps))
    correction = np.float32(1 / (1 - beta2**steps))
    along, norm = np.float32(0), np.float32(0)
    if unit:
        for k in range(w.shape[0]):
            along += g[k] * w[k]
    for k in range(w.shape[0]):
        slope = (g[k] - along * w[k]) * factor
        first[k] = b1 * first[k] + c1 * slope
        second[k] = b2 * second[k] + c2 * slope * slope
        w[k] -= rate * first[k] / (np.sqrt(second[k] * correction) + eps)
        norm += w[k] * w[k]
    if unit:
        shrink = np.float32(1) / np.sqrt(norm)
        for k in range(w.shape[0]):
            w[k] *= shrink


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _sweep(w, g, first, second, steps, learning_rate, beta1, beta2, scale, unit):
    for i in numba.prange(w.shape[0]):
        _row(w[i], g[i], first[i], second[i], steps[i], learning_rate, beta1, beta2, scale, unit)


def match_threads() -> None:
    """Let numba use as many threads as torch does.

    Both share one OpenMP runtime, and numba, when it first starts, gives it all cores: torch's
    number is set again.
    """
    threads = torch.get_num_threads()
    available = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, available))
    torch.set_num_threads(threads)
