"""Loss and accuracy against the model's own, position by position."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from featflow.artifacts.io import ArtifactError, load_json, load_provenance, load_tensors
from featflow.config.errors import FeatflowError
from featflow.data.windows import drawn
from featflow.models import evaluate
from featflow.models.folder import block_length, load_model
from featflow.plan.stages.models import EvaluateSlice


def direct(model, blocks: np.ndarray) -> tuple[float, float]:
    """Loss and accuracy from all logits at once, in float64."""
    ids = torch.from_numpy(blocks.astype(np.int64))
    with torch.no_grad():
        logits = model(ids).logits.double()[:, :-1]
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    return loss.item(), (logits.argmax(-1) == ids[:, 1:]).double().mean().item()


def test_measured_is_the_direct_computation(base, corpora, monkeypatch):
    monkeypatch.setattr(evaluate, "BATCH_TOKENS", 3 * 32)
    model = load_model(base)
    blocks = load_tensors(corpora["one"])["input_ids"][: 50 * 32].reshape(50, 32)
    found = evaluate.measure(model, blocks)
    loss, accuracy = direct(model, blocks)
    assert found.loss == pytest.approx(loss, rel=1e-5)
    assert found.accuracy == accuracy
    assert found.tokens == 50 * 31
    assert 0.3 < accuracy < 0.9


@pytest.mark.parametrize("tokens", [1, 32, 5 * 32, 10**6])
def test_the_size_of_a_pass_changes_nothing(base, corpora, monkeypatch, tokens):
    model = load_model(base)
    blocks = load_tensors(corpora["one"])["input_ids"][: 21 * 32].reshape(21, 32)
    expected = evaluate.measure(model, blocks)
    monkeypatch.setattr(evaluate, "PASS_TOKENS", {"cpu": tokens})
    found = evaluate.measure(model, blocks)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.accuracy == expected.accuracy and found.tokens == expected.tokens


def test_a_row_a_corpus_on_at_most_the_tokens_asked_for(base, corpora, tmp_path):
    cfg = EvaluateSlice(study="demo", model="base", corpora=["two", "long"], tokens=1000)
    output = tmp_path / "base.json"
    evaluate.run(cfg, model=base, tokens=[corpora["two"], corpora["long"]], output=output)
    results = load_json(output)
    assert list(results) == ["long", "two"]
    model = load_model(base)
    for name, found in results.items():
        ids = load_tensors(corpora[name])["input_ids"]
        loss, accuracy = direct(model, ids.reshape(-1, 32)[drawn(len(ids) // 32, 31, 0)])
        assert found["tokens"] == 31 * 31
        assert found["loss"] == pytest.approx(loss, rel=1e-5)
        assert found["accuracy"] == accuracy
        assert found["perplexity"] == pytest.approx(np.exp(loss), rel=1e-4)
    assert results["two"]["accuracy"] > results["long"]["accuracy"] + 0.2
    assert json.loads(output.read_text())["featflow"]["stage"] == "evaluate"


def test_a_corpus_may_be_called_as_the_provenance_is(base, corpora, tmp_path):
    names = ["featflow", "overall"]
    cfg = EvaluateSlice(study="demo", model="base", corpora=names, tokens=1000)
    output = tmp_path / "base.json"
    evaluate.run(cfg, model=base, tokens=[corpora["two"], corpora["long"]], output=output)
    assert list(load_json(output)) == names
    assert load_json(output)["featflow"]["tokens"] == 31 * 31
    provenance = load_provenance(output)
    assert provenance is not None and provenance["config"]["corpora"] == names


def test_the_perplexity_of_a_hopeless_model_is_null(base, corpora, tmp_path):
    assert evaluate.perplexity(0.0) == 1 and evaluate.perplexity(709.5) > 1e308
    assert evaluate.perplexity(709.8) is None and evaluate.perplexity(1e9) is None
    folder = shutil.copytree(base, tmp_path / "hopeless")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] *= 1e6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    cfg = EvaluateSlice(study="demo", model="hopeless", corpora=["one"], tokens=320)
    evaluate.run(cfg, model=folder, tokens=[corpora["one"]], output=tmp_path / "e.json")
    found = load_json(tmp_path / "e.json")["one"]
    assert found["loss"] > 1000 and found["perplexity"] is None
    assert "Infinity" not in (tmp_path / "e.json").read_text()


def test_logits_that_are_not_finite_are_told(base, corpora, tmp_path):
    folder = shutil.copytree(base, tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][:] = 1e38  # finite, as is every other weight
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ArtifactError, match="logits are NaN or infinite, though its weights are not"
    ):
        load_model(folder)
    model = load_model(base)
    model.get_output_embeddings().weight.data[:] = 1e38
    with pytest.raises(FeatflowError, match="the loss is nan: the model's logits are not finite"):
        evaluate.measure(model, load_tensors(corpora["one"])["input_ids"][:320].reshape(10, 32))


def test_a_block_of_one_token_predicts_nothing(base):
    with pytest.raises(FeatflowError, match="in blocks of 1 token nothing is predicted"):
        block_length(load_model(base), 1, base)
