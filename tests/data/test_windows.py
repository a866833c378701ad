"""Blocks, windows and positions against a slow count by hand, on random layouts."""

import numpy as np
import pytest

from featflow.core.slices import Windows
from featflow.data import windows


def settings(context="full", window=24, context_length=256):
    return Windows(window=window, context=context, context_length=context_length)


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
    assert np.array_equal(windows.positions(3, settings("truncated")), np.arange(72))


@pytest.mark.parametrize("seed", range(20))
def test_positions_are_those_counted_by_hand(seed):
    rng = np.random.default_rng(seed)
    window = int(rng.integers(1, 30))
    length = int(rng.integers(2 * window, 8 * window + 5))
    positions = windows.positions(5, settings(window=window, context_length=length))
    assert positions.dtype == np.int64
    assert positions.tolist() == by_hand(5, window, length)


@pytest.mark.parametrize("context", ["full", "truncated"])
def test_positions_point_at_the_kept_tokens_of_the_blocks(context):
    stream = np.random.default_rng(0).integers(0, 1000, 3000).astype(np.int32)
    cut = settings(context, window=7, context_length=64)
    blocks = windows.blocks(stream, cut)
    kept = blocks[:, windows.layout(cut).kept(7)]
    assert np.array_equal(kept.reshape(-1), stream[windows.positions(len(blocks), cut)])


def test_blocks_drop_what_is_left_over():
    blocks = windows.blocks(np.arange(1000), settings(context_length=300))
    assert blocks.shape == (3, 300)
    assert np.array_equal(blocks.reshape(-1), np.arange(900))
    assert windows.blocks(np.arange(10), settings()).shape == (0, 256)


def test_two_windows_just_fit_and_fewer_do_not():
    assert windows.layout(settings(window=24, context_length=48)).windows == 1
    with pytest.raises(ValueError, match=r"activations\.window: 24 tokens .* block of 47"):
        windows.layout(settings(window=24, context_length=47))
