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


class Step(NamedTuple):
    """The settings of one step."""

    learning_rate: float
    betas: tuple[float, float]
    scale: float = 1.0
    """What the gradient is multiplied by before anything else."""


def update_rows(
    weight: Tensor, gradient: Tensor, moments: Moments, steps: Tensor, step: Step, unit: bool = False
) -> None:
    """One step of Adam on every row, in place.

    Args:
        weight: (rows, n) float32.
        gradient: (rows, n) float32.
        moments: of the same shape.
        steps: (rows,) int64, the steps each row has taken, this one included.
        step: learning rate, betas and the gradient's scale.
        unit: rows have unit norm: remove the gradient's component along each before the step, and
            normalise after it (Bricken et al. 2023).
    """
    if weight.device.type == "cpu":
        arrays = [each.numpy() for each in (weight, gradient, *moments, steps)]
        _sweep(*arrays, step.learning_rate, *step.betas, step.scale, unit)
    else:
        update_rows_torch(weight, gradient, moments, steps, step, unit)


def update_rows_torch(
    weight: Tensor, gradient: Tensor, moments: Moments, steps: Tensor, step: Step, unit: bool = False
) -> None:
    """The same as `update_rows` in torch's operations, for any device."""
    if unit:
        along = (gradient * weight).sum(1, keepdim=True)
        gradient = gradient - along * weight
    beta1, beta2 = step.betas
    moments.first.lerp_(gradient * step.scale, 1 - beta1)
    moments.second.mul_(beta2).add_((gradient * step.scale).square_(), alpha=1 - beta2)
    rows = steps.double()
    correction1 = (1 - beta1**rows).float()[:, None]
    correction2 = (1 - beta2**rows).float()[:, None]
    size = (moments.second / correction2).sqrt_().add_(EPSILON)
    weight.sub_(moments.first / correction1 / size * step.learning_rate)
    if unit:
        weight.div_(weight.norm(dim=1, keepdim=True))


@numba.njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _sweep(w, g, first, second, steps, learning_rate, beta1, beta2, scale, unit):
    rows, n = w.shape
    b1, b2, eps = np.float32(beta1), np.float32(beta2), np.float32(EPSILON)
    c1, c2 = np.float32(1 - beta1), np.float32(1 - beta2)
    for i in numba.prange(rows):
        rate = np.float32(learning_rate / (1 - beta1 ** steps[i]))
        correction = np.float32(1 / (1 - beta2 ** steps[i]))
        along, norm = np.float32(0), np.float32(0)
        if unit:
            for k in range(n):
                along += g[i, k] * w[i, k]
        for k in range(n):
            slope = (g[i, k] - along * w[i, k]) * np.float32(scale)
            first[i, k] = b1 * first[i, k] + c1 * slope
            second[i, k] = b2 * second[i, k] + c2 * slope * slope
            w[i, k] -= rate * first[i, k] / (np.sqrt(second[i, k] * correction) + eps)
            norm += w[i, k] * w[i, k]
        if unit:
            shrink = np.float32(1) / np.sqrt(norm)
            for k in range(n):
                w[i, k] *= shrink


def count_positive(values: Tensor) -> Tensor:
    """How many numbers of each column of a non-negative (rows, m) are not zero: (m,) int64."""
    if values.device.type != "cpu":
        return (values > 0).sum(0)
    bits = values.view(torch.int16) if values.dtype == torch.bfloat16 else values
    return torch.from_numpy(_count(bits.numpy(), max(1, min(16, values.shape[0] // 64))))


@numba.njit(parallel=True, cache=True)
def _count(values, parts):
    rows, m = values.shape
    counts = np.zeros((parts, m), np.int32)
    size = (rows + parts - 1) // parts
    for part in numba.prange(parts):
        for i in range(part * size, min(rows, (part + 1) * size)):
            for j in range(m):
                counts[part, j] += values[i, j] != 0
    return counts.sum(0)


def match_threads() -> None:
    """Let numba use as many threads as torch does."""
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
