"""A loss or a weight that is no number: its step, the last good checkpoint, a remedy."""

import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from featflow.plan import paths
from featflow.plan.stages import STAGES
from tests.bad_input.conftest import AT, HOOK, call, files_of, slices

STEADY = {"epochs": 1, "batch": 8, "precision": "float32"}
SAE = {
    "kind": "relu",
    "expansion": 2,
    "tokens": 4800,
    "batch": 4,
    "sparsity": {"l1": 0.01},
    "precision": "float32",
}
RESEED = {**SAE, "seed": 1, "control_of": "main", "models": ["base"]}


def base(**training):
    model = {
        "kind": "base",
        "corpora": ["english", "python"],
        "architecture": {
            "hidden": 32, "intermediate": 32, "heads": 4, "kv_heads": 2, "context": 64,
        },
        "training": {**STEADY, **training},
    }  # fmt: skip
    return STAGES["train"].slice(slices(models={"base": model}), "base")


def sae(**settings):
    return STAGES["sae"].slice(
        slices(saes={"main": {**SAE, **settings}, "reseed": {**RESEED, **settings}}), "base", "main"
    )


@pytest.fixture
def kept(tmp_path_factory, monkeypatch) -> Path:
    """Where checkpoints go, one after every step."""
    folder = tmp_path_factory.mktemp("every-step")
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(folder))
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")
    return folder


def told(said: str, kept: Path) -> int:
    """The step after which the message says that the last good checkpoint was written."""
    found = re.search(
        r"the last good checkpoint is that after step (\d+), (\S+\.safetensors)", said
    )
    assert found, said
    saved = sorted(kept.rglob("*.safetensors"))
    assert Path(found[2]) == saved[-1] and int(saved[-1].stem) == int(found[1])
    for file in saved:
        for name, tensor in load_file(file).items():
            assert tensor.isfinite().all(), (file, name)
    return int(found[1])


@pytest.mark.parametrize(
    ("verb", "cfg", "remedies"),
    [
        (
            "train",
            base(learning_rate=1e19, warmup_steps=10),
            ["learning_rate (it is 1e+19)", "warmup_steps", "gradient_clip", "precision: float32"],
        ),
        (
            "sae",
            sae(learning_rate=1e18),
            ["learning_rate of the SAE (it is 1e+18)", "warmup", "precision: float32"],
        ),
    ],
)
def test_training_that_diverges(miniature, refused, kept, verb, cfg, remedies):
    said = refused(verb, cfg, **files_of(miniature, verb))
    step = int(re.search(r"at step (\d+) of \d+", said)[1])  # type: ignore[index]
    assert told(said, kept) == step - 1 >= 1
    assert all(word in said for word in remedies), said
    again = refused(verb, cfg, **files_of(miniature, verb))
    assert f"resuming after step {step - 1}" in again and told(again, kept) == step - 1


def test_without_a_checkpoint_that_is_said(miniature, refused):
    cfg = base(learning_rate=1e19, warmup_steps=10)
    said = refused("train", cfg, **files_of(miniature, "train"))
    assert "there is no good checkpoint yet" in said


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("verb", ["train", "sae"])
def test_a_bad_weight_behind_a_good_loss_is_not_saved(miniature, refused, kept, verb, monkeypatch):
    """The last step's update overflows, and no later loss would tell."""
    if verb == "train":
        from featflow.models import training

        monkeypatch.setattr(
            training, "schedule", lambda step, steps, rise: 1e40 * (step == steps - 1)
        )
        cfg = base(learning_rate=1.0)
    else:
        from featflow.saes import training as saes

        monkeypatch.setattr(
            saes, "learning_rate", lambda _, step, steps: 1e-3 if step < steps else 1e40
        )
        cfg = sae()
    said = refused(verb, cfg, **files_of(miniature, verb))
    assert "became not finite at step" in said
    step, steps = map(int, re.search(r"at step (\d+) of (\d+)", said).groups())  # type: ignore[union-attr]
    assert step == steps and told(said, kept) == steps - 1


def test_a_silent_nan_in_the_encoder_is_found(miniature, refused, kept, monkeypatch):
    """A NaN there makes its feature silent: the loss stays finite for ever."""
    from featflow.saes import training

    step = training.Training.step

    def poisoned(self, number, batch):
        step(self, number, batch)
        if number == 3:
            self.sae.encoder[5] = -math.nan

    monkeypatch.setattr(training.Training, "step", poisoned)
    said = refused("sae", sae(), **files_of(miniature, "sae"))
    assert "the SAE's encoder became not finite at step 3" in said and told(said, kept) == 2


def test_weights_that_are_bad_from_the_start_name_the_parent(miniature, refused, monkeypatch):
    from featflow.models import finetune

    load = finetune.load_model

    def spoilt(folder):
        model = load(folder)
        with torch.no_grad():
            next(model.parameters())[0] = math.inf
        return model

    monkeypatch.setattr(finetune, "load_model", spoilt)
    tokens = miniature / paths.TOKENS.at(**AT, corpus="lua", split="train")
    files = {"parent": (miniature / paths.MODEL.at(**AT)).parent, "tokens": [tokens]}
    said = refused(
        "finetune", STAGES["finetune"].slice(slices(), "lua"), **files, output=miniature / "lua"
    )
    assert "embed_tokens.weight is not finite before the first step: train the parent again" in said


def test_activations_that_are_no_numbers_are_not_blamed_on_the_learning_rate(miniature, refused):
    from safetensors import safe_open
    from safetensors.torch import save_file

    shard = miniature / paths.ACTIVATIONS.at(**AT, hook=HOOK, shard=0)
    with safe_open(shard, "pt") as file:
        tensors, made = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    tensors["activations"][7] = tensors["norms"][7] = math.nan
    save_file(tensors, shard, made)
    said = refused("sae", sae(), **files_of(miniature, "sae"))
    assert "activations hold numbers that are not finite" in said and "learning_rate" not in said


def test_good_training_is_let_pass(miniature):
    call("sae", sae(learning_rate=1e-3), **files_of(miniature, "sae"))
    call("train", base(learning_rate=1e-3), **files_of(miniature, "train"))
