"""Choosing a merge's t from its sweep: a table of t, corpus, loss and accuracy.

A parent's curve is the accuracy on its own corpora, their mean, as a function of t. The first
parent is the merge at t = 0, the second the merge at t = 1.
"""

import numpy as np
import pandas as pd

from featflow.config.errors import FeatflowError


def curves(sweep: pd.DataFrame, corpora: list[list[str]]) -> pd.DataFrame:
    """Each parent's accuracy on its own corpora, weighted equally: a column a parent, a row a t.

    Raises:
        FeatflowError: when the sweep lacks a corpus.
    """
    table = sweep.pivot(index="t", columns="corpus", values="accuracy").sort_index()
    if missing := {name for own in corpora for name in own} - set(table.columns):
        raise FeatflowError(f"the sweep has no corpus {', '.join(sorted(missing))}; rebuild it")
    return pd.DataFrame({i: table[own].mean(axis=1) for i, own in enumerate(corpora)})


def equilibrium(sweep: pd.DataFrame, corpora: list[list[str]]) -> float:
    """The t at which the two parents' accuracies are equal, interpolated between sweep points.

    Of several, that of the highest accuracy (of equally high ones, the smallest).

    Raises:
        FeatflowError: when the curves do not meet.
    """
    table = curves(sweep, corpora)
    t, first, second = table.index.to_numpy(), table[0].to_numpy(), table[1].to_numpy()
    gap = first - second
    crossings = [(first[k], t[k]) for k in np.flatnonzero(gap == 0)]
    for k in np.flatnonzero(gap[:-1] * gap[1:] < 0):
        share = gap[k] / (gap[k] - gap[k + 1])
        crossings.append(
            (np.interp(share, [0, 1], first[k : k + 2]), t[k] + share * (t[k + 1] - t[k]))
        )
    if not crossings:
        ends = [f"{first[k]:.3f} and {second[k]:.3f}" for k in (0, -1)]
        raise FeatflowError(
            "t: equilibrium: the accuracies on the two parents' data do not meet between t = 0 "
            f"({ends[0]}) and t = 1 ({ends[1]}); use t: balanced, or a number"
        )
    return float(max(crossings, key=lambda crossing: (crossing[0], -crossing[1]))[1])


def balanced(sweep: pd.DataFrame, corpora: list[list[str]], base: dict[str, float]) -> float:
    """The sweep's t with the largest smaller share of the parents' gains over their base:

    the maximum over t of min_i (accuracy_i(t) − base_i) / (parent_i − base_i), i over both parents.

    Args:
        sweep: the sweep's table.
        corpora: the own corpora of each parent.
        base: the accuracy of the parents' common ancestor on each corpus.

    Raises:
        FeatflowError: when a parent is no better than the base on its own corpora.
    """
    table = curves(sweep, corpora)
    shares = []
    for i, own in enumerate(corpora):
        start = float(np.mean([base[name] for name in own]))
        parent = table[i].iloc[-i]  # the first parent is the first row, the second the last
        if parent <= start:
            raise FeatflowError(
                f"t: balanced: on {', '.join(own)} the parent (accuracy {parent:.3f}) is no better "
                f"than the common ancestor ({start:.3f}), so it has no gain to keep; train it "
                "longer, or give t as a number"
            )
        shares.append((table[i] - start) / (parent - start))
    return float(np.minimum(*shares).idxmax())
