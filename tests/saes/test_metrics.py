"""The metrics against a direct computation, one block at a time."""

import json
import weakref
from collections import Counter

import numpy as np
import pytest
import torch

from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.models.hooked import HookedModel
from featflow.plan.slices import Windows
from featflow.plan.stages.saes import MetricsSlice
from featflow.saes import metrics, saelens
from featflow.saes.architectures.relu import ReluDictionary
from featflow.saes.explained import LEAST_GAP
from featflow.saes.metrics import Errors, Sums, evaluate, ratios, run
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
    return ReluDictionary(
        W_enc=0.5 * decoder.T.contiguous(), b_enc=bias, W_dec=decoder, b_dec=offset
    )


def direct(sae, model, ids, chosen, length, first, no_text, special):
    """x, f, whether rows are text, and the summed losses clean, replaced and zeroed, and how many
    predictions these are of."""
    x, f, text, losses = [], [], [], np.zeros(4)
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
        losses[3] += int(inside[:-1].sum())
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
        for what, loss in zip(("clean", "sae", "zero"), losses[:3], strict=True):
            assert given[f"loss_{what}"] == pytest.approx(loss / losses[3], rel=1e-5)
        assert losses[2] - losses[0] < LEAST_GAP * losses[3] and given["explained_loss"] is None
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


def test_explained_loss_is_null_where_zeroing_costs_next_to_nothing():
    def found(clean: float, replaced: float, zeroed: float):
        errors = Errors(10, torch.ones(2), torch.ones(2), torch.full((2,), 30.0))
        losses = (8, clean, replaced, zeroed)
        sums = Sums(errors, errors, Counter(), torch.ones(3), *losses)
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
    half = ReluDictionary(torch.cat([lose, -lose], 1), torch.zeros(64), torch.eye(32).repeat(2, 1),
                  torch.zeros(32))  # fmt: skip
    half.W_dec[32:] *= -1
    found = evaluate(
        half, hooked, rows_of({"a": token_ids, "b": token_ids[::-1].copy()}, WINDOWS, 500)
    )
    for each in (found, *found["corpora"].values()):
        gap = each["loss_zero"] - each["loss_clean"]
        expected = (each["loss_zero"] - each["loss_sae"]) / gap if gap >= LEAST_GAP else None
        assert each["explained_loss"] == (expected and pytest.approx(expected))


@pytest.mark.parametrize("windows", [(1, "truncated", 1), (1, "full", 2)])
def test_windows_that_predict_nothing_have_no_loss(sae, model, token_ids, windows):
    window, context, length = windows
    cut = Windows(window=window, context=context, context_length=length, special="keep")
    found = evaluate(sae, model, rows_of({"a": token_ids}, cut, 100))
    for each in (found, found["corpora"]["a"]):
        assert [each[f"loss_{what}"] for what in ("clean", "sae", "zero")] == [None] * 3
        assert each["explained_loss"] is None and each["tokens"] == 100
        assert each["l0"] > 0 and each["fve"] is not None


def test_activations_that_never_change_have_no_variance_to_explain(sae, model, token_ids):
    same = np.full_like(token_ids, 7)
    cut = Windows(window=1, context="truncated", context_length=1, special="keep")
    found = evaluate(sae, model, rows_of({"a": same}, cut, 100))
    assert found["fve"] is None and found["mse"] > 0


def test_a_perfect_sae_explains_all(model, token_ids):
    eye = torch.eye(48)
    perfect = ReluDictionary(
        W_enc=torch.cat([eye, -eye], 1),
        b_enc=torch.zeros(96),
        W_dec=torch.cat([eye, -eye]),
        b_dec=torch.zeros(48),
    )
    found = evaluate(perfect, model, rows_of({"a": token_ids}, WINDOWS, 500))
    assert found["loss_sae"] == pytest.approx(found["loss_clean"], rel=1e-6)
    assert found["fve"] == pytest.approx(1) and found["l0"] == 48


def test_a_corpus_without_a_block_is_named(token_ids):
    with pytest.raises(FeatflowError, match=r"short.*20"):
        rows_of({"short": token_ids[:20]}, WINDOWS, 100)


def test_a_corpus_without_a_row_is_named():
    cut = Windows(window=8, context="full", context_length=32)
    with pytest.raises(
        FeatflowError, match=r"no token of empty's windows is text; .*special: keep"
    ):
        rows_of({"empty": np.full(320, 7, np.int32)}, cut, 100, np.array([7]))


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
