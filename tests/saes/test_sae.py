"""The stage: three files, the same with shards kept or made afresh, and resumed."""

import json

import pandas as pd
import pytest
import torch

from featflow.artifacts.io import ArtifactError
from featflow.config.errors import FeatflowError
from featflow.config.saes import Activations, Relu, Sparsity
from featflow.plan.stages.saes import ActivationsSlice, SaeSlice
from featflow.runtime.checkpoints import Checkpoints
from featflow.saes import activations
from featflow.saes.activations import whole
from featflow.saes.sae import run
from featflow.saes.saelens import load
from featflow.saes.training import Training
from tests.saes.conftest import HOOK, WINDOWS

FILES = ["cfg.json", "sae_weights.safetensors", "training.parquet"]


@pytest.fixture(autouse=True)
def checkpoints_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.fixture
def stage(model_folder, token_ids, save_tokens, tmp_path):
    """Run the stage, with shards kept or not; gives its folder."""
    train = [save_tokens("a", token_ids[:1500]), save_tokens("b", token_ids[1500:2500])]

    def sae(name, keep=True, **settings):
        data = Activations(window=8, tokens=1000, shard_tokens=600, keep=keep)
        settings = {"expansion": 2, "tokens": 20_000, "batch": 16, **settings}
        cfg = SaeSlice(
            study="demo",
            model="m",
            name="main",
            seed=4,
            activations_seed=3,
            settings=Relu(kind="relu", **settings),
            activations=data,
            windows=WINDOWS,
            corpora=["a", "b"],
        )
        given = {"shards": shards()} if keep else {"tokens": train}
        run(cfg, model=model_folder, output=tmp_path / name, **given)
        return tmp_path / name

    def shards():
        paths = [tmp_path / "0.safetensors", tmp_path / "1.safetensors"]
        for i, path in enumerate(paths):
            cfg = ActivationsSlice(
                study="demo",
                model="m",
                hook=HOOK,
                corpora=["a", "b"],
                windows=WINDOWS,
                seed=3,
                shard=i,
                shard_tokens=600,
                tokens=600 - 200 * i,
            )
            activations.run(cfg, model=model_folder, tokens=train, output=path)
        return paths

    return sae


def test_the_three_files(stage):
    folder = stage("main", learning_rate=3e-3)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    sae = load(folder)
    assert (sae.width, sae.features) == (48, 96)
    table = pd.read_parquet(folder / "training.parquet")
    assert table.mse.iloc[-1] < table.mse.iloc[0]
    cfg = json.loads((folder / "cfg.json").read_text())
    assert cfg["metadata"]["hook_name"] == HOOK
    assert cfg["metadata"]["featflow"]["config"]["seed"] == 4


def test_fresh_activations_give_the_same_sae(stage):
    kept, fresh = load(stage("kept")), load(stage("fresh", keep=False))
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        assert torch.equal(getattr(kept, name), getattr(fresh, name))


def test_the_same_input_gives_the_same_bytes(stage):
    first, second = stage("first"), stage("second")
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_no_checkpoint_is_left(stage, tmp_path):
    stage("main", sparsity=Sparsity(l0=5))
    assert not list((tmp_path / "checkpoints").rglob("*.safetensors"))


def test_an_unknown_hook_is_named(stage):
    with pytest.raises(FeatflowError, match=r"blocks\.9"):
        stage("main", keep=False, hook="blocks.9.mlp.hook_post")


def test_shards_of_another_model_are_refused(stage, tmp_path):
    stage("main")
    cfg = json.loads((tmp_path / "main" / "cfg.json").read_text())["metadata"]["featflow"]["config"]
    other = SaeSlice.model_validate({**cfg, "model": "n"})
    with pytest.raises(ArtifactError, match=r"0\.safetensors.* of m at .*, not of n at"):
        run(other, model=tmp_path, output=tmp_path / "n", shards=[tmp_path / "0.safetensors"])


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, "unit"),
        ({"sparsity": Sparsity(l0=4)}, "unit"),
        ({"centering": "none"}, "none"),
        ({"expansion": 1}, "none"),
    ],
)
def test_a_block_that_gives_nothing_but_zeros_gives_a_silent_sae(
    monkeypatch, tmp_path, settings, scale
):
    class Zeros:
        counts = [200]

        def shard(self, index):
            return whole(torch.zeros(200, 8, 16, dtype=torch.bfloat16))

    given = Relu(kind="relu", **{"expansion": 2, "tokens": 20_000, "batch": 16, **settings})
    with Checkpoints("zeros") as checkpoints:
        how = Activations(scale=scale)
        found = Training(given, Zeros(), 1, how, torch.device("cpu")).run(checkpoints)
    assert found.scale == 1.0
    assert found.table[["mse", "l1", "l0", "revived"]].to_numpy().max() == 0
    assert found.table.dead.iloc[-1] == 1
    folded = found.autoencoder.dictionary(found.scale)
    assert torch.equal(folded.decode(folded.encode(torch.zeros(3, 16))), torch.zeros(3, 16))
