"""Whole runs on planted dictionaries: recovery, steering, schedule, resuming, divergence."""

import pytest
import torch

from featflow.core.checkpoints import Checkpoints
from featflow.core.config.saes import Relu, Resampling, Sparsity
from featflow.saes.training import Diverged, Training, learning_rate

FAST = {
    "kind": "relu",
    "expansion": 2,
    "tokens": 8 * 32 * 500,
    "batch": 32,
    "learning_rate": 3e-3,
    "betas": (0.9, 0.999),
    "precision": "float32",
    "centering": "none",
}


@pytest.fixture(autouse=True)
def checkpoints_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))


def training(shards, seed=1, unit=True, **settings):
    return Training(Relu(**{**FAST, **settings}), shards, seed, unit, torch.device("cpu"))


def trained(shards, name="sae", **settings):
    with Checkpoints(name) as checkpoints:
        return training(shards, **settings).run(checkpoints)


def test_a_planted_dictionary_is_recovered(planted):
    settings = {"sparsity": Sparsity(l1=0.06), "decay": 0.2, "tokens": 8 * 32 * 1000}
    found = trained(planted, **settings).autoencoder.decoder
    best = (planted.directions @ found.T).max(1).values
    assert (best > 0.95).float().mean() >= 0.9
    assert best.mean() > 0.95


@pytest.mark.parametrize("target", [2.0, 6.0])
def test_l0_reaches_its_target(planted, target):
    settings = {"sparsity": Sparsity(l0=target), "learning_rate": 1e-2}
    run = training(planted, **settings, tokens=8 * 32 * 1000)
    with Checkpoints("steered") as checkpoints:
        table = run.run(checkpoints).table
    assert table.l0.tail(10).mean() == pytest.approx(target, rel=0.1)
    assert table["lambda"].nunique() > 50


def test_the_table_says_what_happened(planted):
    table = trained(planted, sparsity=Sparsity(l1=0.02), warmup=0.1, decay=0.2).table
    assert table.step.iloc[-1] == 500 and table.tokens.iloc[-1] == FAST["tokens"]
    assert (table.loss == table.mse + table["lambda"] * table.l1).all()
    assert table.mse.iloc[-1] < 0.5 * table.mse.iloc[0]
    assert table.learning_rate.max() == FAST["learning_rate"]
    assert table.learning_rate.iloc[-1] < 0.02 * FAST["learning_rate"]


def test_the_learning_rate_rises_stays_and_falls():
    settings = Relu(**{**FAST, "warmup": 0.1, "decay": 0.2})
    rates = [learning_rate(settings, step, 100) / 3e-3 for step in range(1, 101)]
    assert rates[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert rates[10:80] == pytest.approx([1] * 70)
    assert rates[80:] == pytest.approx([i / 21 for i in range(20, 0, -1)])
    plain = Relu(**FAST)
    assert {learning_rate(plain, step, 100) for step in range(1, 101)} == {3e-3}


def test_the_scale_makes_elements_of_size_one(planted):
    scale = training(planted).scale
    assert training(planted, unit=False).scale == 1
    x = planted.shard(0).float().flatten(0, 1) * scale
    assert float(x.norm(dim=1).mean()) == pytest.approx(16**0.5, rel=0.02)


class Killed(Exception):
    pass


class KilledAt(Training):
    """Starts with dead features, and dies before a given step."""

    def __init__(self, settings, shards, at=None):
        super().__init__(settings, shards, 1, True, torch.device("cpu"))
        self.sae.bias[:4] = -1e3
        self.at = at

    def step(self, step, batch):
        if step == self.at:
            raise Killed
        super().step(step, batch)


@pytest.mark.parametrize("at", [2, 171, 303])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_run_goes_on_bit_for_bit(planted, monkeypatch, at, precision):
    settings = Relu(**{**FAST, "sparsity": Sparsity(l0=6), "precision": precision})
    with Checkpoints("whole") as checkpoints:
        expected = KilledAt(settings, planted).run(checkpoints)
    assert expected.table.revived.sum() == 4
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")
    with pytest.raises(Killed), Checkpoints("killed") as checkpoints:
        KilledAt(settings, planted, at).run(checkpoints)
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "600")
    with Checkpoints("killed") as checkpoints:
        assert checkpoints.latest().step == at - 1
        found = KilledAt(settings, planted).run(checkpoints)
    for name, tensor in expected.autoencoder.state.items():
        assert torch.equal(tensor, found.autoencoder.state[name]), name
    assert expected.table.equals(found.table)


def test_a_loss_that_is_no_number_ends_the_run(planted):
    planted._parts[0][:] = float("inf")
    with pytest.raises(Diverged, match=r"activations .* not finite.*train the model again"):
        trained(planted, unit=False, sparsity=Sparsity(l1=1e-3))


def test_no_feature_is_revived_while_l0_is_off(planted):
    settings = {"sparsity": Sparsity(l0=1e-3), "resampling": Resampling(silent=0.01)}
    table = trained(planted, **settings).table
    assert table.dead.max() > 0 and table.revived.sum() == 0
