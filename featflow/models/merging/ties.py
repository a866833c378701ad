"""TIES: trim the differences from a base, elect a sign for each entry, average what has that sign
(Yadav et al. 2023, section 3 and algorithm 1, arXiv 2306.01708).

Of each difference δ_i = θ_i − θ_base the k = ⌊density · n⌋ entries of largest magnitude are kept
(at least one; of equal ones the first), the others are zero. With γ = sgn Σ_i w_i δ_i, entry by
entry, and A = {i: sgn(w_i δ_i) = γ},

    merged = θ_base + λ Σ_{i in A} w_i δ_i      normalised: the sum divided by Σ_{i in A} w_i

As in mergekit's `ties`: k counts within each weight (the paper ranks the whole model at once), the
differences are weighted before the election, where they cancel the elected sign is +, and where no
parent is left, or the weights of those left cancel, nothing is divided. The one difference:
mergekit leaves it to the sort which of several entries of the very same magnitude make up the k.
"""

from featflow.config.merging import Ties
from featflow.models.merging import Merged, Weight
from featflow.models.task_vectors import combined, conflicts, differences, mean_cosine, trimmed


def merge(weight: Weight, settings: Ties) -> Merged:
    """Trim, elect, average, and add to the base.

    Facts: `cosine` between the untrimmed differences, the mean over pairs (null where one is zero),
    and `conflicts`, the share of entries kept of two parents or more whose signs differ (null where
    there are none).
    """
    deltas = differences(weight)
    cosine = mean_cosine(deltas)
    for i, delta in enumerate(deltas):
        deltas[i] = trimmed(delta, settings.density)
    facts = {"cosine": cosine, "conflicts": conflicts(deltas)}
    return Merged(combined(weight, deltas, settings, elect=True), facts)
