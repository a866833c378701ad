"""λ steers the L0 of a simple plant to its target, within its limits."""

import math
from itertools import pairwise

import pytest
import torch

from featflow.config.errors import FeatflowError
from featflow.config.saes import Relu, Sparsity
from featflow.saes.architectures.relu import Autoencoder, Penalty


def steered(start, steps=2000, target=30.0):
    """A plant whose L0 follows λ with a lag: L0 → 10 / λ^0.7."""
    penalty, l0, seen = Penalty(Sparsity(l0=target), steps, start), 300.0, []
    for step in range(1, steps + 1):
        l0 += 0.02 * (10 / penalty.value**0.7 - l0)
        penalty.follow(step, l0)
        seen.append((penalty.value, l0))
    return penalty, seen


@pytest.mark.parametrize("start", [0.01, 0.2, 2.0])
def test_l0_reaches_its_target(start):
    penalty, seen = steered(start)
    assert seen[-1][1] == pytest.approx(30, rel=0.1)
    assert penalty.on_target


def test_it_moves_only_between_its_shares_of_the_run_and_slowly():
    _, seen = steered(0.01)
    values = [value for value, _ in seen]
    assert set(values[:199]) == {0.01} and len(set(values[1599:])) == 1
    ratios = [abs(math.log(b / a)) for a, b in pairwise(values)]
    assert 0.0099 < max(ratios) < 0.01001


def test_a_fixed_penalty_stays():
    penalty = Penalty(Sparsity(l1=3e-4), 100, 1.0)
    for step in range(1, 101):
        penalty.follow(step, 500.0)
    assert penalty.value == 3e-4 and penalty.on_target


def test_off_target_is_beyond_a_fifth():
    penalty = Penalty(Sparsity(l0=30), 1000, 1.0)
    assert not penalty.on_target  # nothing seen yet
    penalty.follow(1, 37.0)
    assert not penalty.on_target
    penalty.l0 = 35.0
    assert penalty.on_target


def test_a_restored_penalty_goes_on():
    first, second = (Penalty(Sparsity(l0=30), 100, 1.0) for _ in range(2))
    for step in range(1, 50):
        first.follow(step, 50.0 + step)
    second.restore(first.state)
    for penalty in (first, second):
        for step in range(50, 101):
            penalty.follow(step, 50.0)
    assert first.state == second.state


def prepared(element=1.0, expansion=12, **sparsity) -> Autoencoder:
    settings = Relu(kind="relu", expansion=expansion, sparsity=Sparsity(**sparsity))
    sae = Autoencoder(settings, 8, 0, torch.device("cpu"))
    sae.prepare(100, element)
    return sae


def test_a_start_from_nothing_can_be_steered():
    assert prepared(2.0, l0=30).penalty.value == 0.25
    assert prepared(0.0, l0=30).penalty.value == 1 / 8


def test_more_features_than_there_are_cannot_fire():
    prepared(l0=96)
    prepared(l1=1e9, expansion=1)
    with pytest.raises(FeatflowError, match=r"sparsity\.l0: 96\.5 features .* the SAE has 96; use"):
        prepared(l0=96.5)
