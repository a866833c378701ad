"""The metrics against a direct computation, one block at a time."""

import json
import weakref

import numpy as np
import pytest
import torch

from featflow.core.config.errors import FeatflowError
from featflow.core.provenance import Provenance
from featflow.core.slices import MetricsSlice, Windows
from featflow.models.hooked import HookedModel
from featflow.saes import metrics, saelens
from featflow.saes.metrics import evaluate, run
from featflow.saes.saelens import Folded
from tests.saes.conftest import HOOK, NONE, WINDOWS


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


def direct(sae, model, ids, chosen, length, first, no_text, special):
    """x, f, whether rows are text, and the summed losses clean, replaced and zeroed, by block."""
    x, f, text, losses = [], [], [], np.zeros(3)
    for i in chosen:
        block = torch.from_numpy(ids[i * length : (i + 1) * length].astype(np.int64))[None]
        is_text = ~torch.isin(block[0], torch.from_numpy(no_text).long())
        is_text[0] = False
        inside = torch.arange(length) >= first
        if special == "drop":
            inside &= is_text

        def sae_there(value, inside=inside):
            return torch.where(inside[None, :, None], sae.decode(sae.encode(value)), value)

        def zero_there(value, inside=inside):
            return torch.where(inside[None, :, None], torch.zeros_like(value), value)

        for j, replace in enumerate([None, sae_there, zero_there]):
            losses[j] += model.losses(block, replace)[0][inside[:-1]].double().sum().item()
        x.append(model.activations(block)[0][inside])
        f.append(sae.encode(x[-1]))
        text.append(is_text[inside])
    return torch.cat(x).double(), torch.cat(f).double(), torch.cat(text), losses


def rows_of(corpora, windows, tokens, special=NONE):
    cfg = slice_of(list(corpora), windows, tokens)
    return {name: metrics.probe(ids, name, cfg, special) for name, ids in corpora.items()}


def slice_of(corpora, windows, tokens):
    return MetricsSlice(
        study="demo",
        model="m",
        sae="main",
        hook=HOOK,
        corpora=corpora,
        windows=windows,
        tokens=tokens,
        blocks_seed=4,
    )


@pytest.mark.parametrize("special", ["drop", "keep"])
@pytest.mark.parametrize("context", ["full", "truncated"])
def test_metrics_are_those_of_a_direct_computation(sae, model, token_ids, context, special):
    windows = Windows(window=8, context=context, context_length=32, special=special)
    length, first, blocks = (32, 8, 5) if context == "full" else (8, 0, 15)
    corpora = {"a": token_ids[:400], "b": token_ids[700:1500]}
    no_text = np.unique(token_ids)[1:4]
    rows = rows_of(corpora, windows, 120, no_text)
    assert all(len(found) == blocks for found in rows.values())
    longest = float(model.activations(torch.from_numpy(token_ids[None, :32].astype(np.int64)))
                    .norm(dim=2).median() * 1.2)  # fmt: skip
    found = evaluate(sae, model, rows, 3.0, longest)
    parts = {
        name: direct(sae, model, ids, rows[name].chosen, length, first, no_text, special)
        for name, ids in corpora.items()
    }
    whole = tuple(torch.cat([p[i] for p in parts.values()]) for i in (0, 1, 2))
    whole = (*whole, sum(p[3] for p in parts.values()))
    for given, (x, f, text, losses) in [
        (found, whole),
        *((found["corpora"][n], parts[n]) for n in parts),
    ]:
        error = x - sae.decode(f.float()).double()
        assert given["tokens"] == len(x) > 0
        assert given["l0"] == pytest.approx((f > 0).sum(1).double().mean().item())
        inside = text & (x.norm(dim=1) <= longest)
        assert 0.1 < inside.double().mean() < 0.95
        for suffix, some in (("", slice(None)), ("_without_outliers", inside)):
            e, y = error[some], x[some]
            variance = (y - y.mean(0)).square().sum(0)
            assert given[f"mse{suffix}"] == pytest.approx(e.square().mean().item(), rel=1e-5)
            fve = 1 - e.square().sum() / variance.sum()
            assert given[f"fve{suffix}"] == pytest.approx(fve.item(), rel=1e-4)
            each = (1 - e.square().sum(0) / variance).mean()
            assert given[f"fve_by_dimension{suffix}"] == pytest.approx(each.item(), rel=1e-4)
        assert given["mse_scaled"] == pytest.approx(9 * given["mse"])
        explained = (losses[2] - losses[1]) / (losses[2] - losses[0])
        assert given["explained_loss"] == pytest.approx(explained, rel=1e-2)
        assert given["dead_fraction"] == (f.sum(0) == 0).double().mean().item() >= 5 / 64
    inside = whole[2] & (whole[0].norm(dim=1) <= longest)
    assert found["outliers"]["rows"] == (~inside).sum()
    counted = found["outliers"]["corpora"]
    assert counted["a"] == (~inside[: len(parts["a"][0])]).sum()
    assert sum(counted.values()) == found["outliers"]["rows"]
    listed = found["outliers"]["tokens"]
    assert [e["rows"] for e in listed] == sorted((e["rows"] for e in listed), reverse=True)
    if special == "keep":
        assert {e["id"] for e in listed} & {*no_text}


def test_batches_are_added_up_and_not_kept(sae, model, token_ids, monkeypatch):
    """The sum so far, a batch's, and their sum: no more are alive, of 30 batches."""
    monkeypatch.setattr(metrics, "TOKENS_A_BATCH", 32)
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
    evaluate(sae, model, rows_of({"a": token_ids}, WINDOWS, 24 * 30))
    assert len(most) == 30 and max(most) <= 3


def test_the_histogram_holds_every_living_feature(sae, model, token_ids):
    found = evaluate(sae, model, rows_of({"a": token_ids}, WINDOWS, 500))
    living = 64 * (1 - found["dead_fraction"])
    assert sum(found["density"]["features"]) == round(living)
    assert len(found["density"]["log10_edges"]) == len(found["density"]["features"]) + 1


def test_a_perfect_sae_explains_all(model, token_ids):
    eye = torch.eye(48)
    perfect = Folded(
        W_enc=torch.cat([eye, -eye], 1),
        b_enc=torch.zeros(96),
        W_dec=torch.cat([eye, -eye]),
        b_dec=torch.zeros(48),
    )
    found = evaluate(perfect, model, rows_of({"a": token_ids}, WINDOWS, 500))
    assert found["explained_loss"] == pytest.approx(1, abs=1e-3)
    assert found["fve"] == pytest.approx(1) and found["l0"] == 48


def test_a_corpus_without_a_block_is_named(token_ids):
    with pytest.raises(FeatflowError, match=r"short.*20"):
        rows_of({"short": token_ids[:20]}, WINDOWS, 100)


def test_the_stage_measures_a_folder(model_folder, token_ids, save_tokens, sae, model, tmp_path):
    cfg = slice_of(["a", "b"], WINDOWS, 200)
    folder, output = tmp_path / "main", tmp_path / "main" / "metrics.json"
    saelens.save(folder, sae, {"scale": 3.0, "longest": 0.01}, Provenance("sae", cfg))
    streams = {"a": token_ids[:400], "b": token_ids[400:900]}
    tokens = [save_tokens(name, ids) for name, ids in streams.items()]
    run(cfg, model=model_folder, sae=folder, tokens=tokens, output=output)
    found = json.loads(output.read_text())
    assert found["outliers"]["tokens"][0].pop("text")
    expected = evaluate(sae, model, rows_of(streams, WINDOWS, 200, np.arange(3)), 3.0, 0.01)
    for entry in found["outliers"]["tokens"][1:]:
        entry.pop("text")
    assert {key: found[key] for key in expected} == expected
    assert found["mse_scaled"] == pytest.approx(9 * found["mse"])
