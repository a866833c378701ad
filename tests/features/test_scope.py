"""Rows of two scopes, and what lies at each."""

import numpy as np
import pytest

from featflow.artifacts.io import ArtifactError
from featflow.features.scope import (
    Piece,
    rows_in_scope,
    source_of,
    stack,
    stack_sources,
)
from tests.features.stacks import dense


def test_one_scope_takes_the_rows_of_its_shortest_corpus():
    rows = rows_in_scope({"x": 10, "y": 7}, ["x", "y"], ["x", "y"])
    assert rows.pieces == [Piece("x", 0, 7), Piece("y", 0, 7)]
    assert rows.a == rows.b == range(14)


def test_a_short_corpus_of_one_scope_does_not_shorten_the_other():
    rows = rows_in_scope({"x": 10, "y": 4}, ["x"], ["x", "y"])
    assert rows.pieces == [Piece("x", 4, 10), Piece("x", 0, 4), Piece("y", 0, 4)]
    assert (rows.a, rows.b) == (range(10), range(6, 14))


def test_scopes_without_a_common_corpus():
    rows = rows_in_scope({"x": 3, "y": 5}, ["x"], ["y"])
    assert rows.pieces == [Piece("x", 0, 3), Piece("y", 0, 5)]
    assert (rows.a, rows.b) == (range(3), range(3, 8))


@pytest.mark.parametrize("seed", range(20))
def test_each_scope_is_exactly_its_rows(seed):
    rng = np.random.default_rng(seed)
    counts = {name: int(rng.integers(1, 9)) for name in "uvwx"}
    scopes = [[name for name in counts if rng.random() < 0.6] or ["u"] for _ in range(2)]
    rows = rows_in_scope(counts, *scopes)
    table = [(p.corpus, row) for p in rows.pieces for row in range(p.start, p.stop)]
    for scope, found in zip(scopes, (rows.a, rows.b), strict=True):
        least = min(counts[name] for name in scope)
        expected = {(name, row) for name in scope for row in range(least)}
        assert {table[i] for i in found} == expected
        assert len(found) == len(expected)
    assert len(set(table)) == len(table) == len({*rows.a, *rows.b})


def test_stack_takes_the_rows_of_the_pieces(activations):
    dumps = {"x": activations(0, 10, 6), "y": activations(1, 4, 6)}
    rows = rows_in_scope({"x": 10, "y": 4}, ["x"], ["x", "y"])
    found = stack(rows, dumps)
    x, y = (dumps[name].toarray() for name in "xy")
    assert found.shape == (14, 6) and [part.rows for part in found.parts] == [6, 4, 4]
    assert all(np.shares_memory(p.values, dumps["x"].data) for p in found.parts[:2])
    np.testing.assert_array_equal(dense(found), np.vstack([x[4:], x[:4], y]))


def test_tokens_documents_and_folds_of_the_rows(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "tokens.safetensors"
    ids, starts = np.arange(100, 120, dtype=np.int32), np.array([0, 3, 9, 15], np.int64)
    save_file({"input_ids": ids, "document_starts": starts}, path)
    x = source_of(path, np.array([2, 3, 8, 9, 14, 19]))
    np.testing.assert_array_equal(x.tokens, [102, 103, 108, 109, 114, 119])
    np.testing.assert_array_equal(x.documents, [0, 1, 1, 2, 2, 3])
    np.testing.assert_array_equal(x.folds, [0, 1, 1, 0, 0, 1])
    y = source_of(path, np.array([0, 4]))
    rows = rows_in_scope({"x": 6, "y": 2}, ["x"], ["x", "y"])
    both = stack_sources(rows, {"x": x, "y": y})
    np.testing.assert_array_equal(both.documents, [1, 2, 2, 3, 0, 1, 4, 5])
    np.testing.assert_array_equal(both.folds, [1, 0, 0, 1, 0, 1, 0, 1])
    with pytest.raises(ArtifactError, match=r"20 tokens, the dump reaches token 20"):
        source_of(path, np.array([20]))
