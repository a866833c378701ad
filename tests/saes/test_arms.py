"""SAEs that make activations of their own, in a study that keeps shards: on other corpora, or in
another context. From the config to the trained SAE."""

import json

import numpy as np
import pytest
import torch

from featflow.artifacts.io import load_json
from featflow.config import load
from featflow.config.errors import FeatflowError
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from featflow.plan.stages.saes import SaeSlice
from featflow.saes import metrics, sae, saelens
from tests.config.test_config import config, set_at

WINDOW, CONTEXT = 8, 64


@pytest.fixture(autouse=True)
def checkpoints_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("FEATFLOW_DEVICE", "cpu")


@pytest.fixture(scope="module")
def slices() -> Slices:
    """A study whose base saw `en`; SAE `both` sees `lu` too, `short` reads windows alone."""
    main = {"kind": "relu", "expansion": 2, "tokens": 20_000, "batch": 16, "learning_rate": 3e-3}
    raw = set_at(
        config(),
        "saes",
        {
            "main": main,
            "both": {"extends": "main", "corpora": ["lu", "en"], "control_of": "main"},
            "short": {"extends": "main", "context": "truncated", "control_of": "main"},
        },
    )
    sizes = {"hidden": 32, "intermediate": 48, "heads": 4, "kv_heads": 2, "context": CONTEXT}
    raw = set_at(raw, "models/root/architecture", sizes)
    asked = {"window": WINDOW, "tokens": 1200, "shard_tokens": 800, "data": "lineage"}
    raw = set_at(raw, "activations", asked)
    return Slices("one", load(raw).studies["one"])


@pytest.fixture
def ids(token_ids) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"en": token_ids[:1600], "lu": rng.integers(0, 300, 1600).astype(np.int32)}


@pytest.fixture
def trained(slices, model_folder, save_tokens, ids, tmp_path, monkeypatch):
    """Run the stage for the base; gives its slice, its folder, and all that it was trained on."""

    def run(name: str):
        cfg = STAGES["sae"].slice(slices, "root", name)
        seen = []

        class Spy(sae.Training):
            def __init__(self, settings, shards, *rest):
                seen.extend(shards.shard(i).activations.clone() for i in range(len(shards.counts)))
                super().__init__(settings, shards, *rest)

        monkeypatch.setattr(sae, "Training", Spy)
        tokens = [save_tokens(corpus, ids[corpus]) for corpus in cfg.corpora]
        output = tmp_path / "sae" / name
        sae.run(cfg, model=model_folder, output=output, tokens=tokens)
        return cfg, output, torch.cat(seen).float()

    return run


@torch.inference_mode()
def read_in(folder, ids: np.ndarray, length: int) -> torch.Tensor:
    """What down_proj is given for blocks of this length, by transformers itself: (B, L, 48)."""
    from transformers import MistralForCausalLM

    model = MistralForCausalLM.from_pretrained(folder, dtype=torch.float32)
    caught: list[torch.Tensor] = []
    model.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda module, inputs, output: caught.append(inputs[0])
    )
    whole = len(ids) // length
    model(torch.from_numpy(ids[: whole * length].reshape(whole, length).astype(np.int64)))
    return caught[0]


def found_among(windows: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Which of some windows (W, L, n) are among others, but for bfloat16: (W,) bool."""
    nearest = torch.cdist(windows.flatten(1), known.flatten(1)).min(1).values
    return nearest < 0.01 * windows.flatten(1).norm(dim=1)


def test_a_window_alone_is_read_alone(trained, model_folder, ids):
    cfg, folder, windows = trained("short")
    assert cfg.windows.model_dump() == {
        "window": WINDOW, "context": "truncated", "context_length": WINDOW, "special": "drop",
    }  # fmt: skip
    alone = read_in(model_folder, ids["en"], WINDOW)
    inside = read_in(model_folder, ids["en"], CONTEXT)[:, WINDOW:].reshape(-1, WINDOW, 48)
    assert windows.shape == (150, WINDOW, 48)
    assert found_among(windows, alone).all() and not found_among(windows, inside).all()
    metadata = json.loads((folder / "cfg.json").read_text())["metadata"]
    assert metadata["context_size"] == WINDOW
    assert metadata["featflow"]["config"]["windows"]["context"] == "truncated"


def test_other_corpora_are_dumped_in_equal_parts(trained, model_folder, ids):
    cfg, folder, windows = trained("both")
    assert cfg.corpora == ["en", "lu"] and cfg.windows.context == "full"
    of = {
        name: found_among(windows, read_in(model_folder, own, CONTEXT)[:, WINDOW:].reshape(
            -1, WINDOW, 48))
        for name, own in ids.items()
    }  # fmt: skip
    assert (of["en"] | of["lu"]).all()
    assert 0.4 < (of["lu"] & ~of["en"]).float().mean() < 0.6
    assert json.loads((folder / "cfg.json").read_text())["metadata"]["context_size"] == CONTEXT


@pytest.mark.parametrize("name", ["both", "short"])
def test_it_is_a_trained_sae_and_can_be_measured(
    slices, trained, name, model_folder, save_tokens, ids, tmp_path
):
    cfg, folder, windows = trained(name)
    assert not cfg.activations.keep and cfg.settings.corpora is cfg.settings.context is None
    loaded = saelens.load(folder)
    flat = windows.flatten(0, 1)
    error = (flat - loaded.decode(loaded.encode(flat))).square().sum()
    assert error < 0.2 * (flat - flat.mean(0)).square().sum()
    asked = STAGES["metrics"].slice(slices, "root", name)
    assert asked.windows == cfg.windows and asked.corpora == cfg.corpora
    tokens = [save_tokens(f"{c}.validation", ids[c]) for c in asked.corpora]
    output = tmp_path / "metrics.json"
    metrics.run(asked, model=model_folder, sae=folder, tokens=tokens, output=output)
    assert load_json(output)["corpora"].keys() == set(cfg.corpora)
    assert load_json(output)["fve"] > 0.8


def test_the_same_study_reads_shards_for_the_sae_itself(slices, model_folder, save_tokens, ids):
    main = STAGES["sae"].slice(slices, "root", "main")
    assert main.activations.keep and main.corpora == ["en"] and not slices.makes_its_own("main")
    assert slices.makes_its_own("both") and slices.makes_its_own("short")
    tokens = [save_tokens("en", ids["en"])]
    wrong: list[tuple[SaeSlice, dict]] = [
        (main, {"tokens": tokens}),
        (STAGES["sae"].slice(slices, "root", "short"), {"shards": tokens}),
        (STAGES["sae"].slice(slices, "root", "short"), {}),
    ]
    for cfg, given in wrong:
        words = "--shards" if cfg.activations.keep else "--tokens"
        with pytest.raises(FeatflowError, match=f"give {words}, alone"):
            sae.run(cfg, model=model_folder, output=tokens[0].parent / "none", **given)


def test_too_few_tokens_of_its_own_corpora_are_said(slices, model_folder, save_tokens, ids):
    cfg = STAGES["sae"].slice(slices, "root", "both")
    tokens = [save_tokens(corpus, ids[corpus][:500]) for corpus in cfg.corpora]
    with pytest.raises(FeatflowError, match="training tokens of en, lu give activations of"):
        sae.run(cfg, model=model_folder, output=tokens[0].parent / "none", tokens=tokens)
