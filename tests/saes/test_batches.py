"""Batches pass over all shards in seeded orders, and can be taken up anywhere."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featflow.artifacts.io import ArtifactError
from featflow.config.saes import Activations
from featflow.models.hooked import HookedModel
from featflow.saes import batches as saes_batches
from featflow.saes.activations import Blocks, Shard, shard_range, whole
from featflow.saes.batches import (
    START,
    FreshShards,
    NoRows,
    StoredShards,
    batches,
    sample,
)
from tests.saes.conftest import HOOK, WINDOWS


class Numbered:
    """Shards whose windows say which they are."""

    counts = (7, 5)

    def shard(self, index):
        first = 0 if index == 0 else 7
        numbers = torch.arange(first, first + self.counts[index])
        return whole(numbers[:, None, None].expand(-1, 2, 3).to(torch.bfloat16).contiguous())


def taken(size, count, seed=0, start=0, shards=None):
    """The windows of batches of so many windows; `start`: batches of a run that was stopped."""
    shards = shards or Numbered()
    stream = batches(shards, 2 * size, seed)
    at = [START, *(batch.next for batch in itertools.islice(stream, start))][-1]
    found = itertools.islice(batches(shards, 2 * size, seed, at), count)
    return [batch.rows.view(-1, 2, 3)[:, 0, 0].int().tolist() for batch in found]


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
    found = torch.cat([b.rows for b in itertools.islice(batches(planted, 400, 3), 80)])
    every = torch.cat([planted.shard(i).activations for i in (0, 1)]).flatten(0, 1)
    assert found.dtype == torch.bfloat16 and found.shape == every.shape
    assert torch.equal(found.double().sort(0).values, every.double().sort(0).values)


class Mixed:
    """Shards of single numbers: every fifth token is no row, every seventh is long."""

    counts = (40, 30)

    def shard(self, index):
        first = 8 * 40 * index
        numbers = torch.arange(first, first + 8 * self.counts[index]).view(-1, 8)
        long = (numbers % 7 == 0).float() * 1000
        return Shard(torch.stack([numbers, long], -1).to(torch.float64), long, numbers % 5 != 0)


EXPECTED = [n for n in range(8 * 70) if n % 5 and n % 7]


def numbers(start=START, count=1, size=16):
    stream = itertools.islice(batches(Mixed(), size, 3, start, longest=10), count)
    return [(batch.rows[:, 0].int().tolist(), batch.next) for batch in stream]


@pytest.mark.parametrize("at_once", [3, 4096])
def test_what_is_no_row_or_too_long_is_left_out_and_batches_stay_full(monkeypatch, at_once):
    monkeypatch.setattr(saes_batches, "WINDOWS_AT_ONCE", at_once)
    size = len(EXPECTED) // 12
    assert len(EXPECTED) == 12 * size
    found = numbers(count=24, size=size)
    assert {len(rows) for rows, _ in found} == {size}
    for epoch in (found[:12], found[12:]):
        assert sorted(n for rows, _ in epoch for n in rows) == EXPECTED
    for done in (1, 5, 11, 12, 17):  # a run that is resumed behind any of them
        assert numbers(found[done - 1][1], 3, size) == found[done : done + 3]


def test_a_pass_without_a_row_ends():
    class Nothing(Mixed):
        def shard(self, index):
            shard = super().shard(index)
            return shard._replace(rows=torch.zeros_like(shard.rows))

    with pytest.raises(NoRows, match="no row is left"):
        next(batches(Nothing(), 4, 0))
    with pytest.raises(NoRows, match=r"activations\.special: keep"):
        sample(Nothing(), 4, 0)


def test_a_sample_is_seeded_and_without_repeats():
    found, norms = sample(Numbered(), 8, seed=1)
    torch.testing.assert_close(norms, found.norm(dim=1))
    assert found.shape == (8, 3) and len(found[:, 0].unique()) == 4
    assert torch.equal(found, sample(Numbered(), 8, seed=1)[0])
    assert len(sample(Numbered(), 10_000, seed=1)[0]) == 14  # no more than the first shard has


def save_shard(path, windows, rows=None):
    shard = whole(windows.to(torch.bfloat16).contiguous())
    save_file(shard._replace(rows=shard.rows if rows is None else rows)._asdict(), path)


def test_fresh_shards_are_the_stored_ones(model_folder, token_ids, tmp_path):
    model = HookedModel.load(model_folder, HOOK, "cpu")
    corpora = {"a": token_ids[:1500], "b": token_ids[1500:2500]}
    sequence = Blocks(corpora, WINDOWS, 3, np.unique(token_ids)[:3])
    settings = Activations(window=8, tokens=700, shard_tokens=300)
    paths = []
    for i, size in enumerate([300, 300, 100]):
        start, stop = shard_range(i, 300, size, 8)
        paths.append(tmp_path / f"{i}.safetensors")
        rows = torch.from_numpy(sequence.rows(start, stop))
        assert 0 < rows.float().mean() < 1
        save_shard(paths[-1], torch.cat(list(sequence.activations(model, start, stop))), rows)
    stored, fresh = StoredShards(paths), FreshShards(sequence, model, settings, 10_000)
    assert stored.counts == fresh.counts == [37, 37, 12]
    for i in (0, 2, 1):
        for one, other in zip(stored.shard(i), fresh.shard(i), strict=True):
            assert torch.equal(one, other)
    assert FreshShards(sequence, model, settings, 301).counts == [37, 37]


def test_shards_of_another_width_are_refused(tmp_path):
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path, width in zip(paths, (3, 4), strict=True):
        part = torch.zeros(2, 8, width, dtype=torch.bfloat16)
        save_shard(path, part)
    with pytest.raises(ArtifactError, match=r"b\.safetensors"):
        StoredShards(paths)
