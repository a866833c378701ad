"""The geometric median against scipy's minimiser."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from featflow.saes.start import geometric_median, longest_row, typical_element, unit_scale


def test_the_median_is_the_minimiser():
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(400, 5)) ** 2 + rng.normal(size=5)
    found = geometric_median(torch.from_numpy(x))

    def distance(point):
        return np.linalg.norm(x - point, axis=1).sum()

    best = minimize(distance, x.mean(0), method="BFGS", options={"gtol": 1e-8})
    assert distance(found.numpy()) <= best.fun * (1 + 1e-8)
    np.testing.assert_allclose(found.numpy(), best.x, atol=1e-3)
    assert np.linalg.norm(found.numpy() - x.mean(0)) > 0.1  # it is not the mean


def test_a_start_on_a_vector_does_no_harm():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    torch.testing.assert_close(geometric_median(x), torch.zeros(2))


def test_outliers_move_it_little():
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    x[:100] += 1000
    assert geometric_median(x).norm() < 1 < x.mean(0).norm()


def test_the_typical_element():
    x = torch.randn(500, 64, generator=torch.Generator().manual_seed(0)) * 3
    assert typical_element(x.norm(dim=1), 64) == pytest.approx(3, rel=0.02)
    x[:50] *= 1000  # a few are no reason for another scale
    assert typical_element(x.norm(dim=1), 64) == pytest.approx(3, rel=0.02)
    x[:400] = 0  # nor are those that are nothing
    assert typical_element(x.norm(dim=1), 64) == pytest.approx(3, rel=0.05)
    assert longest_row(x.norm(dim=1), 10) == pytest.approx(10 * 3 * 8, rel=0.05)
    assert longest_row(torch.zeros(9), 10) == longest_row(torch.ones(9), None) == math.inf


def test_the_scale_gives_typical_elements_of_1_and_leaves_nothing_as_it_is(caplog):
    assert unit_scale(4.0) == 0.25 and unit_scale(1e-20) == pytest.approx(1e20)
    assert not caplog.records
    for element in (0.0, 1e-40):
        assert unit_scale(element) == 1.0
    assert "the activations at the hook are all zero" in caplog.text


def test_the_median_of_nothing_is_nothing():
    assert torch.equal(geometric_median(torch.zeros(9, 4)), torch.zeros(4))
    assert torch.equal(geometric_median(torch.ones(1, 1)), torch.ones(1))
