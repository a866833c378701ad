"""Spherical linear interpolation of a weight as one long vector (Shoemake 1985).

With ω the angle between the parents a and b,

    slerp(a, b, t) = sin((1 − t) ω) / sin ω · a + sin(t ω) / sin ω · b

The angle comes from the unit-normalised vectors, the interpolation is of the raw ones; where the
two are as good as collinear (|cos ω| > 0.9995) it is linear.
"""

import torch
from torch import Tensor

from featflow.config.merging import Slerp
from featflow.models.merging import Merged, Weight

COLLINEAR = 0.9995
SMALLEST_NORM = 1e-8


def merge(weight: Weight, settings: Slerp) -> Merged:
    """Interpolate between two parents' weights, in float64; t = 0 is the first, bit for bit."""
    first, second = weight.parents
    t = float(settings.t)
    a, b = first.double(), second.double()
    cosine = float((_unit(a) * _unit(b)).sum().clamp(-1, 1))
    linear = abs(cosine) > COLLINEAR
    facts = {"cosine": cosine, "branch": "linear" if linear else "slerp"}
    if t in (0, 1):
        return Merged((second if t else first).to(first.dtype, copy=True), facts)
    if linear:
        return Merged(torch.lerp(a, b, t).to(first.dtype), facts)
    omega = torch.tensor(cosine, dtype=torch.float64).acos()
    weights = torch.sin(omega * torch.tensor([1 - t, t], dtype=torch.float64)) / omega.sin()
    return Merged((weights[0] * a + weights[1] * b).to(first.dtype), facts)


def _unit(vector: Tensor) -> Tensor:
    """At norm 1; what is as good as zero stays as it is."""
    norm = torch.linalg.vector_norm(vector)
    return vector / norm if norm > SMALLEST_NORM else vector
