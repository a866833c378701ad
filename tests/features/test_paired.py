"""Two sides of the same features, batch by batch, against numpy on all rows at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featflow.features.paired import Paired
from tests.features import dense

FEATURES = 12


def both(seed: int, rows: int = 700) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two activations (T, m) that have something in common, and the document of each row."""
    rng = np.random.default_rng(seed)
    common = rng.random((rows, FEATURES)) * (rng.random((rows, FEATURES)) < 0.2)
    noise = rng.random((2, rows, FEATURES)) * (rng.random((2, rows, FEATURES)) < 0.05)
    documents = np.sort(rng.integers(0, 60, rows))
    return *(np.float32(common + own) for own in noise), documents


def added(a: np.ndarray, b: np.ndarray, documents: np.ndarray, *sizes: int) -> Paired:
    """All rows, in batches of these sizes in turn."""
    paired, start, turn = Paired(a.shape[1]), 0, 0
    while start < len(a):
        rows = slice(start, start + sizes[turn % len(sizes)])
        paired.add(dense.codes(a[rows]), dense.codes(b[rows]), documents[rows])
        start, turn = rows.stop, turn + 1
    return paired


@pytest.mark.parametrize("sizes", [(1000,), (64,), (1, 2, 3), (1,)])
def test_batches_add_up_to_what_numpy_says(sizes):
    a, b, documents = both(0)
    found = added(a, b, documents, *sizes)
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(FEATURES)]
    np.testing.assert_allclose(found.r(), expected, rtol=1e-6)
    assert 0.3 < min(expected) < max(expected) < 0.999
    for side, firings in ((a, found.of_a), (b, found.of_b)):
        np.testing.assert_array_equal(firings.rows, (side > 0).sum(0))
        np.testing.assert_array_equal(firings.documents, dense.documents(side > 0, documents))
    assert found.rows == len(a)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 5), st.integers(1, 9),
    st.sampled_from([0.0, 0.1, 0.6, 1.0]),
)  # fmt: skip
def test_any_shape_is_as_the_dense_form(seed, rows, features, size, density):
    """Rows on which nothing fires, one feature, features that never fire or always do."""
    rng = np.random.default_rng(seed)
    shape = (2, rows, features)
    a, b = (rng.integers(1, 9, shape) / 8 * (rng.random(shape) < density)).astype(np.float32)
    documents = np.sort(rng.integers(0, 5, rows))
    found = added(a, b, documents, size)
    np.testing.assert_allclose(found.r(), dense.pearson(a, b), atol=1e-6)
    for side, firings in ((a, found.of_a), (b, found.of_b)):
        np.testing.assert_array_equal(firings.rows, (side > 0).sum(0))
        np.testing.assert_array_equal(firings.documents, dense.documents(side > 0, documents))


def test_a_side_that_is_constant_has_no_r():
    a, b, documents = both(1)
    a[:, 0], b[:, 1], a[:, 2], b[:, 3] = 0, 0, 0.1, 7.3
    a[:, 4], b[:, 4] = b[:, 4].copy(), b[:, 4].copy() * 3
    r = added(a, b, documents, 50).r()
    assert np.isnan(r[:4]).all() and np.isfinite(r[4:]).all()
    assert r[4] == 1 and r.dtype == np.float32


def test_a_large_mean_hides_no_small_variance():
    a, b, documents = both(2)
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(FEATURES)]
    found = added(a + 1000, b * 1e-4, documents, 50).r()
    # float32 itself keeps three digits of what varies above 1000
    np.testing.assert_allclose(found, expected, atol=2e-3)
