"""The written-out backward pass against autograd, dense and sparse; what steps must keep."""

import pytest
import torch

from featflow.config.saes import Relu
from featflow.saes import one_layer
from featflow.saes.architectures.relu import Autoencoder

WIDTH, TOKENS, PENALTY = 12, 40, 3e-2


def autoencoder(precision="float32", **settings):
    sae = Autoencoder(
        Relu(kind="relu", expansion=4, precision=precision, **settings),
        WIDTH,
        3,
        torch.device("cpu"),
    )
    generator = torch.Generator().manual_seed(5)
    sae.encoder.add_(0.3 * torch.randn(sae.encoder.shape, generator=generator))
    sae.bias.add_(0.2 * torch.randn(sae.bias.shape, generator=generator) - 0.3)
    sae.offset.add_(torch.randn(sae.offset.shape, generator=generator))
    sae._copy_weights()
    return sae


def batch(tokens=TOKENS, seed=7):
    return torch.randn(tokens, WIDTH, generator=torch.Generator().manual_seed(seed)) + 0.5


def loss_by_definition(x, encoder, decoder, bias, offset, penalty, centering):
    """The module's formulas, word by word, for autograd."""
    centred = x - x.mean(1, keepdim=True) - offset if centering == "element" else x - offset
    f = torch.relu(centred @ encoder.T + bias[:, 0])
    mse = ((f @ decoder + offset - x) ** 2).mean()
    return mse + penalty * f.sum(1).mean(), mse, f


def expected(sae, x):
    leaves = [w.double().requires_grad_() for w in sae._weights.values()]
    loss, mse, f = loss_by_definition(x.double(), *leaves, PENALTY, sae.settings.centering)
    return torch.autograd.grad(loss, leaves), mse, f


@pytest.fixture(params=["dense", "sparse", "gpu"])
def path(request, monkeypatch):
    """Force the dense products, the sparse ones, or all that a GPU runs (on the CPU's tensors)."""
    below = 1.0 if request.param == "sparse" else 0.0
    monkeypatch.setattr(one_layer, "SPARSE_BELOW", dict.fromkeys(one_layer.SPARSE_BELOW, below))
    if request.param == "gpu":
        no_kernels(monkeypatch)


def no_kernels(monkeypatch):
    def kernel(*_):
        raise AssertionError("a GPU has no numba kernels")

    for name in ("count_positive", "compress", "decode", "by_feature", "gradients"):
        monkeypatch.setattr(one_layer.sparse, name, kernel)
    monkeypatch.setattr(one_layer, "update_rows", kernel)
    never = property(lambda _: False, lambda *_: None)
    monkeypatch.setattr(Autoencoder, "kernels", never, raising=False)


@pytest.fixture
def taken(monkeypatch):
    """The gradients that reach Adam, by weight's id, scale applied; no step is taken."""
    seen = {}

    def note(weight, gradient, moments, pace, rule, unit=False, copy=None):
        seen[id(weight)] = gradient.double() * rule.scale

    monkeypatch.setattr(one_layer, "update_rows", note)
    monkeypatch.setattr(one_layer, "update_rows_torch", note)
    return seen


@pytest.mark.parametrize("centering", ["element", "none"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_gradients_are_those_of_autograd(path, taken, centering, precision, tolerance):
    sae, x = autoencoder(precision, centering=centering), batch()
    gradients, mse, f = expected(sae, x)
    step = sae.step(x, 1e-3, PENALTY)
    for name, gradient in zip(sae._weights, gradients, strict=True):
        found = taken[id(sae._weights[name])]
        assert (found - gradient).norm() <= tolerance * gradient.norm(), name
    assert step.mse == pytest.approx(mse.item(), rel=tolerance)
    assert step.l1 == pytest.approx(f.sum(1).mean().item(), rel=tolerance)
    if precision == "float32":
        assert step.l0 == (f > 0).sum(1).double().mean().item()
        assert torch.equal(step.fired, (f > 0).any(0))


def test_every_form_of_a_step_agrees(monkeypatch):
    states, told = [], []
    for form in ("dense", "sparse", "gpu"):
        monkeypatch.setitem(one_layer.SPARSE_BELOW, torch.float32, float(form == "sparse"))
        if form == "gpu":
            no_kernels(monkeypatch)
        sae = autoencoder()
        told.append([sae.step(batch(seed=i), 1e-2, PENALTY)[:3] for i in range(20)])
        states.append(sae.state)
    for state, steps in zip(states[1:], told[1:], strict=True):
        for name in ("encoder", "decoder", "bias", "offset"):
            torch.testing.assert_close(states[0][name], state[name], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(torch.tensor(told[0]), torch.tensor(steps), rtol=1e-3, atol=0.05)


def test_the_products_weights_follow_the_master_weights(path):
    sae = autoencoder("bfloat16")
    for i in range(3):
        sae.step(batch(seed=i), 1e-2, PENALTY)
        assert torch.equal(sae._encoder, sae.encoder.bfloat16())
        assert torch.equal(sae._decoder, sae.decoder.bfloat16())


def test_decoder_vectors_keep_unit_norm(path):
    sae = autoencoder()
    for i in range(30):
        sae.step(batch(seed=i), 1e-2, PENALTY)
    torch.testing.assert_close(sae.decoder.norm(dim=1), torch.ones(sae.features))


def test_steps_lower_the_loss(path):
    sae, x = autoencoder(), batch(400)
    first = sae.step(x, 3e-3, 1e-3)
    for _ in range(200):
        last = sae.step(x, 3e-3, 1e-3)
    assert last.mse + 1e-3 * last.l1 < 0.5 * (first.mse + 1e-3 * first.l1)


def test_revived_features_start_afresh():
    sae, dead = autoencoder(), torch.tensor([2, 9])
    for i in range(5):
        sae.step(batch(seed=i), 1e-2, PENALTY)
    inputs = batch(2, seed=99)
    before = {name: tensor.clone() for name, tensor in sae.state.items()}
    sae.revive(dead, inputs)
    direction = torch.nn.functional.normalize(inputs - sae.offset, dim=1)
    torch.testing.assert_close(sae.decoder[dead], direction)
    living = torch.ones(sae.features, dtype=torch.bool)
    living[dead] = False
    norm = 0.2 * before["encoder"][living].norm(dim=1).mean()
    torch.testing.assert_close(sae.encoder[dead], direction * norm)
    for name, tensor in sae.state.items():
        if len(tensor) == sae.features:
            assert torch.equal(tensor[living], before[name][living]), name
            if name not in ("encoder", "decoder"):
                assert not tensor[dead].any(), name
    sae.step(batch(seed=50), 1e-2, PENALTY)
    assert sae.steps[dead].tolist() == [1, 1] and sae.steps[0] == 6


def test_a_revived_features_first_step_is_as_large_as_any_first_step():
    sae, dead = autoencoder(), torch.tensor([2])
    for i in range(200):
        sae.step(batch(seed=i), 1e-3, PENALTY)
    sae.revive(dead, batch(1, seed=99))
    sae.bias[dead] = 1.0  # so that it surely fires
    sae._copy_weights()
    before = sae.encoder[2].clone()
    sae.step(batch(seed=50), 1e-3, PENALTY)
    change = (sae.encoder[2] - before).abs()
    assert change.max() <= 1.01e-3 and change.mean() > 0.9e-3


def test_the_seed_decides_the_start():
    def decoder(seed):
        settings = Relu(kind="relu", expansion=4)
        return Autoencoder(settings, WIDTH, seed, torch.device("cpu")).decoder

    assert torch.equal(decoder(1), decoder(1))
    assert not torch.equal(decoder(1), decoder(2))


@pytest.mark.parametrize("centering", ["element", "none"])
@pytest.mark.parametrize("scale", [1.0, 3.7])
def test_folding_gives_the_trained_form_on_raw_activations(centering, scale):
    sae = autoencoder(centering=centering)
    raw = batch(300).double() / scale
    folded = sae.dictionary(scale)
    leaves = [w.double() for w in sae._weights.values()]
    _, _, f = loss_by_definition(raw * scale, *leaves, 0.0, centering)
    found = folded.encode(raw.float())
    assert (found - f / scale).norm() <= 1e-5 * (f / scale).norm()
    reconstruction = (f @ leaves[1] + leaves[3]) / scale
    torch.testing.assert_close(folded.decode(found).double(), reconstruction, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        sae.reconstruct((raw * scale).float()).double() / scale,
        reconstruction,
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_restored_state_goes_on_bit_for_bit(path):
    first, second = autoencoder("bfloat16"), autoencoder("bfloat16")
    for each in (first, second):
        each.prepare(steps=10, element=1.0)
    for i in range(5):
        first.step(batch(seed=i), 1e-2, PENALTY)
    state = {name: tensor.clone() for name, tensor in first.state.items()}
    second.restore(state, first.notes)
    for i in range(5, 10):
        first.step(batch(seed=i), 1e-2, PENALTY)
        second.step(batch(seed=i), 1e-2, PENALTY)
    for name, tensor in first.state.items():
        assert torch.equal(tensor, second.state[name]), name
