"""Slerp against numpy in float64 and against mergekit, on random and on special tensors."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from featflow.config.merging import Slerp
from featflow.models.merging import Weight, slerp


def merge(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    return slerp.merge(Weight("w", [a, b]), Slerp(kind="slerp", t=t)).tensor


def facts(a: torch.Tensor, b: torch.Tensor) -> dict:
    return slerp.merge(Weight("w", [a, b]), Slerp(kind="slerp", t=0.5)).facts


def in_numpy(a: torch.Tensor, b: torch.Tensor, t: float) -> np.ndarray:
    x, y = (v.double().numpy().ravel() for v in (a, b))
    cosine = x @ y / np.sqrt(x @ x) / np.sqrt(y @ y)
    if abs(cosine) > 0.9995:
        return ((1 - t) * x + t * y).reshape(a.shape)
    omega = np.arccos(cosine)
    mixed = (np.sin((1 - t) * omega) * x + np.sin(t * omega) * y) / np.sin(omega)
    return mixed.reshape(a.shape)


def pairs() -> Iterator:
    """Unrelated, related, opposed, nearly collinear and antipodal tensors of several shapes."""
    rng = torch.Generator().manual_seed(5)
    a = torch.randn(30, 20, generator=rng)
    noise = torch.randn(30, 20, generator=rng)
    vector = torch.randn(40, generator=rng)
    yield pytest.param(a, noise * 3, id="unrelated")
    yield pytest.param(a, 0.8 * a + 0.3 * noise, id="related")
    yield pytest.param(a, noise - 2 * a, id="opposed")
    yield pytest.param(a, 2 * a + 0.02 * noise, id="collinear")
    yield pytest.param(a, 0.01 * noise - a, id="antipodal")
    yield pytest.param(vector, vector.flip(0), id="vector")


@pytest.mark.parametrize("t", [0.0, 0.1, 0.58, 1.0])
@pytest.mark.parametrize(("a", "b"), list(pairs()))
def test_it_is_the_formula_in_float64(a, b, t):
    np.testing.assert_allclose(merge(a, b, t).numpy(), in_numpy(a, b, t), rtol=2e-7, atol=1e-9)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.58, 1.0])
@pytest.mark.parametrize(("a", "b"), list(pairs()))
def test_it_agrees_with_mergekit(a, b, t):
    peer = pytest.importorskip("mergekit.merge_methods.slerp")
    rows = [tensor.reshape(1, -1) for tensor in (a, b)]  # mergekit's is a slerp a row
    expected = peer.slerp(torch.tensor([t]), *rows).reshape(a.shape)
    torch.testing.assert_close(merge(a, b, t), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("a", "b"), list(pairs()))
def test_the_ends_are_the_parents_bit_for_bit(a, b):
    a = torch.where(a.abs() < 0.1, -0.0, a)
    assert merge(a, b, 0).numpy().tobytes() == a.numpy().tobytes()
    assert merge(a, b, 1).numpy().tobytes() == b.numpy().tobytes()


def test_half_way_between_orthogonal_tensors_keeps_the_norm():
    a, b = torch.zeros(2, 50), torch.zeros(2, 50)
    a[0], b[1] = torch.randn(50), torch.randn(50)
    a, b = 3 * a / a.norm(), 3 * b / b.norm()
    half = merge(a, b, 0.5)
    assert half.norm().item() == pytest.approx(3, rel=1e-6)
    torch.testing.assert_close(half, (a + b) / np.sqrt(2))


def test_the_facts_tell_angle_and_branch():
    a, b = torch.randn(100, generator=torch.Generator().manual_seed(1)), torch.ones(100)
    expected = np.corrcoef(np.vstack([a, -a]).T.ravel(), np.vstack([b, -b]).T.ravel())[0, 1]
    assert facts(a, b) == {"cosine": pytest.approx(expected, abs=1e-6), "branch": "slerp"}
    assert facts(a, 5 * a) == {"cosine": pytest.approx(1), "branch": "linear"}
    assert facts(a, -a) == {"cosine": pytest.approx(-1), "branch": "linear"}


def test_a_weight_that_is_zero_in_one_parent_counts_as_orthogonal():
    a, b = torch.zeros(10), torch.ones(10)
    torch.testing.assert_close(merge(a, b, 0.5), np.sin(np.pi / 4) * b)


def test_the_dtype_is_the_first_parent_s():
    a, b = torch.randn(5, 5).bfloat16(), torch.randn(5, 5).bfloat16()
    assert merge(a, b, 0.3).dtype == torch.bfloat16
