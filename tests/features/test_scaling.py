"""Latent scaling against least squares by numpy, and on planted dictionaries."""

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featflow.features.scaling import COLUMNS, Scaling, no_scaling
from tests.features import dense

ROWS, WIDTH, FEATURES = 300, 10, 6
FORMS = ("sparse", "dense")
BETAS = (
    "beta_error_parent",
    "beta_error_child",
    "beta_reconstruction_parent",
    "beta_reconstruction_child",
)


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def codes(seed: int, rows: int = ROWS, features: int = FEATURES) -> np.ndarray:
    """Sparse activations (T, m)."""
    return np.maximum(drawn(seed, rows, features) - 0.5, 0)


Scale = Callable[..., pd.DataFrame]


@pytest.fixture(params=FORMS)
def scaled(request) -> Scale:
    """The table of f (T, m) and of the parent's error, the child's, and x̂ of both (T, n)."""
    return functools.partial(table_of, request.param)


def table_of(form: str, directions: np.ndarray, f: np.ndarray, *targets, size: int = ROWS):
    """From batches of this size."""
    parent_error, child_error, said, own = targets
    found = Scaling(torch.from_numpy(directions))
    for start in range(0, len(f), size):
        every = f, said + parent_error, own + child_error, said, own
        rows = [np.ascontiguousarray(part[start : start + size], np.float32) for part in every]
        if form == "dense":
            found.add(*map(torch.from_numpy, rows))
        else:
            found.add_codes(dense.codes(rows[0]), *rows[1:])
    return found.table()


def least_squares(f: np.ndarray, direction: np.ndarray, y: np.ndarray) -> float:
    """The β that minimises Σ_t ‖y_t − β f_t d‖², as one long regression."""
    column = np.outer(f, direction).reshape(-1, 1).astype(np.float64)
    return np.linalg.lstsq(column, y.reshape(-1).astype(np.float64), rcond=None)[0][0]


@pytest.mark.parametrize("size", [ROWS, 7])
def test_beta_is_the_best_multiple(scaled, size):
    directions, f = drawn(0, FEATURES, WIDTH), codes(1)
    targets = [drawn(seed, ROWS, WIDTH) for seed in (2, 3, 4)]
    targets.append(targets[2] + f @ directions)
    table = scaled(directions, f, *targets, size=size)
    assert list(table.columns) == list(COLUMNS)
    for j, row in table.iterrows():
        error, child_error, said, own = (
            least_squares(f[:, j], directions[j], y)
            for y in (
                targets[0],
                targets[1] + np.outer(f[:, j], directions[j]),
                targets[2],
                targets[3],
            )
        )
        assert row.beta_error_parent == pytest.approx(error, abs=1e-5)
        assert row.beta_error_child == pytest.approx(child_error, abs=1e-5)
        assert row.beta_reconstruction_parent == pytest.approx(said, abs=1e-5)
        assert row.beta_reconstruction_child == pytest.approx(own, abs=1e-5)
        assert row.nu_error == pytest.approx(error / child_error, abs=1e-5)
        assert row.nu_reconstruction == pytest.approx(said / own, abs=1e-5)
        assert row.firings == (f[:, j] > 0).sum()
    assert table.nu_reconstruction.notna().all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 5), st.integers(1, 9),
    st.integers(1, 12), st.sampled_from([0.0, 0.1, 0.6, 1.0]),
)  # fmt: skip
def test_active_pairs_give_what_whole_matrices_give(seed, rows, features, width, size, density):
    """Rows on which nothing fires, one feature, features that never fire; against float64, too."""
    rng = np.random.default_rng(seed)
    f = (rng.random((rows, features)) * (rng.random((rows, features)) < density)).astype(np.float32)
    directions = rng.normal(size=(features, width)).astype(np.float32)
    targets = rng.normal(size=(4, rows, width)).astype(np.float32)
    sparse, plain = (table_of(form, directions, f, *targets, size=size) for form in FORMS)
    fires = (f > 0).any(0)
    np.testing.assert_array_equal(sparse.firings, (f > 0).sum(0))
    squares = np.square(f.astype(float)).sum(0) * np.square(directions.astype(float)).sum(1)
    scale = (np.abs(f).sum(0) * np.abs(directions).sum(1) / np.where(fires, squares, 1))[fires]
    for row, name in enumerate(BETAS):
        dots = (f.T.astype(float) @ targets[row] * directions).sum(1)[fires] / squares[fires]
        expected = dots + (name == "beta_error_child")
        for table in (sparse, plain):
            found = table[name].to_numpy()
            assert np.isnan(found[~fires]).all()
            assert (np.abs(found[fires] - expected) <= 1e-5 * (1 + scale)).all()


def test_a_shrunken_a_decoupled_and_a_new_feature(scaled):
    """Orthogonal directions: what is known of each comes out exactly.

    Feature 0 persists; 1 is in the parent, whose SAE lacks it; 2 is in the parent, said by two
    features that split its tokens; 3 is in the parent at half its strength; 4 is in the child
    alone; 5 is in both, and neither SAE says all of it.
    """
    basis = np.linalg.qr(drawn(0, WIDTH, WIDTH))[0].astype(np.float32)
    directions, f = basis[:FEATURES], codes(1)
    weights = np.array([1, 1, 1, 0.5, 0, 1], np.float32)
    parent = (f * weights) @ directions
    halves = (np.arange(ROWS) % 2)[:, None] == [0, 1]  # feature 2 on even rows, and on odd ones
    said_by = (f[:, 2:3] * halves) @ np.stack([directions[2]] * 2)
    said = f[:, :1] @ directions[:1] + said_by + (f[:, 3:] * [0.5, 0, 0.6]) @ directions[3:]
    said = said.astype(np.float32)
    child = f @ directions
    own = (f * np.array([1, 1, 1, 1, 1, 0.8], np.float32)) @ directions
    table = scaled(directions, f, parent - said, child - own, said, own)
    expected_error = [0, 1, 0, 0, 0, 0.4 / 1.2]
    expected_said = [1, 0, 1, 0.5, 0, 0.6 / 0.8]
    np.testing.assert_allclose(table.nu_error, expected_error, atol=1e-6)
    np.testing.assert_allclose(table.nu_reconstruction, expected_said, atol=1e-6)


def test_the_same_model_and_sae_on_both_sides(scaled):
    directions, f = drawn(0, FEATURES, WIDTH), codes(1)
    own, error = f @ directions, drawn(2, ROWS, WIDTH)
    table = scaled(directions, f, error, error, own, own)
    assert (table.nu_reconstruction == 1).all()
    np.testing.assert_allclose(table.beta_error_child - table.beta_error_parent, 1)


def test_neither_length_of_a_direction_nor_of_an_activation_matters(scaled):
    directions, f = drawn(0, FEATURES, WIDTH), codes(1)
    targets = [drawn(seed, ROWS, WIDTH) for seed in (2, 3, 4)] + [f @ directions]
    lengths = np.array([0.1, 3, 1, 7, 0.5, 2], np.float32)
    first = scaled(directions, f, *targets)
    second = scaled(directions * lengths[:, None], f / lengths, *targets)
    pd.testing.assert_frame_equal(first, second, rtol=1e-4)


def test_what_means_nothing_is_nan(scaled):
    directions, f = np.eye(FEATURES, WIDTH, dtype=np.float32), codes(1)
    f[:, 0] = 0  # never fires
    directions[1] = 0  # says nothing
    error = -2 * f @ directions  # so that the child's own feature makes its error larger
    table = scaled(directions, f, error, error, error, error)
    assert table.loc[:1, "beta_error_parent":"nu_reconstruction"].isna().all(axis=None)
    assert table.firings[0] == 0 and table.firings[1] > 0
    np.testing.assert_allclose(table.beta_error_child[2:], -1, rtol=1e-5)
    assert table.loc[:, ["nu_error", "nu_reconstruction"]].isna().all(axis=None)


def test_models_without_common_directions_have_a_table_without_rows(scaled):
    empty = no_scaling()
    whole = scaled(drawn(0, FEATURES, WIDTH), codes(1), *[drawn(2, ROWS, WIDTH)] * 4)
    assert len(empty) == 0
    assert dict(empty.dtypes) == dict(whole.dtypes) == {n: np.dtype(k) for n, k in COLUMNS.items()}
