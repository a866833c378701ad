"""The metrics against a direct computation, one block at a time."""

import functools
import json
import weakref

import numpy as np
import pytest
import torch

from featflow.core.config.errors import FeatflowError
from featflow.core.provenance import Provenance
from featflow.core.slices import MetricsSlice, Windows
from featflow.models.hooked import HookedModel, batches
from featflow.saes import metrics, saelens
from featflow.saes.explained import LEAST_GAP
from featflow.saes.metrics import Sums, evaluate, ratios, run
from featflow.saes.saelens import Folded
from tests.saes.conftest import HOOK, WINDOWS


@pytest.fixture(scope="module")
def model(model_folder):
    return HookedModel.load(model_folder, HOOK, "cpu")


@pytest.fixture(scope="module")
def sae():
    generator = torch.Generator().manual_seed(0)
    decoder = torch.randn(64, 48, generator=generator)
    decoder /= decoder.norm(dim=1, keepdim=True)
    bias = torch.full((64,), -1e-3)
    bias[:5] = -10  # never fire
    offset = 0.01 * torch.randn(48, generator=generator)
    return Folded(W_enc=0.5 * decoder.T.contiguous(), b_enc=bias, W_dec=decoder, b_dec=offset)


def direct(sae, model, ids, kept, length, count):
    """x, f, and the summed losses clean, replaced and zeroed, block after block."""
    x, f, losses = [], [], np.zeros(3)
    for i in range(count):
        block = torch.from_numpy(ids[i * length : (i + 1) * length].astype(np.int64))[None]
        inside = torch.zeros(length, dtype=torch.bool)
        inside[kept] = True

        def sae_there(value, inside=inside):
            return torch.where(inside[None, :, None], sae.decode(sae.encode(value)), value)

        def zero_there(value, inside=inside):
            return torch.where(inside[None, :, None], torch.zeros_like(value), value)

        for j, replace in enumerate([None, sae_there, zero_there]):
            losses[j] += model.losses(block, replace)[0][inside[:-1]].double().sum().item()
        x.append(model.activations(block)[0][inside])
        f.append(sae.encode(x[-1]))
    return torch.cat(x).double(), torch.cat(f).double(), losses


@pytest.mark.parametrize("context", ["full", "truncated"])
def test_metrics_are_those_of_a_direct_computation(sae, model, token_ids, context):
    windows = Windows(window=8, context=context, context_length=32)
    length, kept, blocks = (32, slice(8, 32), 5) if context == "full" else (8, slice(0, 8), 15)
    corpora = {"a": token_ids[:400], "b": token_ids[700:1500]}
    found = evaluate(sae, model, corpora, windows, 120, scale=3.0)
    parts = {name: direct(sae, model, ids, kept, length, blocks) for name, ids in corpora.items()}
    whole = tuple(torch.cat([p[i] for p in parts.values()]) for i in (0, 1))
    whole = (*whole, sum(p[2] for p in parts.values()))
    for given, (x, f, losses) in [
        (found, whole),
        *((found["corpora"][n], parts[n]) for n in parts),
    ]:
        error = x - sae.decode(f.float()).double()
        assert given["tokens"] == len(x) > 0
        assert given["l0"] == pytest.approx((f > 0).sum(1).double().mean().item())
        assert given["mse"] == pytest.approx(error.square().mean().item(), rel=1e-5)
        assert given["mse_scaled"] == pytest.approx(9 * given["mse"])
        fve = 1 - error.square().sum() / (x - x.mean(0)).square().sum()
        assert given["fve"] == pytest.approx(fve.item(), rel=1e-4)
        clean, replaced, zeroed = losses
        for what, loss in [("clean", clean), ("sae", replaced), ("zero", zeroed)]:
            mean = loss / (len(x) * (23 / 24 if context == "full" else 7 / 8))
            assert given[f"loss_{what}"] == pytest.approx(mean, rel=1e-5)
        assert zeroed - clean < LEAST_GAP * len(x) and given["explained_loss"] is None
        assert given["dead_fraction"] == (f.sum(0) == 0).double().mean().item() >= 5 / 64


def test_batches_are_added_up_and_not_kept(sae, model, token_ids, monkeypatch):
    """The sum so far, a batch's, and their sum: no more are alive, of 30 batches."""
    monkeypatch.setattr(metrics, "batches", functools.partial(batches, tokens=32))
    alive: weakref.WeakSet = weakref.WeakSet()
    most = []
    measure = metrics.measure

    def counted(*arguments):
        found = measure(*arguments)
        alive.add(found)
        most.append(len(alive))
        return found

    monkeypatch.setattr(metrics, "measure", counted)
    monkeypatch.setattr(metrics.Sums, "__hash__", object.__hash__)
    evaluate(sae, model, {"a": token_ids}, WINDOWS, 24 * 30, 1.0)
    assert len(most) == 30 and max(most) <= 3


def test_the_histogram_holds_every_living_feature(sae, model, token_ids):
    found = evaluate(sae, model, {"a": token_ids}, WINDOWS, 500, 1.0)
    living = 64 * (1 - found["dead_fraction"])
    assert sum(found["density"]["features"]) == round(living)
    assert len(found["density"]["log10_edges"]) == len(found["density"]["features"]) + 1


def test_explained_loss_is_null_where_zeroing_costs_next_to_nothing():
    def found(clean: float, replaced: float, zeroed: float):
        sums = Sums(10, 1.0, torch.ones(2), 30.0, torch.ones(3), 8, clean, replaced, zeroed)
        return ratios(sums, 1.0)["explained_loss"]

    assert found(8 * 2.0, 8 * 2.2, 8 * 3.0) == pytest.approx(0.8)
    assert found(8 * 2.0, 8 * 2.02, 8 * 2.051) == pytest.approx(0.031 / 0.051, rel=1e-6)
    assert found(8 * 2.0, 8 * 2.02, 8 * 2.049) is None
    assert found(8 * 2.0, 8 * 2.2, 8 * 1.9) is None  # it even helps
    assert found(8 * 2.0, 8 * 2.2, 8 * 2.0) is None


def test_the_rule_holds_for_each_corpus_and_for_all_together(model_folder, token_ids):
    """At the residual stream zeroing costs a lot; on text of one token it costs nothing."""
    hooked = HookedModel.load(model_folder, "blocks.0.hook_resid_post", "cpu")
    lose = 0.5 * torch.eye(32)
    half = Folded(torch.cat([lose, -lose], 1), torch.zeros(64), torch.eye(32).repeat(2, 1),
                  torch.zeros(32))  # fmt: skip
    half.W_dec[32:] *= -1
    found = evaluate(half, hooked, {"a": token_ids, "b": token_ids[::-1].copy()}, WINDOWS, 500, 1.0)
    for each in (found, *found["corpora"].values()):
        gap = each["loss_zero"] - each["loss_clean"]
        expected = (each["loss_zero"] - each["loss_sae"]) / gap if gap >= LEAST_GAP else None
        assert each["explained_loss"] == (expected and pytest.approx(expected))


@pytest.mark.parametrize("windows", [(1, "truncated", 1), (1, "full", 2)])
def test_windows_that_predict_nothing_have_no_loss(sae, model, token_ids, windows):
    window, context, length = windows
    cut = Windows(window=window, context=context, context_length=length)
    found = evaluate(sae, model, {"a": token_ids}, cut, 100, 1.0)
    for each in (found, found["corpora"]["a"]):
        assert [each[f"loss_{what}"] for what in ("clean", "sae", "zero")] == [None] * 3
        assert each["explained_loss"] is None and each["tokens"] == 100
        assert each["l0"] > 0 and each["fve"] is not None


def test_activations_that_never_change_have_no_variance_to_explain(sae, model, token_ids):
    same = np.full_like(token_ids, 7)
    cut = Windows(window=1, context="truncated", context_length=1)
    found = evaluate(sae, model, {"a": same}, cut, 100, 1.0)
    assert found["fve"] is None and found["mse"] > 0


def test_a_perfect_sae_explains_all(model, token_ids):
    eye = torch.eye(48)
    perfect = Folded(
        W_enc=torch.cat([eye, -eye], 1),
        b_enc=torch.zeros(96),
        W_dec=torch.cat([eye, -eye]),
        b_dec=torch.zeros(48),
    )
    found = evaluate(perfect, model, {"a": token_ids}, WINDOWS, 500, 1.0)
    assert found["loss_sae"] == pytest.approx(found["loss_clean"], rel=1e-6)
    assert found["fve"] == pytest.approx(1) and found["l0"] == 48


def test_a_corpus_without_a_block_is_named(sae, model, token_ids):
    with pytest.raises(FeatflowError, match=r"short.*20"):
        evaluate(sae, model, {"short": token_ids[:20]}, WINDOWS, 100, 1.0)


def test_the_stage_measures_a_folder(model_folder, token_ids, save_tokens, sae, model, tmp_path):
    cfg = MetricsSlice(
        study="demo",
        model="m",
        sae="main",
        hook=HOOK,
        corpora=["a", "b"],
        windows=WINDOWS,
        tokens=200,
    )
    folder, output = tmp_path / "main", tmp_path / "main" / "metrics.json"
    saelens.save(folder, sae, {"scale": 3.0}, Provenance("sae", cfg))
    streams = {"a": token_ids[:400], "b": token_ids[400:900]}
    tokens = [save_tokens(name, ids) for name, ids in streams.items()]
    run(cfg, model=model_folder, sae=folder, tokens=tokens, output=output)
    found = json.loads(output.read_text())
    expected = evaluate(sae, model, streams, WINDOWS, 200, 3.0)
    assert {key: found[key] for key in expected} == expected
    assert found["mse_scaled"] == pytest.approx(9 * found["mse"])
