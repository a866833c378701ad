"""Adam with a step counter a row, so that a revived feature starts its moments afresh.

Each row of a weight matrix belongs to one feature. Under a shared counter the first steps of a
revived feature would be ten times too large: its second moment is young, its bias correction old.
On the CPU one sweep reads and writes each number once (numba), rounding to the products' dtype in
passing; elsewhere torch's own operations, which torch.compile fuses into as few sweeps.
"""

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from featflow.saes.fused import Fused

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


class Pace(NamedTuple):
    """The bias corrections of the rows' own counters, (rows,) float32 each."""

    rates: Tensor
    """The learning rate over 1 − β₁ᵗ."""
    corrections: Tensor
    """1 over 1 − β₂ᵗ."""

    @classmethod
    def of(cls, steps: Tensor, rule: Rule) -> "Pace":
        """Args: the steps each row has taken, this one included: (rows,) int64; the rule."""
        beta1, beta2 = rule.betas
        if steps.device.type == "cpu":
            t = steps.numpy()
            rates, corrections = rule.learning_rate / (1 - beta1**t), 1 / (1 - beta2**t)
            return cls(*(torch.from_numpy(x.astype(np.float32)) for x in (rates, corrections)))
        rows = steps.double()
        return cls(
            (rule.learning_rate / (1 - beta1**rows)).float(), (1 / (1 - beta2**rows)).float()
        )


def update_rows(
    weight: Tensor,
    gradient: Tensor,
    moments: Moments,
    pace: Pace,
    rule: Rule,
    unit: bool = False,
    copy: Tensor | None = None,
) -> None:
    """One step of Adam on every row, in place.

    Args:
        weight: (rows, n) float32.
        gradient: (rows, n) float32 (elsewhere than on the CPU: bfloat16, too).
        moments: of the same shape.
        pace: the rows' bias corrections.
        rule: betas and the gradient's scale (the learning rate is in the pace).
        unit: rows have unit norm: remove the gradient's component along each before the step, and
            normalise after it (Bricken et al. 2023).
        copy: (rows, n) bfloat16, comes out as the new weight, rounded (None: none is wanted).
    """
    if weight.device.type != "cpu":
        update_rows_torch(weight, gradient, moments, pace, rule, unit, copy)
        return
    w, g, first, second, rates, corrections = (
        x.numpy() for x in (weight, gradient, *moments, *pace)
    )
    rounded = weight[:0].view(torch.int32) if copy is None else copy.view(torch.int16)
    bits, out, (beta1, beta2) = weight.view(torch.int32).numpy(), rounded.numpy(), rule.betas
    _sweep(
        w, g, first, second, rates, corrections, beta1, beta2, rule.scale, unit, bits, out
    )  # fmt: skip


def update_rows_torch(
    weight: Tensor,
    gradient: Tensor,
    moments: Moments,
    pace: Pace,
    rule: Rule,
    unit: bool = False,
    copy: Tensor | None = None,
) -> None:
    """The same as `update_rows` in torch's operations, for any device."""
    _fused(weight, gradient, *moments, *pace, *rule.betas, rule.scale, unit, copy)


def _in_torch(weight, gradient, first, second, rates, corrections, b1, b2, scale, unit, copy):
    gradient = gradient.float()
    if unit:
        gradient = gradient - (gradient * weight).sum(1, keepdim=True) * weight
    gradient = gradient * scale
    first.lerp_(gradient, 1 - b1)
    second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
    size = (second * corrections[:, None]).sqrt() + EPSILON
    weight.sub_(first * rates[:, None] / size)
    if unit:
        weight.div_(weight.norm(dim=1, keepdim=True))
    if copy is not None:
        copy.copy_(weight)


_fused = Fused(_in_torch)


# No fastmath: what it allows is decided differently in code that was just compiled and in the same
# code out of numba's cache, and a run would not repeat to the bit.
@numba.njit(parallel=True, cache=True, error_model="numpy")
def _sweep(w, g, first, second, rates, corrections, beta1, beta2, scale, unit, bits, copy):
    b1, b2, eps = np.float32(beta1), np.float32(beta2), np.float32(EPSILON)
    c1, c2, factor = np.float32(1 - beta1), np.float32(1 - beta2), np.float32(scale)
    for i in numba.prange(w.shape[0]):
        rate, correction = rates[i], corrections[i]
        component = _dot(g[i], w[i]) if unit else np.float32(0)
        for k in range(w.shape[1]):
            slope = (g[i, k] - component * w[i, k]) * factor
            first[i, k] = b1 * first[i, k] + c1 * slope
            second[i, k] = b2 * second[i, k] + c2 * slope * slope
            w[i, k] -= rate * first[i, k] / (np.sqrt(second[i, k] * correction) + eps)
        if unit:
            norm = np.sqrt(_dot(w[i], w[i]))
            for k in range(w.shape[1]):
                w[i, k] /= norm
        if len(copy):
            _round(bits[i], copy[i])


@numba.njit(inline="always", error_model="numpy")
def _dot(a, b):
    """a · b in eight sums side by side: the order is fixed, and the processor need not wait."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0)
    eights = len(a) // 8 * 8
    for k in range(0, eights, 8):
        s0 += a[k] * b[k]
        s1 += a[k + 1] * b[k + 1]
        s2 += a[k + 2] * b[k + 2]
        s3 += a[k + 3] * b[k + 3]
        s4 += a[k + 4] * b[k + 4]
        s5 += a[k + 5] * b[k + 5]
        s6 += a[k + 6] * b[k + 6]
        s7 += a[k + 7] * b[k + 7]
    for k in range(eights, len(a)):
        s0 += a[k] * b[k]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@numba.njit(inline="always")
def _round(bits, out):
    """The bits of float32 numbers to those of the nearest bfloat16 ones, ties to even, as torch."""
    for k in range(len(bits)):
        number = bits[k]
        if (number & np.int32(0x7FFFFFFF)) > np.int32(0x7F800000):
            out[k] = np.int16(0x7FC0)  # not a number
        else:
            out[k] = (number + np.int32(0x7FFF) + ((number >> 16) & np.int32(1))) >> 16


def match_threads() -> None:
    """Let numba use as many threads as torch does.

    Both share one OpenMP runtime, and numba, when it first starts, gives it all cores: torch's
    number is set again.
    """
    threads = torch.get_num_threads()
    available = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, available))
    torch.set_num_threads(threads)
