"""The row-wise Adam against torch's own, and its two forms against one another."""

import pytest
import torch

from featflow.saes.adam import Moments, Rule, match_threads, update_rows, update_rows_torch

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
        form(weight, gradient, moments, steps, Rule(3e-3, (0.9, 0.9999), scale))
    torch.testing.assert_close(weight.double(), leaf.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_each_row_has_its_own_counter(form):
    weight, steps = start(), torch.tensor([1, 2, 3, 50, 1000, 1, 1])
    before, moments = weight.clone(), Moments.of(weight)
    (gradient,) = gradients(1)
    form(weight, gradient, moments, steps, Rule(1e-3, (0.9, 0.999)))
    corrections = [(1 - 0.999**t) ** 0.5 / (1 - 0.9**t) for t in steps.tolist()]
    expected = 1e-3 * torch.tensor(corrections)[:, None] * (0.1 / 0.001**0.5) * gradient.sign()
    torch.testing.assert_close(before - weight, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_unit_rows_feel_only_what_is_orthogonal_to_them(form):
    weight = start()
    radial, (free,) = weight * 5, gradients(1)
    tangent = free - (free * weight).sum(1, keepdim=True) * weight
    moved = []
    for gradient in (tangent, tangent + radial):
        w, moments = weight.clone(), Moments.of(weight)
        form(w, gradient, moments, torch.ones(7, dtype=torch.int64), Rule(1e-2, (0.9, 0.999)), True)
        torch.testing.assert_close(
            (moments.first * weight).sum(1), torch.zeros(7), atol=1e-6, rtol=0
        )
        torch.testing.assert_close(w.norm(dim=1), torch.ones(7))
        moved.append(w)
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unit", [False, True])
def test_the_two_forms_agree(unit):
    weights = [start(), start()]
    moments = [Moments.of(weight) for weight in weights]
    steps = torch.arange(7)
    for gradient in gradients(20):
        steps += 1
        for form, weight, state in zip(FORMS, weights, moments, strict=True):
            form(weight, gradient, state, steps, Rule(1e-2, (0.9, 0.9999), 0.1), unit)
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)


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
