"""TopK: which features fire, its gradients against autograd, its dead, a planted dictionary."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.config.saes import Activations, Auxiliary, TopK
from featflow.plan.slices import Slice
from featflow.runtime.checkpoints import Checkpoints
from featflow.saes import one_layer, saelens
from featflow.saes.architectures.topk import Autoencoder, TopKDictionary
from featflow.saes.codes import Encoder
from featflow.saes.training import Training
from tests.features import dense
from tests.saes.conftest import Planted

WIDTH, TOKENS, K = 12, 40, 5
CPU = torch.device("cpu")


def autoencoder(**more) -> Autoencoder:
    """Off its start."""
    kind = TopK(kind="topk", expansion=4, k=K, precision="float32", **more)
    sae = Autoencoder(kind, WIDTH, 3, CPU)
    generator = torch.Generator().manual_seed(5)
    for weight, size in ((sae.encoder, 0.3), (sae.bias, 0.2), (sae.offset, 1.0)):
        weight.add_(size * torch.randn(weight.shape, generator=generator))
    return sae


def batch(tokens=TOKENS, seed=7):
    return torch.randn(tokens, WIDTH, generator=torch.Generator().manual_seed(seed)) + 0.5


def by_definition(x, encoder, decoder, bias, offset, dead, k_aux, weight):
    """The module's formulas, word by word, for autograd; numpy says which are the largest."""
    pre = (x - offset) @ encoder.T + bias[:, 0]
    order = np.argsort(-pre.detach().numpy(), axis=1)[:, :K]
    chosen = torch.zeros_like(pre).scatter_(1, torch.from_numpy(order), 1.0)
    f = torch.relu(pre) * chosen
    error = x - (f @ decoder + offset)
    mse = (error**2).mean()
    if not len(dead):
        return mse, f, 0.0
    of_dead = pre[:, dead]
    order = np.argsort(-of_dead.detach().numpy(), axis=1)[:, :k_aux]
    chosen = torch.zeros_like(of_dead).scatter_(1, torch.from_numpy(order), 1.0)
    aux = ((error.detach() - (torch.relu(of_dead) * chosen) @ decoder[dead]) ** 2).mean()
    return mse + weight * aux, f, float(aux)


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("dead", [[], [3], [1, 7, 20, 33]])
def test_gradients_are_those_of_autograd(monkeypatch, form, dead):
    below = dict.fromkeys(one_layer.SPARSE_BELOW, 2.0 if form == "sparse" else 0.0)
    monkeypatch.setattr(one_layer, "SPARSE_BELOW", below)
    seen = {}

    def note(weight, gradient, moments, pace, rule, unit=False, copy=None):
        seen[id(weight)] = gradient.double() * rule.scale

    monkeypatch.setattr(one_layer, "update_rows", note)
    sae, x = autoencoder(auxiliary=Auxiliary(k=2, weight=0.3)), batch()
    sae.bias[dead] -= 0.5  # silent for the most part, but not at once
    silent = torch.tensor(dead, dtype=torch.int64)
    leaves = [weight.double().requires_grad_() for weight in sae._weights.values()]
    loss, f, aux = by_definition(x.double(), *leaves, silent, min(2, len(dead)), 0.3)
    expected = torch.autograd.grad(loss, leaves)
    told = sae.learn(x, 1, 1e-3, lambda: silent)
    assert told.loss == pytest.approx(loss.item(), rel=1e-5)
    assert told.record["aux"] == pytest.approx(aux, rel=1e-5)
    assert told.record["l0"] == pytest.approx(float((f > 0).sum(1).double().mean()))
    assert torch.equal(told.fired, (f > 0).any(0))
    for weight, gradient in zip(sae._weights.values(), expected, strict=True):
        torch.testing.assert_close(seen[id(weight)], gradient, rtol=1e-4, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 40), st.data())
def test_codes_are_the_k_largest_above_zero(seed, rows, features, data):
    k = data.draw(st.integers(1, features))
    generator = torch.Generator().manual_seed(seed)
    shapes = {"W_enc": (6, features), "b_enc": (features,), "W_dec": (features, 6), "b_dec": (6,)}
    weights = {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    sae, x = TopKDictionary(**weights, k=k), torch.randn(rows, 6, generator=generator)
    f = sae.encode(x)
    pre = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc).numpy()
    limit = np.sort(pre, axis=1)[:, -k][:, None]
    np.testing.assert_array_equal(f.numpy(), np.where(pre >= limit, np.maximum(pre, 0), 0))
    for one, other in zip(Encoder(sae).codes(x), dense.nonzeros(f), strict=True):
        np.testing.assert_array_equal(one, other)


def test_norms_that_have_a_say_are_folded_in(tmp_path):
    """As SAELens computes with rescale_acts_by_decoder_norm: a · ‖d‖ chooses, a / ‖d‖ decodes."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (6, 30), "b_enc": (30,), "W_dec": (30, 6), "b_dec": (6,)}
    weights = {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    saelens.save(
        tmp_path, TopKDictionary(**weights, k=4), {}, Provenance("sae", Slice(study="demo"))
    )
    cfg = json.loads((tmp_path / "cfg.json").read_text())
    cfg["rescale_acts_by_decoder_norm"] = True
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    x, norms = torch.randn(20, 6, generator=generator), weights["W_dec"].norm(dim=1)
    pre = ((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]) * norms
    values, chosen = pre.topk(4, dim=1)
    f = torch.zeros_like(pre).scatter_(1, chosen, values.relu())
    found = saelens.load(tmp_path)
    torch.testing.assert_close(found.encode(x), f)
    torch.testing.assert_close(
        found.decode(found.encode(x)), (f / norms) @ weights["W_dec"] + weights["b_dec"]
    )


def test_more_than_there_are_cannot_fire():
    sae = Autoencoder(TopK(kind="topk", expansion=1, k=13), WIDTH, 0, CPU)
    with pytest.raises(FeatflowError, match=r"^k: 13 features .* the SAE has 12; use a smaller k"):
        sae.prepare(10, 1.0)


@pytest.fixture(autouse=True)
def checkpoints_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))


def training(**more) -> Training:
    """Of planted activations, in which two of 24 features are active at a token."""
    fast = {
        "kind": "topk", "expansion": 2, "k": 3, "tokens": 8 * 32 * 600, "batch": 32,
        "learning_rate": 3e-3, "betas": (0.9, 0.999), "precision": "float32", "decay": 0.2,
    }  # fmt: skip
    return Training(TopK(**{**fast, **more}), Planted(), 1, Activations(), CPU)


def test_a_planted_dictionary_is_recovered():
    with Checkpoints("sae") as checkpoints:
        run = training(tokens=8 * 32 * 1200, learning_rate=6e-3).run(checkpoints)
    best = (Planted().directions @ run.autoencoder.decoder.T).max(1).values
    assert (best > 0.95).float().mean() >= 0.9 and best.mean() > 0.95
    assert set(run.table) == {
        "step", "tokens", "loss", "mse", "l0", "aux", "dead", "revived", "learning_rate",
    }  # fmt: skip
    assert run.table.l0.max() <= 3 and run.table.mse.iloc[-1] < 0.3 * run.table.mse.iloc[0]


def test_auxk_brings_the_dead_back():
    """Half of the features begin so low that hardly one of them is ever among the largest."""

    def dead_at_the_end(auxiliary) -> float:
        with Checkpoints("sae" if auxiliary else "without") as checkpoints:
            run = training(auxiliary=auxiliary, decay=0.0)
            run.sae.bias[::2] = -3.0
            return float(run.run(checkpoints).table.dead.iloc[-1])

    assert dead_at_the_end(auxiliary=None) > 0.3
    assert dead_at_the_end(auxiliary=Auxiliary(silent=0.02)) < 0.2


class Killed(Exception):
    """Instead of a signal."""


@pytest.mark.parametrize("at", [2, 171])
def test_a_killed_run_goes_on_bit_for_bit(monkeypatch, at):
    def run(name, at=None):
        made = training(tokens=8 * 32 * 250, auxiliary=Auxiliary(silent=0.02))
        step = made.step

        def killed(number, batch):
            if number == at:
                raise Killed
            step(number, batch)

        made.step = killed
        with Checkpoints(name) as checkpoints:
            return made.run(checkpoints)

    expected = run("whole")
    assert (expected.table.aux > 0).any()
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")
    with pytest.raises(Killed):
        run("killed", at)
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "600")
    found = run("killed")
    assert expected.table.equals(found.table)
    for name, tensor in expected.autoencoder.state.items():
        assert torch.equal(tensor, found.autoencoder.state[name]), name
