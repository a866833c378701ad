"""Dead features come back, drawn where the reconstruction is worst, when it is time."""

import torch

from featflow.config.saes import Relu, Resampling
from featflow.saes.architectures.relu import Autoencoder
from featflow.saes.resampling import Revival, draw_weights


def autoencoder(width=8):
    settings = Relu(kind="relu", expansion=2, precision="float32")
    return Autoencoder(settings, width, 0, torch.device("cpu"))


def kill(sae, features):
    sae.bias[features] = -1e6
    sae._copy_weights()


def test_a_dead_feature_is_revived_and_lives():
    sae, dead = autoencoder(), torch.tensor([3, 7])
    x = torch.randn(500, 8, generator=torch.Generator().manual_seed(1))
    kill(sae, dead)
    revival = Revival(Resampling(), 160, sae.features, seed=0)
    for step in range(1, 161):
        revival.note(step, sae.step(x, 1e-3, 1e-3).fired)
        if revival.due(step):
            assert torch.equal(revival.dead(step), dead) or step > 20
            revival.revive(step, sae, x)
    assert sae.step(x, 1e-3, 1e-3).fired[dead].all()
    assert not len(revival.dead(160))


def test_times_are_shares_of_the_run():
    revival = Revival(Resampling(every=0.1, silent=0.05, until=0.5), 200, 4, seed=0)
    times = []
    for step in range(1, 201):
        if revival.due(step):
            times.append(step)
            revival.last_time = step
    assert times == [20, 40, 60, 80, 100]
    revival.note(91, torch.tensor([True, False, False, True]))
    revival.note(96, torch.tensor([False, True, False, False]))
    assert revival.dead(100).tolist() == [2]
    assert revival.dead(101).tolist() == [0, 2, 3]


def test_without_settings_the_dead_are_only_counted():
    revival = Revival(None, 100, 4, seed=0)
    assert not any(revival.due(step) for step in range(101))
    assert len(revival.dead(50)) == 4


def test_inputs_are_drawn_by_their_squared_error_squared():
    sae, revival = autoencoder(), Revival(Resampling(), 100, 16, seed=0)
    with torch.no_grad():
        kill(sae, torch.arange(16))  # x̂ = b_d = 0: the error is x itself
    x = torch.zeros(3000, 8)
    x[:, 0] = 1.0
    x[:10] = 0
    x[:10, 1] = 20.0  # 10 × 20⁴ against 2,990 × 1
    drawn = []
    sae.revive = lambda dead, inputs: drawn.append(inputs)
    for step in range(10, 60):
        revival.last_fired[:] = step
        revival.last_fired[:4] = 0
        revival.revive(step, sae, x)
    share = float((torch.cat(drawn)[:, 1] == 20).float().mean())
    assert share > 0.97  # squared error alone would give 0.57
    assert len({float(inputs.sum()) for inputs in drawn}) >= 1


def test_more_dead_than_vectors_still_works():
    sae, revival = autoencoder(), Revival(Resampling(), 100, 16, seed=0)
    assert revival.revive(50, sae, torch.randn(5, 8)) == 16
    torch.testing.assert_close(sae.decoder.norm(dim=1), torch.ones(16))


def test_where_nothing_is_reconstructed_badly_nothing_is_revived():
    sae = autoencoder()
    sae.offset.zero_()
    before = {name: tensor.clone() for name, tensor in sae.state.items()}
    revival = Revival(Resampling(), 160, sae.features, seed=0)
    assert len(revival.dead(100)) == sae.features
    assert revival.revive(100, sae, torch.zeros(50, 8)) == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in sae.state.items())
    assert draw_weights(torch.tensor([0.0, 2.0])).tolist() == [0, 4]
    assert draw_weights(torch.tensor([1.0, torch.inf])) is None


def test_a_vector_at_the_decoder_bias_gives_no_direction():
    sae = autoencoder()
    inputs = torch.stack([sae.offset[0], torch.ones(8)])
    before = sae.decoder[3].clone()
    sae.revive(torch.tensor([3, 7]), inputs)
    assert torch.equal(sae.decoder[3], before)
    assert torch.allclose(sae.decoder[7], torch.full((8,), 8**-0.5))
    assert all(tensor.isfinite().all() for tensor in sae.state.values())
