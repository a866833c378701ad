"""Blocks, windows and positions against a slow count by hand, on random layouts."""

import numpy as np
import pytest

from featflow.data import windows
from featflow.plan.slices import Windows


def settings(context="full", window=24, context_length=256, **more):
    return Windows(window=window, context=context, context_length=context_length, **more)


NONE = np.zeros(0, np.int64)


def positions(count, cut):
    """Where the rows of the first blocks of a stream lie, where every token is one."""
    ids = np.zeros(count * windows.layout(cut).block, np.int32)
    return windows.Rows(ids, np.arange(count), cut, NONE).positions(0, count)


def by_hand(count: int, window: int, context_length: int) -> list[int]:
    """Every whole window that starts at a multiple of `window`, but for the first of a block."""
    kept = []
    for block in range(count):
        at = window
        while at + window <= context_length:
            kept += [block * context_length + at + i for i in range(window)]
            at += window
    return kept


def test_full_context_of_the_paper_size():
    shape = windows.layout(settings())
    assert shape == (256, 24, 9)
    assert shape.kept(24) == slice(24, 240)


def test_truncated_context_reads_each_window_alone():
    shape = windows.layout(settings("truncated"))
    assert shape == (24, 0, 1)
    assert np.array_equal(positions(3, settings("truncated", special="keep")), np.arange(72))
    first = np.arange(72) % 24 != 0  # an attention sink
    assert np.array_equal(positions(3, settings("truncated")), np.arange(72)[first])


@pytest.mark.parametrize("seed", range(20))
def test_positions_are_those_counted_by_hand(seed):
    rng = np.random.default_rng(seed)
    window = int(rng.integers(1, 30))
    length = int(rng.integers(2 * window, 8 * window + 5))
    found = positions(5, settings(window=window, context_length=length))
    assert found.dtype == np.int64
    assert found.tolist() == by_hand(5, window, length)


@pytest.mark.parametrize("context", ["full", "truncated"])
def test_positions_point_at_the_kept_tokens_of_the_blocks(context):
    stream = np.random.default_rng(0).integers(0, 1000, 3000).astype(np.int32)
    cut = settings(context, window=7, context_length=64)
    chosen, special = np.array([1, 4, 5, 20]), np.array([3, 500, 999])
    rows = windows.Rows(stream, chosen, cut, special)
    ids, length = stream.reshape(-1, 1), windows.layout(cut).block
    expected = [
        at
        for block in chosen
        for at in range(block * length, (block + 1) * length)
        if at % length in range(*rows.kept.indices(length))
        and (at % length or context == "full")
        and ids[at] not in special
    ]
    assert rows.positions(0, 4).tolist() == expected
    assert np.concatenate([rows.positions(0, 3), rows.positions(3, 4)]).tolist() == expected
    assert np.array_equal(rows.ids(0, 4)[:, rows.kept][rows.mask(0, 4)], stream[expected])
    assert rows.counts().sum() == len(expected)
    assert [b for some in rows.batches(3 * length) for b in some] == [0, 1, 2, 3]


def test_drawn_blocks_are_nested_seeded_and_spread():
    few, more = windows.drawn(1000, 100, 5), windows.drawn(1000, 300, 5)
    assert set(few) < set(more) and len(few) == 100
    assert (np.diff(more) > 0).all() and abs(more.mean() - 500) < 60
    assert set(windows.drawn(1000, 100, 6)) != set(few)
    assert windows.drawn(7, 7, 5).tolist() == windows.drawn(7, 99, 5).tolist() == list(range(7))


def test_blocks_drop_what_is_left_over():
    blocks = windows.blocks(np.arange(1000), settings(context_length=300))
    assert blocks.shape == (3, 300)
    assert np.array_equal(blocks.reshape(-1), np.arange(900))
    assert windows.blocks(np.arange(10), settings()).shape == (0, 256)


def test_two_windows_just_fit_and_fewer_do_not():
    assert windows.layout(settings(window=24, context_length=48)).windows == 1
    with pytest.raises(ValueError, match=r"activations\.window: 24 tokens .* block of 47"):
        windows.layout(settings(window=24, context_length=47))
