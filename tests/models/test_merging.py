"""Linear, task arithmetic, TIES and DARE on one weight: against numpy, and against mergekit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featflow.config.merging import Dare, Linear, TaskArithmetic, Ties
from featflow.models.merging import Merged, Weight, method
from featflow.plan.slicer import seed_from


def merged(weight: Weight, config) -> Merged:
    return method(config.kind)(weight, config)


def random_weight(seed: int, parents: int, shape: tuple[int, ...], spread=0.1) -> Weight:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=shape)
    others = [base + spread * rng.normal(size=shape) for _ in range(parents)]
    base_tensor, *tensors = (torch.tensor(x, dtype=torch.float32) for x in (base, *others))
    return Weight("model.layers.0.mlp.up_proj.weight", tensors, base_tensor)


def in_numpy(weight: Weight) -> tuple[np.ndarray, np.ndarray]:
    """The base, and the differences from it (P, *shape)."""
    assert weight.base is not None
    base = weight.base.numpy()
    return base, np.stack([parent.numpy() - base for parent in weight.parents])


def elected_sum(parts: np.ndarray, share: np.ndarray, normalize: bool) -> np.ndarray:
    """TIES after trimming, entry by entry as the paper's algorithm says it."""
    flat = parts.reshape(len(parts), -1).astype(np.float64)
    out = np.zeros(flat.shape[1])
    for j in range(flat.shape[1]):
        weighted = flat[:, j] * share
        sign = 1 if np.float32(weighted.astype(np.float32).sum()) >= 0 else -1
        agree = np.sign(weighted) == sign
        total, divisor = weighted[agree].sum(), share[agree].sum()
        out[j] = total / divisor if normalize and abs(divisor) > 1e-8 else total
    return out.reshape(parts.shape[1:])


cases = {
    "seed": st.integers(0, 10**6),
    "parents": st.integers(2, 4),
    "shape": st.sampled_from([(7,), (12, 5), (1,), (3, 4, 5), ()]),
    "factors": st.lists(st.sampled_from([0.5, 1.0, 2.0, -0.75]), min_size=4, max_size=4),
    "normalize": st.booleans(),
    "scale": st.sampled_from([1.0, 0.3]),
}


@settings(max_examples=60, deadline=None)
@given(**{name: cases[name] for name in ("seed", "parents", "shape", "factors", "normalize")})
def test_linear_is_the_weighted_sum(seed, parents, shape, factors, normalize):
    share = np.array(factors[:parents])
    if normalize and abs(share.sum()) < 1e-6:
        normalize = False
    weight = random_weight(seed, parents, shape)
    config = Linear(kind="linear", weights=share.tolist(), normalize=normalize)
    expected = sum(s * p.double().numpy() for s, p in zip(share, weight.parents, strict=True))
    expected = expected / share.sum() if normalize else expected
    np.testing.assert_allclose(
        merged(weight, config).tensor.numpy(), expected, rtol=1e-5, atol=2e-6
    )


@settings(max_examples=60, deadline=None)
@given(**cases)
def test_task_arithmetic_adds_up_differences(seed, parents, shape, factors, normalize, scale):
    share = np.array(factors[:parents])
    weight = random_weight(seed, parents, shape)
    base, deltas = in_numpy(weight)
    total = np.tensordot(share, deltas.astype(np.float64), 1)
    if normalize and abs(share.sum()) > 1e-8:
        total = total / share.sum()
    config = TaskArithmetic(kind="task", weights=list(share), normalize=normalize, scale=scale)
    found = merged(weight, config).tensor
    np.testing.assert_allclose(found, base + scale * total, rtol=1e-5, atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(density=st.sampled_from([0.05, 0.2, 0.5, 0.95, 1.0]), **cases)
def test_ties_trims_elects_and_averages(seed, parents, shape, factors, normalize, scale, density):
    share = np.array(factors[:parents])
    weight = random_weight(seed, parents, shape)
    base, deltas = in_numpy(weight)
    kept = np.zeros_like(deltas)
    rows = zip(deltas.reshape(parents, -1), kept.reshape(parents, -1), strict=True)
    for delta, target in rows:
        order = np.argsort(-np.abs(delta), kind="stable")[: max(1, int(density * delta.size))]
        target[order] = delta[order]
    expected = base + scale * elected_sum(kept, share, normalize)
    config = Ties(
        kind="ties", weights=list(share), normalize=normalize, scale=scale, density=density
    )
    np.testing.assert_allclose(merged(weight, config).tensor, expected, rtol=1e-5, atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    density=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    signs=st.booleans(),
    rescale=st.sampled_from(["density", "norm", None]),
    **cases,
)
def test_dare_drops_rescales_and_adds(
    seed, parents, shape, factors, normalize, scale, density, signs, rescale
):
    share = np.array(factors[:parents])
    weight = random_weight(seed, parents, shape)
    base, deltas = in_numpy(weight)
    generator = torch.Generator().manual_seed(seed_from("dare", seed, weight.name))
    kept = deltas.astype(np.float64)
    for i, delta in enumerate(kept):
        if density < 1:
            draws = torch.bernoulli(torch.full(shape, density), generator=generator).numpy()
            whole = np.abs(delta).sum()
            kept[i] = delta * draws
            left = np.abs(kept[i]).sum()
            factor = {"density": 1 / density, "norm": whole / left if left else 1, None: 1}
            kept[i] *= factor[rescale]
    if signs:
        total = elected_sum(kept, share, normalize)
    else:
        total = np.tensordot(share, kept, 1)
        total = total / share.sum() if normalize and abs(share.sum()) > 1e-8 else total
    config = Dare(
        kind="dare",
        weights=list(share),
        normalize=normalize,
        scale=scale,
        density=density,
        signs=signs,
        rescale=rescale,
        seed=seed,
    )
    np.testing.assert_allclose(
        merged(weight, config).tensor, base + scale * total, rtol=2e-5, atol=5e-6
    )


def by_mergekit(name: str, weight: Weight, share: list[float], **parameters) -> torch.Tensor:
    """The peer's own class on the same tensors."""
    registry = pytest.importorskip("mergekit.merge_methods.registry")
    from mergekit.merge_methods.base import PerInputValues, TensorEntry, TensorGroup

    assert weight.base is not None
    inputs = [TensorEntry("base", weight.base, is_base=True)]
    inputs += [TensorEntry(i, parent) for i, parent in enumerate(weight.parents)]
    each = {"weight": share, "density": [parameters.pop("density", 1.0)] * len(share)}
    bound = {key: PerInputValues(list(enumerate(values))) for key, values in each.items()}
    given = {"int8_mask": False, "rescale": False, "lambda": 1.0, **parameters, **bound}
    return registry.get(name).merge_group(TensorGroup(tuple(inputs)), **given)


@pytest.mark.parametrize("shape", [(40, 30), (64,)])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("density", [0.2, 0.7, 1.0])
def test_ties_agrees_with_mergekit(shape, normalize, density):
    weight, share = random_weight(1, 3, shape), [1.0, 0.4, -0.5]
    common = {"normalize": normalize, "density": density}
    config = Ties(kind="ties", weights=share, scale=0.8, **common)
    expected = by_mergekit("ties", weight, share, **common, **{"lambda": 0.8})
    torch.testing.assert_close(merged(weight, config).tensor, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("rescale", ["norm", None])
def test_dare_agrees_with_mergekit_given_the_same_draws(signs, normalize, rescale):
    weight, share = random_weight(2, 3, (40, 30)), [1.0, 0.4, 0.7]
    config = Dare(
        kind="dare",
        weights=share,
        density=0.3,
        signs=signs,
        normalize=normalize,
        rescale=rescale,
        scale=1.3,
        seed=9,
    )
    torch.manual_seed(seed_from("dare", 9, weight.name))
    expected = by_mergekit(
        "dare_ties" if signs else "dare_linear",
        weight,
        share,
        normalize=normalize,
        density=0.3,
        rescale=rescale is not None,
        **{"lambda": 1.3},
    )
    torch.testing.assert_close(merged(weight, config).tensor, expected, rtol=1e-5, atol=1e-6)


def test_dividing_by_the_density_is_keeping_the_norm_on_a_large_weight():
    weight = random_weight(3, 2, (1000, 1000))
    both = {
        rescale: merged(weight, Dare(kind="dare", density=0.5, rescale=rescale)).tensor
        for rescale in ("density", "norm")
    }
    assert not torch.equal(both["density"], both["norm"])
    torch.testing.assert_close(both["density"], both["norm"], rtol=0, atol=5e-3)


def test_dare_keeps_its_share_and_its_mean():
    size, density = 200_000, 0.1
    weight = Weight("w", [torch.ones(size), torch.ones(size)], torch.zeros(size))
    found = merged(weight, Dare(kind="dare", density=density, weights=[1.0, 10.0]))
    assert found.facts["kept"] == pytest.approx([density] * 2, abs=4 * np.sqrt(0.09 / size))
    # every entry is 10 · (m₁ + 10 m₂), of independent draws
    values, counts = found.tensor.round().unique(return_counts=True)
    assert values.tolist() == [0, 10, 100, 110]
    expected = np.array([0.81, 0.09, 0.09, 0.01]) * size
    assert np.abs(counts.numpy() - expected).max() < 5 * np.sqrt(expected.max())
    assert found.tensor.mean().item() == pytest.approx(11, rel=0.02)


def test_dare_depends_on_the_seed_and_the_name_alone():
    weight = random_weight(4, 2, (20, 20))
    config = Dare(kind="dare", seed=1)
    first = merged(weight, config).tensor
    torch.manual_seed(77)
    merged(weight._replace(name="another"), config)
    assert torch.equal(merged(weight, config).tensor, first)
    assert not torch.equal(merged(weight._replace(name="another"), config).tensor, first)
    assert not torch.equal(merged(weight, Dare(kind="dare", seed=2)).tensor, first)


def test_of_entries_of_one_magnitude_the_first_are_kept():
    parent = torch.tensor([1.0, -2.0, 2.0, -1.0, 1.0, 2.0])
    weight = Weight("w", [parent, torch.zeros(6)], torch.zeros(6))
    config = Ties(kind="ties", density=0.67)
    assert merged(weight, config).tensor.tolist() == [1, -2, 2, 0, 0, 2]


def test_where_parents_cancel_the_elected_sign_is_plus():
    weight = Weight("w", [torch.tensor([4.0]), torch.tensor([-2.0])], torch.tensor([1.0]))
    assert merged(weight, Ties(kind="ties", density=1)).tensor.item() == 4
    config = TaskArithmetic(kind="task", weights=[1.0, -1.0], normalize=True)
    assert merged(weight, config).tensor.item() == 7  # weights that cancel divide nothing


def test_the_facts_are_what_they_say():
    base = torch.tensor([1.0, 2.0, 2.0])
    parents = [base + torch.tensor([1.0, 1.0, 0.0]), base + torch.tensor([-1.0, 2.0, 0.0])]
    weight = Weight("w", parents, base)
    cosine = 1 / np.sqrt(10)
    facts = merged(weight, TaskArithmetic(kind="task")).facts
    assert facts["cosine"] == pytest.approx(cosine)
    assert facts["changes"] == pytest.approx([np.sqrt(2) / 3, np.sqrt(5) / 3])
    facts = merged(weight, Ties(kind="ties", density=1)).facts
    assert facts == {"cosine": pytest.approx(cosine), "conflicts": 0.5}
    facts = merged(weight, Linear(kind="linear")).facts
    assert facts == {"cosine": pytest.approx((0 + 12 + 4) / np.sqrt(17) / np.sqrt(20))}
    same = Weight("w", [base, base], base)
    assert merged(same, Ties(kind="ties")).facts == {"cosine": None, "conflicts": None}


@pytest.mark.parametrize(
    "config",
    [
        Linear(kind="linear"),
        TaskArithmetic(kind="task", scale=0.5),
        Ties(kind="ties", density=1),
        Dare(kind="dare", density=1),
    ],
    ids=lambda config: config.kind,
)
def test_half_precision_is_computed_in_float32(config):
    full = random_weight(6, 3, (50, 40), spread=0.01)
    assert full.base is not None
    half = Weight(full.name, [p.bfloat16() for p in full.parents], full.base.bfloat16())
    wide = Weight(half.name, [p.float() for p in half.parents], half.base.float())
    found = merged(half, config).tensor
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, merged(wide, config).tensor.bfloat16())
    double = Weight(full.name, [p.double() for p in full.parents], full.base.double())
    assert merged(double, config).tensor.dtype == torch.float64


def test_inputs_are_left_as_they_were():
    for config in (Linear(kind="linear"), TaskArithmetic(kind="task"), Ties(kind="ties")):
        weight, same = random_weight(7, 2, (9, 9)), random_weight(7, 2, (9, 9))
        merged(weight, config)
        assert weight.base is not None and same.base is not None
        for a, b in zip([*weight.parents, weight.base], [*same.parents, same.base], strict=True):
            assert torch.equal(a, b)
