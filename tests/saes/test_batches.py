"""Batches pass over all shards in seeded orders, and can be taken up anywhere."""

import itertools

import pytest
import torch
from safetensors.torch import save_file

from featflow.core.artifacts import ArtifactError
from featflow.core.config.saes import Activations
from featflow.models.hooked import HookedModel
from featflow.saes.activations import Blocks, shard_range
from featflow.saes.batches import FreshShards, StoredShards, batches, sample
from tests.saes.conftest import HOOK, WINDOWS


class Numbered:
    """Shards whose windows say which they are."""

    counts = (7, 5)

    def shard(self, index):
        first = 0 if index == 0 else 7
        numbers = torch.arange(first, first + self.counts[index])
        return numbers[:, None, None].expand(-1, 2, 3).to(torch.bfloat16)


def taken(size, count, seed=0, start=0):
    found = itertools.islice(batches(Numbered(), size, seed, start), count)
    return [batch.view(-1, 2, 3)[:, 0, 0].int().tolist() for batch in found]


def test_a_pass_sees_every_window_once():
    seen = [window for batch in taken(4, 9) for window in batch]
    for epoch in range(3):
        assert sorted(seen[epoch * 12 : (epoch + 1) * 12]) == list(range(12))
    assert seen[:12] != seen[12:24]
    assert max(seen[:7]) == 6  # shard after shard
    assert seen[:7] != list(range(7))


def test_a_batch_may_span_shards_and_passes():
    assert [len(batch) for batch in taken(5, 6)] == [5] * 6
    assert [len(batch) for batch in taken(30, 2)] == [30, 30]


def test_the_seed_decides_the_order():
    assert taken(4, 6) == taken(4, 6)
    assert taken(4, 6) != taken(4, 6, seed=1)


@pytest.mark.parametrize("start", [1, 2, 5, 7])
def test_a_resumed_stream_is_the_rest_of_the_whole(start):
    assert taken(5, 4, start=start) == taken(5, start + 4)[start:]


def test_batches_are_the_shards_own_numbers(planted):
    found = torch.cat(list(itertools.islice(batches(planted, 50, 3), 80)))
    whole = torch.cat([planted.shard(0), planted.shard(1)]).flatten(0, 1)
    assert found.dtype == torch.bfloat16 and found.shape == whole.shape
    assert torch.equal(found.double().sort(0).values, whole.double().sort(0).values)


def test_a_sample_is_seeded_and_without_repeats():
    found = sample(Numbered(), 8, seed=1)
    assert found.shape == (8, 3) and len(found[:, 0].unique()) == 4
    assert torch.equal(found, sample(Numbered(), 8, seed=1))
    assert len(sample(Numbered(), 10_000, seed=1)) == 14  # no more than the first shard has


def save_shard(path, windows):
    save_file({"activations": windows.to(torch.bfloat16).contiguous()}, path)


def test_fresh_shards_are_the_stored_ones(model_folder, token_ids, tmp_path):
    model = HookedModel.load(model_folder, HOOK, "cpu")
    sequence = Blocks({"a": token_ids[:1500], "b": token_ids[1500:2500]}, WINDOWS, seed=3)
    settings = Activations(window=8, tokens=700, shard_tokens=300)
    paths = []
    for i, size in enumerate([300, 300, 100]):
        start, stop = shard_range(i, 300, size, 8)
        paths.append(tmp_path / f"{i}.safetensors")
        save_shard(paths[-1], torch.cat(list(sequence.activations(model, start, stop))))
    stored, fresh = StoredShards(paths), FreshShards(sequence, model, settings, 10_000)
    assert stored.counts == fresh.counts == [37, 37, 12]
    for i in (0, 2, 1):
        assert torch.equal(stored.shard(i), fresh.shard(i))
    assert FreshShards(sequence, model, settings, 301).counts == [37, 37]


def test_shards_of_another_width_are_refused(tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path, width in zip(paths, (3, 4), strict=True):
        part = torch.zeros(2, 8, width, dtype=torch.bfloat16)
        save_shard(path, part)
    with pytest.raises(ArtifactError, match=r"b\.safetensors"):
        StoredShards(paths)
