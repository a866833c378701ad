"""The features stage on a tiny model, against the model and the SAE applied directly."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.features import dump
from featflow.features import features as stage
from featflow.features.features import probe, run
from featflow.models.hooked import HookedModel
from featflow.plan.slices import Windows
from featflow.plan.stages.features import FeaturesSlice
from featflow.runtime.checkpoints import Stop
from featflow.runtime.log import log
from featflow.saes import saelens
from featflow.saes.architectures.relu import ReluDictionary

WIDTH, FEATURES = 48, 96
NONE = np.zeros(0, np.int64)


def slice_of(context: str = "full", **changes) -> FeaturesSlice:
    settings = {
        "study": "tiny", "model": "base", "sae": "main", "hook": "blocks.0.mlp.hook_post",
        "corpora": ["x", "y"], "tokens_per_corpus": 500,
        "windows": Windows(window=12, context=context, context_length=64),
        "blocks_seed": 7,
    }  # fmt: skip
    return FeaturesSlice(**{**settings, **changes})


def random_sae(folder: Path, seed: int) -> ReluDictionary:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    sae = ReluDictionary(
        draw(WIDTH, FEATURES) * 50, -draw(FEATURES).abs(), draw(FEATURES, WIDTH), draw(WIDTH) * 0.01
    )
    saelens.save(folder, sae, {}, Provenance("features", slice_of()))
    return sae


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.fixture
def tokens(tmp_path, token_ids) -> list[Path]:
    paths = [tmp_path / f"{name}.tokens.safetensors" for name in "xy"]
    starts = np.arange(0, len(token_ids), 50)
    save_file({"input_ids": token_ids, "document_starts": starts}, paths[0])
    save_file({"input_ids": token_ids[::-1].copy(), "document_starts": starts}, paths[1])
    return paths


def encode(root: Path, cfg: FeaturesSlice, model: Path, sae: Path, tokens: list[Path]) -> Path:
    run(
        cfg, model=model, sae=sae, tokens=tokens, summary=root / "summary.parquet",
        output=[root / f"{corpus}.safetensors" for corpus in cfg.corpora],
    )  # fmt: skip
    return root


@torch.inference_mode()
def directly(folder: Path, sae: ReluDictionary, block: np.ndarray) -> Tensor:
    """Features of a block (L,) from transformers' own modules, a block at a time: (L, m)."""
    from transformers import MistralForCausalLM

    model = MistralForCausalLM.from_pretrained(folder)
    caught = []
    model.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda module, inputs, output: caught.append(inputs[0])
    )
    model(torch.from_numpy(block.astype(np.int64))[None])
    return torch.relu((caught[0][0] - sae.b_dec) @ sae.W_enc + sae.b_enc)


@pytest.mark.parametrize("special", ["drop", "keep"])
@pytest.mark.parametrize("context", ["full", "truncated"])
def test_a_dump_is_what_model_and_sae_say(
    tmp_path, model_folder, token_ids, tokens, context, special
):
    """On text alone, or on every token of the windows. <s>, </s> and <unk> have ids 0, 1 and 2."""
    ids = token_ids.copy()
    ids[::9], ids[4::31] = 0, 2
    save_file({"input_ids": ids, "document_starts": np.arange(0, len(ids), 50)}, tokens[0])
    sae = random_sae(tmp_path / "sae", 0)
    windows = Windows(window=12, context=context, context_length=64, special=special)
    encode(tmp_path, slice_of(windows=windows), model_folder, tmp_path / "sae", tokens)
    found = dump.read(tmp_path / "x.safetensors", FEATURES)
    block, first, stop = (64, 12, 60) if context == "full" else (12, 0, 12)
    read = np.unique(found.positions // block)
    assert len(read) == 500 // (stop - first)
    assert len(read) < len(ids) // block and read[-1] > len(ids) // block // 2  # of the whole
    inside = np.arange(first, stop)
    at = (read[:, None] * block + inside).ravel()
    if special == "drop":
        at = at[~np.isin(ids[at], [0, 1, 2]) & (at % block != 0)]
    np.testing.assert_array_equal(found.positions, at)
    whole = torch.cat([directly(model_folder, sae, ids[i * block :][:block]) for i in read])
    dense = whole[np.searchsorted(read, at // block) * block + at % block]
    np.testing.assert_allclose(found.activations.toarray(), dense, atol=1e-4)
    assert 0.02 < found.activations.nnz / np.prod(found.activations.shape) < 0.9


def test_sources_that_stand_one_after_another_are_read_in_their_proportions(token_ids):
    """Half of the stream, then the other: the first blocks would be of the first half alone."""
    ids = np.repeat([5, 6], 64 * 200).astype(np.int32)
    rows = probe(ids, "x", slice_of(tokens_per_corpus=48 * 100), NONE)
    of = ids[rows.positions(0, len(rows))]
    assert len(rows) == 100 and abs((of == 5).mean() - 0.5) < 0.15
    fewer = probe(ids, "x", slice_of(tokens_per_corpus=48 * 30), NONE)
    assert set(fewer.chosen) < set(rows.chosen)  # more tokens are these and others beside
    other = probe(ids, "x", slice_of(tokens_per_corpus=48 * 30, blocks_seed=8), NONE)
    assert set(other.chosen) != set(fewer.chosen)


def test_rows_agree_between_models_and_bytes_between_runs(tmp_path, tokens, model_folder):
    for seed in (0, 1):
        random_sae(tmp_path / f"sae{seed}", seed)
        encode(tmp_path / str(seed), slice_of(), model_folder, tmp_path / f"sae{seed}", tokens)
    encode(tmp_path / "again", slice_of(), model_folder, tmp_path / "sae0", tokens)
    for name in ("x.safetensors", "y.safetensors"):
        first, second = (load_file(tmp_path / run / name)["positions"] for run in "01")
        np.testing.assert_array_equal(first, second)
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (tmp_path / "0" / name).read_bytes()
    one, two = (tmp_path / run / "summary.parquet" for run in ("0", "again"))
    assert one.read_bytes() == two.read_bytes()


class Killed(BaseException):
    """As from kill -9."""


@pytest.mark.parametrize("how", ["kill", "sigterm", "lost"])
def test_a_killed_stage_goes_on_where_it_was(tmp_path, tokens, model_folder, monkeypatch, how):
    """Its rows may even be lost (a disk that was full): then the corpus begins again."""
    random_sae(tmp_path / "sae", 0)
    arguments = (slice_of(), model_folder, tmp_path / "sae", tokens)
    monkeypatch.setattr(stage, "TOKENS_A_BATCH", 128)
    expected = encode(tmp_path / "whole", *arguments)
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "600" if how == "sigterm" else "0")
    calls: list[int] = []

    class Dying(HookedModel):
        def activations(self, ids):
            calls.append(len(ids))
            if len(calls) == 8:  # in the second corpus
                if how != "sigterm":
                    raise Killed
                os.kill(os.getpid(), signal.SIGTERM)
            return super().activations(ids)

    monkeypatch.setattr(stage, "HookedModel", Dying)
    with pytest.raises(Stop if how == "sigterm" else Killed):
        encode(tmp_path / "killed", *arguments)
    (work,) = (tmp_path / "checkpoints").iterdir()
    if how == "lost":
        next(work.glob("y.values")).unlink()
    else:  # what a killed process wrote behind its last checkpoint
        with open(work / "y.indices", "ab") as file:
            file.write(b"12345")
    found = encode(tmp_path / "killed", *arguments)
    assert len(calls) == 2 * 5 + {"kill": 1, "sigterm": 0, "lost": 3}[how]
    for name in ("x.safetensors", "y.safetensors", "summary.parquet"):
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_stage_that_fails_leaves_no_rows(tmp_path, tokens, model_folder):
    sae = random_sae(tmp_path / "sae", 0)
    sae.b_enc[3] = float("nan")
    saelens.save(tmp_path / "sae", sae, {}, Provenance("features", slice_of()))
    with pytest.raises(FeatflowError, match="negative or not finite"):
        encode(tmp_path, slice_of(), model_folder, tmp_path / "sae", tokens)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_the_summary_belongs_to_the_dumps(tmp_path, tokens, model_folder):
    random_sae(tmp_path / "sae", 0)
    encode(tmp_path, slice_of(), model_folder, tmp_path / "sae", tokens)
    table = pd.read_parquet(tmp_path / "summary.parquet")
    dense = [dump.read(tmp_path / f"{c}.safetensors", FEATURES).activations.toarray() for c in "xy"]
    np.testing.assert_array_equal(table["firings"], (np.vstack(dense) > 0).sum(0))
    np.testing.assert_allclose(table["density_y"], (dense[1] > 0).mean(0))
    assert len(table) == FEATURES


def test_the_probe_is_whole_blocks_within_the_limit(token_ids, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)  # another test may have set the log up
    cfg = slice_of(tokens_per_corpus=500)  # a block of 64 has 4 windows of 12
    with caplog.at_level("WARNING", "featflow"):
        found = probe(token_ids, "x", cfg, NONE)
        assert len(found) == 10 and len(np.unique(found.chosen)) == 10
        blocks = token_ids[: len(token_ids) // 64 * 64].reshape(-1, 64)
        np.testing.assert_array_equal(found.ids(0, 10), blocks[found.chosen])
        assert probe(token_ids[:640], "x", cfg, NONE).chosen.tolist() == list(range(10))
        assert not caplog.records
        assert len(probe(token_ids[:639], "x", cfg, NONE)) == 9
    assert "asked for 500 rows" in caplog.text and "gives 432" in caplog.text


def test_a_corpus_without_a_whole_block_is_refused(token_ids):
    with pytest.raises(FeatflowError, match=r"corpus x: .*has 63 tokens"):
        probe(token_ids[:63], "x", slice_of(), NONE)


def test_an_sae_of_another_hook_is_refused(tmp_path, tokens, model_folder):
    random_sae(tmp_path / "sae", 0)
    cfg = slice_of(hook="blocks.0.hook_resid_pre")
    with pytest.raises(FeatflowError, match=r"reads 48 numbers.*carries 32"):
        encode(tmp_path, cfg, model_folder, tmp_path / "sae", tokens)


def test_provenance_names_the_inputs(tmp_path, tokens, model_folder):
    from safetensors import safe_open

    random_sae(tmp_path / "sae", 0)
    encode(tmp_path, slice_of(), model_folder, tmp_path / "sae", tokens)
    with safe_open(tmp_path / "x.safetensors", "numpy") as file:
        fields = json.loads(file.metadata()["featflow"])
    assert fields["stage"] == "features"
    assert {"cfg.json", "sae_weights.safetensors", *(path.name for path in tokens)} < set(
        fields["inputs"]
    )
