"""Task arithmetic: the parents' differences from a base, added up (Ilharco et al. 2023, section 2,
arXiv 2212.04089).

    merged = θ_base + λ Σ_i w_i (θ_i − θ_base)      normalised: the sum divided by Σ_i w_i

A negative weight takes a task away. mergekit's `task_arithmetic`, its λ called `lambda`.
"""

from featflow.config.merging import TaskArithmetic
from featflow.models.merging import Merged, Weight
from featflow.models.task_vectors import combined, differences, mean_cosine, relative_norms


def merge(weight: Weight, settings: TaskArithmetic) -> Merged:
    """Add the differences to the base.

    Facts: `cosine` between the differences, the mean over pairs (null where one is zero), and
    `changes`, the norm of each over the base's.
    """
    deltas = differences(weight)
    facts = {"cosine": mean_cosine(deltas), "changes": relative_norms(weight, deltas)}
    return Merged(combined(weight, deltas, settings, elect=False), facts)
