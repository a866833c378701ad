"""The chunked loss against torch's own, in value and gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from featflow.models import losses


@pytest.fixture(params=[1, 70, 10**9], ids=["chunks", "two chunks", "one chunk"])
def _chunks(request, monkeypatch):
    monkeypatch.setattr(losses, "_chunk", lambda weight, least: min(request.param * 3, 200))


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


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40),
    hidden=st.integers(1, 9),
    vocabulary=st.integers(1, 30),
    chunk=st.integers(1, 41),
    scale=st.sampled_from([0.1, 1.0, 10.0]),
    seed=st.integers(0, 999),
)
def test_any_shape_is_that_of_float64(count, hidden, vocabulary, chunk, scale, seed):
    """One row, one class, chunks that end in the middle: against −ln softmax in float64."""
    rng = torch.Generator().manual_seed(seed)
    h = torch.randn(count, hidden, generator=rng, requires_grad=True)
    w = torch.randn(vocabulary, hidden, generator=rng, requires_grad=True)
    targets = torch.randint(vocabulary, (count,), generator=rng)
    h64, w64 = (x.detach().double().requires_grad_() for x in (h, w))
    p = torch.softmax(h64 @ w64.T, -1)[range(count), targets]
    expected = -p.clamp_min(losses.SMALLEST).log().mean()
    wanted = torch.autograd.grad(-scale * (p.log().mean()), (h64, w64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "_chunk", lambda weight, least: chunk)
        loss = losses.linear_cross_entropy(h, w, targets)
        found = torch.autograd.grad(scale * loss, (h, w))
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * scale)


def test_a_large_vocabulary_has_no_small_chunks():
    """Each chunk reads all embeddings and adds to all their gradients."""
    assert losses._chunk(torch.empty(128_000, 1, dtype=torch.bfloat16), 512) == 512
    assert losses._chunk(torch.empty(2048, 1, dtype=torch.bfloat16), 512) == 2048


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


@settings(max_examples=80, deadline=None)
@given(
    count=st.integers(1, 30),
    vocabulary=st.integers(1, 12),
    chunk=st.integers(1, 31),
    levels=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_of_equally_large_logits_the_first_is_the_answer(count, vocabulary, chunk, levels, seed):
    """Whole numbers, so that many logits are equal: against argmax, row by row."""
    rng = torch.Generator().manual_seed(seed)
    h, w = (torch.randint(levels, (n, 3), generator=rng).float() for n in (count, vocabulary))
    targets = torch.randint(vocabulary, (count,), generator=rng)
    logits = (h @ w.T).tolist()
    right = sum(row.index(max(row)) == t for row, t in zip(logits, targets.tolist(), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "_chunk", lambda weight, least: chunk)
        assert losses.score(h, w, targets).right.item() == right
