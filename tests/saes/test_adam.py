"""The row-wise Adam against torch's own, and its two forms against one another."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featflow.saes import adam
from featflow.saes.adam import Moments, Pace, Rule, match_threads, update_rows, update_rows_torch
from featflow.saes.fused import Fused

FORMS = [update_rows, update_rows_torch]


def gradients(count, shape=(7, 12)):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def start():
    weight = torch.randn(7, 12, generator=torch.Generator().manual_seed(1))
    return weight / weight.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("form", FORMS)
def test_with_equal_counters_it_is_adam(form):
    weight, scale = start(), 0.01
    leaf = weight.double().requires_grad_()
    optimiser = torch.optim.Adam([leaf], lr=3e-3, betas=(0.9, 0.9999))
    moments, steps = Moments.of(weight), torch.zeros(7, dtype=torch.int64)
    for gradient in gradients(30):
        leaf.grad = gradient.double() * scale
        optimiser.step()
        steps += 1
        rule = Rule(3e-3, (0.9, 0.9999), scale)
        form(weight, gradient, moments, Pace.of(steps, rule), rule)
    torch.testing.assert_close(weight.double(), leaf.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_each_row_has_its_own_counter(form):
    weight, steps = start(), torch.tensor([1, 2, 3, 50, 1000, 1, 1])
    before, moments = weight.clone(), Moments.of(weight)
    (gradient,) = gradients(1)
    rule = Rule(1e-3, (0.9, 0.999))
    form(weight, gradient, moments, Pace.of(steps, rule), rule)
    corrections = [(1 - 0.999**t) ** 0.5 / (1 - 0.9**t) for t in steps.tolist()]
    expected = 1e-3 * torch.tensor(corrections)[:, None] * (0.1 / 0.001**0.5) * gradient.sign()
    torch.testing.assert_close(before - weight, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_unit_rows_feel_only_what_is_orthogonal_to_them(form):
    weight, rule = start(), Rule(1e-2, (0.9, 0.999))
    pace = Pace.of(torch.ones(7, dtype=torch.int64), rule)
    radial, (free,) = weight * 5, gradients(1)
    tangent = free - (free * weight).sum(1, keepdim=True) * weight
    moved = []
    for gradient in (tangent, tangent + radial):
        w, moments = weight.clone(), Moments.of(weight)
        form(w, gradient, moments, pace, rule, True)
        torch.testing.assert_close(
            (moments.first * weight).sum(1), torch.zeros(7), atol=1e-6, rtol=0
        )
        torch.testing.assert_close(w.norm(dim=1), torch.ones(7))
        moved.append(w)
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(rows=st.integers(1, 40), width=st.integers(2, 40), unit=st.booleans())
def test_the_two_forms_agree_and_round_alike(rows, width, unit):
    generator = torch.Generator().manual_seed(rows)
    begin = torch.nn.functional.normalize(torch.randn(rows, width, generator=generator))
    weights = [begin.clone(), begin.clone()]
    copies = [torch.empty(rows, width, dtype=torch.bfloat16) for _ in FORMS]
    moments, steps = [Moments.of(weight) for weight in weights], torch.arange(rows)
    rule = Rule(1e-2, (0.9, 0.9999), 0.1)
    for gradient in gradients(5, (rows, width)):
        gradient[rows // 2] = 0  # of a feature that never fires
        steps += 1
        pace = Pace.of(steps, rule)
        for form, weight, state, copy in zip(FORMS, weights, moments, copies, strict=True):
            form(weight, gradient, state, pace, rule, unit, copy)
            assert torch.equal(copy, weight.bfloat16())
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)


def test_rounding_is_torchs():
    bits = torch.randint(-(2**31), 2**31, (1, 50_000), generator=torch.Generator().manual_seed(0))
    edges = [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F7FFFFF, 0x3F808000]
    bits[0, : len(edges)] = torch.tensor(edges)
    numbers = bits.to(torch.int32).view(torch.float32)
    found, none = torch.empty(numbers.shape, dtype=torch.bfloat16), torch.zeros_like(numbers)
    pace = Pace(torch.zeros(1), torch.ones(1))
    update_rows(numbers, none, Moments.of(none), pace, Rule(0.0, (0.9, 0.999)), copy=found)
    torch.testing.assert_close(found, numbers.bfloat16(), rtol=0, atol=0, equal_nan=True)


def compiled(backend):
    return Fused(adam._in_torch, devices=("cpu",), backend=backend)


@pytest.mark.parametrize("unit", [False, True])
def test_torchs_form_can_be_compiled(unit, monkeypatch):
    states = []
    for fused in (Fused(adam._in_torch), compiled("aot_eager")):
        monkeypatch.setattr(adam, "_fused", fused)
        weight, copy = start(), torch.empty(7, 12, dtype=torch.bfloat16)
        moments, steps = Moments.of(weight), torch.arange(7)
        for i, gradient in enumerate(gradients(4)):
            steps += 1
            rule = Rule(1e-2 / (i + 1), (0.9, 0.999), 0.1)
            pace = Pace.of(steps, rule)
            update_rows_torch(weight, gradient.bfloat16(), moments, pace, rule, unit, copy)
        states.append([weight, *moments, copy])
    torch.testing.assert_close(states[0], states[1])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1  # once, not at every rate


def test_without_a_compiler_torch_goes_on_alone(caplog):
    calls = []

    def no_compiler(graph, inputs):
        raise RuntimeError("no compiler here")

    def double(x):
        calls.append(1)
        return x * 2

    fused = Fused(double, devices=("cpu",), backend=no_compiler)
    with caplog.at_level("WARNING", logger="featflow"):
        for _ in range(3):
            assert torch.equal(fused(torch.ones(3)), 2 * torch.ones(3))
    assert len([r for r in caplog.records if "torch.compile" in r.message]) == 1
    with pytest.raises(TypeError):
        fused(torch.ones(3), "one argument too many")


@pytest.fixture(autouse=True)
def nothing_compiled():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def test_numba_leaves_torchs_threads_alone():
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            match_threads()
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
        match_threads()
