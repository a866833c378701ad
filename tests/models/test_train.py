"""The loop: it learns, resumes to the bit, and is what torch and transformers compute."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional as F
from transformers import get_cosine_schedule_with_warmup

from featflow.artifacts.io import load_tensors
from featflow.config.models import Training
from featflow.models import train, training
from featflow.models.folder import load_model
from featflow.runtime.checkpoints import Stop
from tests.models.conftest import TRAINING, train_slice


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.fixture
def _every_step(monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")


def test_the_loss_falls_towards_what_can_be_known(base):
    table = pd.read_parquet(base / "training.parquet")
    assert table.columns.tolist() == ["step", "tokens", "loss", "learning_rate"]
    assert table.loss.iloc[0] == pytest.approx(np.log(300), abs=0.2)
    assert table.loss.iloc[-5:].mean() < 3.6
    steps = -(-2 * 250 // 8)  # two epochs of 2 × 125 blocks, 8 a step
    assert table.step.tolist() == list(range(1, steps + 1))
    assert table.tokens.iloc[-1] == 2 * 250 * 32


def test_the_same_slice_gives_the_same_bytes(base, corpora, tokenizer_file, tmp_path):
    tokens = [corpora["one"], corpora["two"]]
    train.run(
        train_slice(["one", "two"]), tokens=tokens, tokenizer=tokenizer_file, output=tmp_path / "m"
    )
    assert _bytes(tmp_path / "m") == _bytes(base)


@pytest.mark.usefixtures("_every_step")
def test_a_stopped_run_resumes_to_the_bit(base, corpora, tokenizer_file, tmp_path, monkeypatch):
    def attempt(stop_after: int | None):
        advance = training._Run.advance

        def stopping(self, ids):
            advance(self, ids)
            if self.step == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)

        with monkeypatch.context() as patch:
            patch.setattr(training._Run, "advance", stopping)
            cfg, tokens = train_slice(["one", "two"]), [corpora["one"], corpora["two"]]
            train.run(cfg, tokens=tokens, tokenizer=tokenizer_file, output=tmp_path / "base")

    for step in (3, 37):
        with pytest.raises(Stop, match=f"stopped after step {step}"):
            attempt(step)
        assert not (tmp_path / "base").exists()
    attempt(None)
    assert _bytes(tmp_path / "base") == _bytes(base)
    assert not any((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize(("steps", "warmup"), [(40, 0), (40, 7)])
def test_the_schedule_is_the_usual_cosine(steps, warmup):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = get_cosine_schedule_with_warmup(optimizer, warmup, steps)
    for step in range(steps):
        expected = scheduler.get_last_lr()[0]
        if step < warmup:  # theirs wastes the first step on a rate of 0
            expected += 1 / warmup
        assert training.schedule(step, steps, warmup) == pytest.approx(expected)
        optimizer.step()
        scheduler.step()


def test_a_warmup_longer_than_a_third_of_the_run_is_capped(caplog):
    assert training.warmup(500, 2000) == 500
    assert not caplog.records
    assert training.warmup(500, 60) == 20
    assert "warmup_steps: 500 is over a third of 60 steps" in caplog.text


def test_the_loss_and_its_gradients_are_those_of_transformers(base, corpora):
    model = load_model(base)
    ids = torch.from_numpy(load_tensors(corpora["two"])["input_ids"][:640].reshape(20, 32)).long()
    expected = model(input_ids=ids, labels=ids).loss
    wanted = torch.autograd.grad(expected, list(model.parameters()))
    with training.attention(torch.device("cpu"), 32, torch.float32):
        loss = training.next_token_loss(model, ids, torch.float32)
        found = torch.autograd.grad(loss, list(model.parameters()))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def reference_steps(model, batches, settings, steps):
    """The same steps in float64: transformers' loss, AdamW and clipping as their papers say."""
    model = model.double()
    named = dict(model.named_parameters())
    moments = {name: [torch.zeros_like(p), torch.zeros_like(p)] for name, p in named.items()}
    found = []
    for step, ids in enumerate(batches):
        loss = model(input_ids=ids, labels=ids).loss
        gradients = torch.autograd.grad(loss, list(named.values()))
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        found.append(loss.item())
        rate = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        for (name, p), gradient in zip(named.items(), gradients, strict=True):
            gradient = gradient * min(1, settings.gradient_clip / norm)
            with torch.no_grad():
                for moment, beta, value in zip(
                    moments[name], settings.betas, (gradient, gradient**2), strict=True
                ):
                    moment.mul_(beta).add_((1 - beta) * value)
                first, second = (
                    moment / (1 - beta ** (step + 1))
                    for moment, beta in zip(moments[name], settings.betas, strict=True)
                )
                p.mul_(1 - rate * settings.weight_decay * (p.ndim == 2))
                p.sub_(rate * first / (second.sqrt() + 1e-8))
    return found, named


@pytest.mark.parametrize("clip", [0.1, 100.0])
def test_whole_steps_are_those_of_float64(base, corpora, clip):
    settings = Training(gradient_clip=clip, learning_rate=1e-3, precision="float32")
    ids = torch.from_numpy(load_tensors(corpora["two"])["input_ids"][:1920].reshape(3, 20, 32))
    wanted, weights = reference_steps(load_model(base), ids.long(), settings, steps=3)
    model = load_model(base)
    run = training._Run(model, settings, steps=3, context=32)
    with training.attention(torch.device("cpu"), 32, torch.float32):
        for batch in ids:
            run.advance(batch.numpy())
    assert [float(loss) for loss in run.losses] == pytest.approx(wanted, rel=1e-5)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.double(), weights[name], rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize("context", [64, 1024])
def test_attention_of_a_cpu_is_that_of_float64(context):
    """Whichever kernel the length of a block calls for; bfloat16 as far as that goes."""
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, context, 8, generator=rng) for _ in range(3))
    scores = (q @ k.transpose(2, 3)).double() / 8**0.5
    hidden = torch.ones(context, context, dtype=torch.bool).triu(1)
    expected = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v.double()
    for dtype, close in ((torch.float32, 1e-5), (torch.bfloat16, 0.03)):
        with training.attention(torch.device("cpu"), context, dtype):
            found = F.scaled_dot_product_attention(
                *(x.to(dtype) for x in (q, k, v)), is_causal=True
            )
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=close)


def test_bfloat16_learns_as_float32_does(base, corpora, tokenizer_file, tmp_path):
    settings = TRAINING.model_copy(update={"precision": "bfloat16"})
    cfg, tokens = train_slice(["one", "two"], training=settings), [corpora["one"], corpora["two"]]
    train.run(cfg, tokens=tokens, tokenizer=tokenizer_file, output=tmp_path / "m")
    ends = [
        pd.read_parquet(m / "training.parquet").loss[-8:].mean() for m in (base, tmp_path / "m")
    ]
    assert ends[1] == pytest.approx(ends[0], abs=0.02)
    assert load_model(tmp_path / "m").dtype == torch.float32


def test_matrices_decay_and_norms_do_not(base):
    model = load_model(base)
    decayed, kept = training.optimizer(model, Training(weight_decay=0.1)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == 0.1 and kept["weight_decay"] == 0
    assert {names[id(p)] for p in kept["params"]} == {n for n in names.values() if "norm" in n}
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_provenance_is_in_config_and_table(base):
    config = json.loads((base / "config.json").read_text())["featflow"]
    table = json.loads(pq.read_schema(base / "training.parquet").metadata[b"featflow"])
    assert config == table
    assert config["stage"] == "train" and config["config"]["corpora"] == ["one", "two"]
