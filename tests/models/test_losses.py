"""The chunked loss against torch's own, in value and gradient."""

import pytest
import torch
from torch.nn import functional as F

from featflow.models import losses


@pytest.fixture(params=[1, 70, 10**9], ids=["chunks", "two chunks", "one chunk"])
def _chunks(request, monkeypatch):
    monkeypatch.setattr(losses, "_chunk", lambda weight: min(request.param * 3, 200))


def _case(count=131, hidden=16, vocabulary=50):
    rng = torch.Generator().manual_seed(3)
    h = torch.randn(count, hidden, generator=rng, requires_grad=True)
    w = torch.randn(vocabulary, hidden, generator=rng, requires_grad=True)
    return h, w, torch.randint(vocabulary, (count,), generator=rng)


@pytest.mark.usefixtures("_chunks")
def test_value_and_gradients_are_those_of_cross_entropy():
    h, w, targets = _case()
    expected = F.cross_entropy(h @ w.T, targets)
    wanted = torch.autograd.grad(3 * expected, (h, w))
    loss = losses.linear_cross_entropy(h, w, targets)
    found = torch.autograd.grad(3 * loss, (h, w))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(found, wanted)


def test_products_in_bfloat16_stay_close():
    h, w, targets = _case(count=1000)
    expected = F.cross_entropy(h @ w.T, targets)
    wanted = torch.autograd.grad(expected, (h, w))
    loss = losses.linear_cross_entropy(h, w, targets, torch.bfloat16)
    found = torch.autograd.grad(loss, (h, w))
    assert abs(loss.item() - expected.item()) < 2e-3 * expected.item()
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.01 * b.norm()


def test_a_hopeless_target_costs_much_but_stays_finite():
    h = torch.tensor([[1.0]], requires_grad=True)
    w = torch.tensor([[500.0], [-500.0]])
    loss = losses.linear_cross_entropy(h, w, torch.tensor([1]))
    assert 80 < loss.item() < 90


def test_a_nan_is_not_hidden():
    h, w, targets = _case()
    h = h.detach().clone()
    h[0, 0] = torch.nan
    assert losses.linear_cross_entropy(h, w, targets).isnan()


@pytest.mark.usefixtures("_chunks")
def test_score_sums_loss_and_right_answers():
    h, w, targets = _case()
    logits = (h @ w.T).double()
    found = losses.score(h, w, targets)
    torch.testing.assert_close(
        found.loss, F.cross_entropy(logits, targets, reduction="sum"), rtol=1e-6, atol=0
    )
    assert found.right.item() == (logits.argmax(-1) == targets).sum().item()
