"""Blocks and batches: even shares, whole epochs, an order that depends on seed and step alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featflow.config.errors import FeatflowError
from featflow.models.blocks import Batches, Blocks, drawn_blocks, even_blocks, read_blocks
from tests.models.conftest import write_tokens


def test_blocks_are_consecutive_and_limited(tmp_path):
    path = write_tokens(tmp_path / "t.safetensors", np.arange(103))
    every = np.arange(100).reshape(10, 10)
    np.testing.assert_array_equal(read_blocks(path, 10, 200), every)
    np.testing.assert_array_equal(drawn_blocks(path, 10, 200, 2000, 1), every)
    few, more = (drawn_blocks(path, 10, 200, tokens, 1) for tokens in (39, 62))
    assert (len(few), len(more)) == (3, 6)
    assert set(few[:, 0]) < set(more[:, 0]) < set(every[:, 0])
    assert (np.diff(more[:, 0]) > 0).all() and (more % 10 == np.arange(10)).all()
    assert few.tolist() != drawn_blocks(path, 10, 200, 39, 2).tolist()


def test_blocks_are_drawn_from_the_whole(tmp_path):
    """Of sources that stand one after another each gives its share."""
    path = write_tokens(tmp_path / "t.safetensors", np.repeat(np.arange(4), 1000))
    found = drawn_blocks(path, 10, 200, 2000, 0)[:, 0]
    assert (np.bincount(found, minlength=4) > 30).all()  # of 50 each, on average


def test_the_tail_that_even_mixing_leaves_out_is_drawn_too(tmp_path):
    paths = [
        write_tokens(tmp_path / f"{i}.safetensors", np.repeat([0, 1], size))
        for i, size in enumerate((200, 1000))
    ]
    blocks = even_blocks(paths, 10, 3, seed=0)
    longer = blocks[np.arange(40, 80)]
    assert 10 < longer[:, 0].sum() < 30
    assert len(np.unique(blocks._chosen[1])) == 40


def test_each_corpus_gives_as_many_blocks_as_the_shortest(tmp_path):
    sizes = {"a": 95, "b": 1000, "c": 350}
    paths = [
        write_tokens(tmp_path / f"{name}.safetensors", np.full(size, i))
        for i, (name, size) in enumerate(sizes.items())
    ]
    blocks = even_blocks(paths, 10, 3, seed=0)
    assert len(blocks) == 27
    assert np.bincount(blocks[np.arange(27)][:, 0]).tolist() == [9, 9, 9]


@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 6),
    st.lists(st.integers(0, 999), max_size=9),
)
def test_rows_are_those_of_the_streams_one_after_the_other(streams, each, context, rows):
    ids = np.arange(streams * each * context).reshape(streams, each, context)
    every = np.arange(each)
    blocks = Blocks(list(ids), [every] * streams)
    asked = np.array(rows, dtype=np.int64) % len(blocks)
    np.testing.assert_array_equal(blocks[asked], np.concatenate(ids)[asked])
    back = Blocks(list(ids), [every[::-1]] * streams)
    np.testing.assert_array_equal(back[asked], np.concatenate(ids[:, ::-1])[asked])


def test_even_blocks_stay_in_their_files(tmp_path):
    paths = [write_tokens(tmp_path / f"{i}.safetensors", np.zeros(100, int)) for i in range(2)]
    for stream in even_blocks(paths, 10, 3, seed=0).streams:
        while isinstance(stream, np.ndarray) and not isinstance(stream, np.memmap):
            stream = stream.base
        assert isinstance(stream, np.memmap)


def test_too_short_or_foreign_streams_are_named(tmp_path):
    path = write_tokens(tmp_path / "t.safetensors", np.arange(9))
    with pytest.raises(
        FeatflowError, match=r"t\.safetensors: 9 tokens do not fill one block of 10"
    ):
        read_blocks(path, 10, 200)
    with pytest.raises(FeatflowError, match="token id 8 is not in the model's vocabulary of 5"):
        read_blocks(path, 4, 5)


@pytest.mark.parametrize("epochs", [0.3, 1.0, 2.6])
def test_every_epoch_visits_every_block_once(epochs):
    batches = Batches(blocks=50, batch=8, epochs=epochs, seed=4)
    visits = np.concatenate([batches[step] for step in range(len(batches))])
    assert len(visits) == round(50 * epochs)
    for start in range(0, len(visits), 50):
        epoch = visits[start : start + 50]
        assert len(np.unique(epoch)) == len(epoch)


def test_the_order_differs_by_epoch_and_seed_and_not_by_access():
    batches = Batches(blocks=64, batch=16, epochs=2, seed=4)
    late = batches[5]
    every = [batches[step] for step in range(len(batches))]
    np.testing.assert_array_equal(every[5], late)
    assert not np.array_equal(np.concatenate(every[:4]), np.concatenate(every[4:]))
    assert not np.array_equal(Batches(64, 16, 2, seed=5)[0], every[0])
