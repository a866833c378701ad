"""Choosing t on curves whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from featflow.config.errors import FeatflowError
from featflow.models.equilibrium import balanced, curves, equilibrium


def sweep(**accuracies: list[float]) -> pd.DataFrame:
    """A sweep's table, its rows shuffled."""
    rows = [
        {"t": t, "corpus": corpus, "loss": 1.0, "accuracy": accuracy}
        for corpus, values in accuracies.items()
        for t, accuracy in zip(np.linspace(0, 1, len(values)), values, strict=True)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


OWN = [["a"], ["b"]]


def test_one_crossing_between_two_points_is_interpolated():
    table = sweep(a=[0.6, 0.5, 0.2], b=[0.1, 0.3, 0.6])
    # the gaps at 0.5 and 1 are 0.2 and −0.4: the lines meet a third of the way
    assert equilibrium(table, OWN) == pytest.approx(0.5 + 0.5 / 3)


def test_a_crossing_on_a_point_is_that_point():
    assert equilibrium(sweep(a=[0.6, 0.5, 0.2], b=[0.1, 0.5, 0.6]), OWN) == 0.5


def test_of_several_crossings_the_most_accurate_counts():
    a = [0.5, 0.1, 0.4, 0.30, 0.1]
    b = [0.1, 0.2, 0.2, 0.35, 0.6]
    # they cross between 0 and 0.25 at 0.18, between 0.25 and 0.5 at 0.2, between 0.5 and 0.75
    assert equilibrium(sweep(a=a, b=b), OWN) == pytest.approx(0.5 + 0.25 * 0.2 / 0.25)


def test_a_parent_with_several_corpora_counts_their_mean():
    table = sweep(a=[0.9, 0.5], b=[0.1, 0.7], c=[0.3, 0.3])
    first = curves(table, [["a", "c"], ["b"]])[0]
    np.testing.assert_allclose(first, [0.6, 0.4])
    assert equilibrium(table, [["a", "c"], ["b"]]) == pytest.approx(0.5 / 0.8)


def test_no_crossing_offers_another_way():
    table = sweep(a=[0.9, 0.8, 0.7], b=[0.1, 0.2, 0.3])
    with pytest.raises(FeatflowError, match=r"do not meet.*0\.900 and 0\.100.*t: balanced"):
        equilibrium(table, OWN)


def test_balanced_maximises_the_smaller_share_of_the_gains():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = np.sort(rng.random(11))[::-1], np.sort(rng.random(11))
        base = {"a": a.min() - 0.1 * rng.random(), "b": b.min() - 0.1 * rng.random()}
        shares = [
            min(
                (a[k] - base["a"]) / (a[0] - base["a"]),
                (b[k] - base["b"]) / (b[-1] - base["b"]),
            )
            for k in range(11)
        ]
        expected = np.linspace(0, 1, 11)[int(np.argmax(shares))]
        found = balanced(sweep(a=list(a), b=list(b)), OWN, base)
        assert found == pytest.approx(expected)


def test_balanced_needs_a_gain():
    table = sweep(a=[0.9, 0.8, 0.7], b=[0.1, 0.2, 0.3])
    with pytest.raises(FeatflowError, match=r"on b the parent \(accuracy 0\.300\) is no better"):
        balanced(table, OWN, {"a": 0.2, "b": 0.4})


def test_a_sweep_of_other_corpora_is_refused():
    with pytest.raises(FeatflowError, match="the sweep has no corpus b"):
        equilibrium(sweep(a=[0.1, 0.2], c=[0.2, 0.1]), OWN)
