"""Whole runs on planted dictionaries: recovery, steering, schedule, resuming, divergence."""

import math
import threading

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from featflow.config.saes import Activations, Relu, Resampling, Sparsity
from featflow.runtime.ahead import ahead
from featflow.runtime.checkpoints import Checkpoints, Stop
from featflow.saes.activations import whole
from featflow.saes.architectures.relu import Autoencoder
from featflow.saes.training import (
    Diverged,
    Training,
    geometric_median,
    learning_rate,
    longest_row,
    typical_element,
    unit_scale,
)
from tests.saes.conftest import Planted

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
    how = Activations(scale="unit" if unit else "none")
    return Training(Relu(**{**FAST, **settings}), shards, seed, how, torch.device("cpu"))


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
    x = planted.shard(0).activations.float().flatten(0, 1) * scale
    norms = x.norm(dim=1)
    assert float(norms[norms > 0].median()) == pytest.approx(16**0.5, rel=0.02)


class WithSinks:
    """The planted windows, each behind a token whose vector is enormous."""

    def __init__(self, planted, are_rows):
        self.planted, self.are_rows, self.counts = planted, are_rows, planted.counts

    def shard(self, index):
        x = self.planted.shard(index).activations
        sinks = torch.full_like(x[:, :1], 1000)
        shard = whole(torch.cat([sinks, x], 1))
        shard.rows[:, 0] = self.are_rows
        return shard


@pytest.mark.parametrize("are_rows", [False, True])
def test_sinks_change_nothing(planted, are_rows):
    """Whether they are known to be no text, or only longer than ten medians."""
    length = planted.shard(0).activations.shape[1]
    settings = {"sparsity": Sparsity(l1=0.02), "tokens": 100 * length * (length + 1) * 2}
    expected = trained(planted, "without", batch=2 * (length + 1), **settings)
    found = trained(WithSinks(planted, are_rows), "with", batch=2 * length, **settings)
    assert found.scale == expected.scale
    assert found.table.equals(expected.table)
    for name, weights in expected.autoencoder.state.items():
        assert torch.equal(found.autoencoder.state[name], weights), name


class Killed(Exception):
    pass


class KilledAt(Training):
    """Starts with dead features, and dies before a given step."""

    def __init__(self, settings, shards, at=None):
        super().__init__(settings, shards, 1, Activations(), torch.device("cpu"))
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
    planted._parts[0] = whole(torch.full_like(planted._parts[0].activations, float("inf")))
    with pytest.raises(Diverged, match=r"activations .* not finite.*train the model again"):
        trained(planted, unit=False, sparsity=Sparsity(l1=1e-3))


def test_no_feature_is_revived_while_l0_is_off(planted):
    settings = {"sparsity": Sparsity(l0=1e-3), "resampling": Resampling(silent=0.01)}
    table = trained(planted, **settings).table
    assert table.dead.max() > 0 and table.revived.sum() == 0


@pytest.fixture
def made_ahead(monkeypatch):
    plain = Training._stream
    monkeypatch.setattr(Training, "_stream", lambda self: ahead(plain(self)))
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]


def test_batches_made_ahead_change_nothing(planted, request):
    settings = {"sparsity": Sparsity(l0=6), "tokens": 8 * 32 * 100}
    expected = trained(planted, "plain", **settings)
    request.getfixturevalue("made_ahead")
    found = trained(planted, "ahead", **settings)
    assert expected.table.equals(found.table)
    for name, tensor in expected.autoencoder.state.items():
        assert torch.equal(tensor, found.autoencoder.state[name]), name


def test_a_stopped_run_leaves_no_thread(planted, made_ahead, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")
    with Checkpoints("stopped") as checkpoints:
        checkpoints._asked(15, None)
        with pytest.raises(Stop, match="stopped after step 1;"):
            training(planted).run(checkpoints)


def test_what_a_gpu_runs_trains_as_well(planted, monkeypatch):
    settings = {"sparsity": Sparsity(l1=0.02), "decay": 0.2}
    expected = trained(planted, "kernels", **settings).table.iloc[-1]
    monkeypatch.setattr(Autoencoder, "kernels", property(lambda _: False, lambda *_: None), False)
    found = trained(planted, "gpu", **settings).table.iloc[-1]
    for name in ("mse", "l1", "l0"):
        assert found[name] == pytest.approx(expected[name], rel=0.01), name


@pytest.mark.parametrize("seed", [0, 1])
def test_bfloat16_products_end_where_float32_ones_do(seed):
    planted, ends = Planted(width=32, features=64, active=4.0, windows=3000), []
    x = planted.shard(0).activations[:1000].float().flatten(0, 1)
    for precision in ("float32", "bfloat16"):
        settings = {"expansion": 4, "sparsity": Sparsity(l1=0.03), "decay": 0.2}
        run = training(planted, seed, precision=precision, **settings)
        with Checkpoints(precision) as checkpoints:
            run.run(checkpoints)
        folded = run.sae.dictionary(run.scale)
        f = folded.encode(x)
        error = (folded.decode(f) - x).square()
        fve = 1 - error.sum() / (x - x.mean(0)).square().sum()
        ends.append(torch.stack([error.mean(), (f > 0).sum(1).float().mean(), fve]))
        assert fve > 0.8
    torch.testing.assert_close(ends[1], ends[0], rtol=0.01, atol=0)


def test_the_median_is_the_minimiser():
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(400, 5)) ** 2 + rng.normal(size=5)
    found = geometric_median(torch.from_numpy(x))

    def distance(point):
        return np.linalg.norm(x - point, axis=1).sum()

    best = minimize(distance, x.mean(0), method="BFGS", options={"gtol": 1e-8})
    assert distance(found.numpy()) <= best.fun * (1 + 1e-8)
    np.testing.assert_allclose(found.numpy(), best.x, atol=1e-3)
    assert np.linalg.norm(found.numpy() - x.mean(0)) > 0.1  # it is not the mean


def test_a_start_on_a_vector_does_no_harm():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    torch.testing.assert_close(geometric_median(x), torch.zeros(2))


def test_outliers_move_it_little():
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    x[:100] += 1000
    assert geometric_median(x).norm() < 1 < x.mean(0).norm()


def test_the_typical_element():
    x = torch.randn(500, 64, generator=torch.Generator().manual_seed(0)) * 3
    assert typical_element(x.norm(dim=1), 64) == pytest.approx(3, rel=0.02)
    x[:50] *= 1000  # a few are no reason for another scale
    assert typical_element(x.norm(dim=1), 64) == pytest.approx(3, rel=0.02)
    x[:400] = 0  # nor are those that are nothing
    assert typical_element(x.norm(dim=1), 64) == pytest.approx(3, rel=0.05)
    assert longest_row(x.norm(dim=1), 10) == pytest.approx(10 * 3 * 8, rel=0.05)
    assert longest_row(torch.zeros(9), 10) == longest_row(torch.ones(9), None) == math.inf


def test_the_scale_gives_typical_elements_of_1_and_leaves_nothing_as_it_is(caplog):
    assert unit_scale(4.0) == 0.25 and unit_scale(1e-20) == pytest.approx(1e20)
    assert not caplog.records
    for element in (0.0, 1e-40):
        assert unit_scale(element) == 1.0
    assert "the activations at the hook are all zero" in caplog.text


def test_the_median_of_nothing_is_nothing():
    assert torch.equal(geometric_median(torch.zeros(9, 4)), torch.zeros(4))
    assert torch.equal(geometric_median(torch.ones(1, 1)), torch.ones(1))
