"""Shards are slices of one fixed permutation of windows, and hold the model's own numbers."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file

from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance
from featflow.models.hooked import HookedModel
from featflow.plan.slices import Windows
from featflow.plan.stages.saes import ActivationsSlice
from featflow.runtime.checkpoints import Checkpoints, Stop
from featflow.saes import activations
from featflow.saes.activations import Blocks, Shortage, block_order, read_shard, run, write_shard
from tests.saes.conftest import HOOK, NONE, WINDOWS


def cfg(shard=0, shard_tokens=240, tokens=240, windows=WINDOWS, corpora=("a", "b"), seed=3):
    return ActivationsSlice(
        study="demo",
        model="m",
        hook=HOOK,
        corpora=list(corpora),
        windows=windows,
        seed=seed,
        shard=shard,
        shard_tokens=shard_tokens,
        tokens=tokens,
    )


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))


def write(path, x, shape):
    """A shard of x, two windows at a time; every second token is a row."""
    rows = np.arange(shape[0] * shape[1]).reshape(shape[:2]) % 2 == 0
    with Checkpoints("shard") as checkpoints:
        provenance = Provenance("activations", cfg())
        parts = lambda done: iter(x[done:].split(2))  # noqa: E731
        write_shard(path, parts, rows, shape[2], provenance, checkpoints)
    return rows


@pytest.fixture
def tokens(token_ids, save_tokens):
    return [save_tokens("a", token_ids[:1500]), save_tokens("b", token_ids[1500:2500])]


def test_the_order_takes_corpora_in_turn_and_each_block_once():
    order = block_order([5, 2, 4], seed=1)
    assert order[:6, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert order[6:, 0].tolist() == [0, 2, 0, 2, 0]  # b has run out, the others continue
    assert sorted(map(tuple, order)) == [(c, i) for c, n in enumerate([5, 2, 4]) for i in range(n)]


def test_the_order_is_seeded_and_permuted():
    first = block_order([50], seed=1)
    assert np.array_equal(first, block_order([50], seed=1))
    assert not np.array_equal(first, block_order([50], seed=2))
    assert not np.array_equal(first[:, 1], np.arange(50))
    both = block_order([50, 50], seed=1)
    assert not np.array_equal(both[both[:, 0] == 0, 1], both[both[:, 0] == 1, 1])


def test_shards_are_slices_of_one_sequence(model_folder, tokens, tmp_path):
    def shards(size, count):
        paths = [tmp_path / f"{size}-{i}.safetensors" for i in range(count)]
        for i, path in enumerate(paths):
            run(cfg(i, size, size), model=model_folder, tokens=tokens, output=path)
        return torch.cat([read_shard(path).activations for path in paths])

    small, large = shards(240, 6), shards(720, 2)
    assert small.shape == (180, 8, 32 + 16) and small.dtype == torch.bfloat16
    assert torch.equal(small, large)  # whatever the shards' size, the same bits in the same order
    last = tmp_path / "last.safetensors"
    run(cfg(2, 240, 100), model=model_folder, tokens=tokens, output=last)
    assert torch.equal(
        read_shard(last).activations, small[60:72]
    )  # a shorter last shard is a prefix


@pytest.mark.parametrize("context", ["full", "truncated"])
def test_the_numbers_are_the_models(model_folder, token_ids, context):
    windows = Windows(window=8, context=context, context_length=32)
    model = HookedModel.load(model_folder, HOOK, "cpu")
    sequence = Blocks({"a": token_ids[:320], "b": token_ids[320:500]}, windows, 3, NONE)
    found = torch.cat(list(sequence.activations(model, 0, 12)))
    length, kept = (32, slice(8, 32)) if context == "full" else (8, slice(0, 8))
    streams = [token_ids[:320], token_ids[320:500]]
    expected = []
    for corpus, block in block_order([len(s) // length for s in streams], 3):
        ids = streams[corpus][block * length : (block + 1) * length].astype(np.int64)
        expected.append(model.activations(torch.from_numpy(ids)[None])[0, kept].view(-1, 8, 48))
    expected = torch.cat(expected)[:12]
    torch.testing.assert_close(found.float(), expected, rtol=1 / 128, atol=1e-6)
    assert (found == expected.to(torch.bfloat16)).float().mean() > 0.99


@pytest.mark.parametrize("context", ["full", "truncated"])
@pytest.mark.parametrize("special", ["drop", "keep"])
def test_rows_are_text_unless_all_are_kept(
    model_folder, tokens, token_ids, tmp_path, context, special
):
    """The tokenizer's special tokens have ids 0, 1 and 2."""
    ids = token_ids[:1500].copy()
    ids[::7], ids[3::11] = 0, 2
    tokens[0] = save_ids(tmp_path / "ids.safetensors", ids)
    windows = Windows(window=8, context=context, context_length=32, special=special)
    path = tmp_path / "0.safetensors"
    run(cfg(windows=windows, corpora=["a"]), model=model_folder, tokens=tokens[:1], output=path)
    shard = read_shard(path)
    length, first = (32, 8) if context == "full" else (8, 0)
    count = len(ids) // length
    cut = ids[: count * length].reshape(count, length)[block_order([count], 3)[:, 1]]
    expected = ~np.isin(cut, [0, 1, 2])
    if context == "truncated":
        expected[:, 0] = False
    expected = expected[:, first:].reshape(-1, 8)[: len(shard.rows)]
    assert np.array_equal(shard.rows.numpy(), expected | (special == "keep"))
    torch.testing.assert_close(shard.norms, shard.activations.float().norm(dim=2))


def save_ids(path, ids):
    save_file({"input_ids": ids, "document_starts": np.zeros(1, np.int64)}, path)
    return path


def test_a_range_has_the_bits_it_has_in_the_whole(model_folder, token_ids, monkeypatch):
    monkeypatch.setattr(activations, "TOKENS_A_BATCH", 96)  # batches of 3 blocks, 9 windows
    model = HookedModel.load(model_folder, HOOK, "cpu")
    sequence = Blocks({"a": token_ids[:1500]}, WINDOWS, 3, NONE)
    whole = torch.cat(list(sequence.activations(model, 0, sequence.windows)))
    assert len(whole) == sequence.windows == 46 * 3
    for start, stop in [(0, 5), (4, 31), (9, 18), (130, 138), (7, 7)]:
        parts = list(sequence.activations(model, start, stop))
        assert torch.equal(torch.cat([whole[:0], *parts]), whole[start:stop])


def test_too_few_tokens_name_the_key(model_folder, tokens, tmp_path):
    output = tmp_path / "s.safetensors"
    with pytest.raises(Shortage, match=r"1,848 tokens.*2,400.*activations\.tokens"):
        run(cfg(0, 2400, 2400), model=model_folder, tokens=tokens, output=output)
    assert not output.exists()


def test_the_same_input_gives_the_same_bytes(model_folder, tokens, tmp_path):
    paths = [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
    for path in paths:
        run(cfg(), model=model_folder, tokens=tokens, output=path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with safe_open(paths[0], framework="pt") as file:
        assert '"stage": "activations"' in file.metadata()["featflow"]


def test_a_written_shard_is_plain_safetensors(tmp_path):
    x = torch.randn(7, 3, 5).to(torch.bfloat16)
    path = tmp_path / "s.safetensors"
    rows = write(path, x, (7, 3, 5))
    found = load_file(path)
    assert torch.equal(found["activations"], x)
    assert np.array_equal(found["rows"].numpy(), rows)
    torch.testing.assert_close(found["norms"], x.float().norm(dim=2))
    with pytest.raises(ValueError, match="add up"):
        write(tmp_path / "t.safetensors", x, (8, 3, 5))
    assert [file.name for file in tmp_path.glob("*.safetensors")] == ["s.safetensors"]
    assert not list(tmp_path.glob(".*.partial"))


class Killed(BaseException):
    """As from kill -9: nothing behind it is done."""


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("how", ["sigterm", "kill"])
def test_a_dump_goes_on_where_it_was(model_folder, tokens, tmp_path, monkeypatch, how, lost):
    """Its file may even be lost (a disk that was full): then it begins again."""
    monkeypatch.setattr(activations, "TOKENS_A_BATCH", 96)
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0" if how == "kill" else "600")
    expected, path = tmp_path / "whole" / "0.safetensors", tmp_path / "killed" / "0.safetensors"
    run(cfg(), model=model_folder, tokens=tokens, output=expected)

    class Dying(HookedModel):
        batches = 0

        def activations(self, ids):
            Dying.batches += 1
            if Dying.batches == 3:
                if how == "kill":
                    raise Killed
                os.kill(os.getpid(), signal.SIGTERM)
            return super().activations(ids)

    with monkeypatch.context() as patch:
        patch.setattr(activations, "HookedModel", Dying)
        if how == "kill":
            patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process cleans nothing
        with pytest.raises((Stop, Killed)):
            run(cfg(), model=model_folder, tokens=tokens, output=path)
    assert not path.exists()
    partial = next(path.parent.glob(".0.safetensors.*.partial"))
    other = partial.with_name(".0.safetensors.of-other-settings.partial")
    other.write_text("")
    if lost:
        partial.unlink()

    class Counting(HookedModel):
        batches = 0

        def activations(self, ids):
            Counting.batches += 1
            return super().activations(ids)

    monkeypatch.setattr(activations, "HookedModel", Counting)
    run(cfg(), model=model_folder, tokens=tokens, output=path)
    assert path.read_bytes() == expected.read_bytes()
    assert Counting.batches == 4 - (0 if lost else 3 if how == "sigterm" else 2)
    assert [file.name for file in path.parent.iterdir()] == ["0.safetensors"]


def test_a_truncated_shard_is_named(tmp_path):
    path = tmp_path / "s.safetensors"
    write(path, torch.zeros(4, 2, 3, dtype=torch.bfloat16), (4, 2, 3))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match=r"s\.safetensors"):
        read_shard(path)
