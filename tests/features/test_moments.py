"""r against numpy.corrcoef on dense arrays; moments add up over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from featflow.features.columns import columns, documents, sums, within
from featflow.features.moments import BLOCK, cross_moments, overlaps, pearson


def dense_r(a: csr_array, b: csr_array) -> np.ndarray:
    """numpy's r, NaN where it divides by zero."""
    stacked = np.hstack([a.toarray(), b.toarray()]).T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(stacked)[: a.shape[1], a.shape[1] :]


shapes = st.tuples(
    st.integers(0, 2**31), st.integers(2, 60), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([0.0, 0.02, 0.2, 0.8, 1.0]), st.sampled_from([0.02, 0.3, 1.0]),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(shapes)
def test_r_is_that_of_numpy(activations, shape):
    seed, rows, m_a, m_b, density_a, density_b = shape
    a = activations(seed, rows, m_a, density_a)
    b = activations(seed + 1, rows, m_b, density_b)
    (r,) = pearson(a, b)
    assert r.shape == (m_a, m_b)
    assert r.dtype == np.float32
    np.testing.assert_allclose(r, dense_r(a, b), atol=1e-6)  # NaN must meet NaN


def test_silent_and_constant_features_have_no_r():
    a = csr_array(np.array([[0, 2.1, 1], [0, 2.1, 0], [0, 2.1, 3]], np.float32))
    (r,) = pearson(a, a)
    assert np.isnan(r[:2]).all() and np.isnan(r[:, :2]).all()
    assert r[2, 2] == pytest.approx(1)


def test_a_constant_feature_has_no_r_however_its_sums_round():
    rows = 100_003
    a = csr_array(np.full((rows, 1), np.float32(0.1)))
    b = csr_array(np.arange(rows, dtype=np.float32)[:, None])
    (r,) = pearson(a, b)
    assert np.isnan(r).all()


def test_moments_and_r_agree_with_scipy_on_many_rows(activations):
    a, b = activations(0, 5000, 3 * BLOCK + 5, 0.05), activations(1, 5000, 70, 0.3)
    moments = np.empty((a.shape[1], b.shape[1]))
    cross_moments(overlaps(columns(a), b), 0, moments)
    np.testing.assert_allclose(moments, (a.astype(float).T @ b.astype(float)).toarray(), rtol=1e-12)
    np.testing.assert_allclose(pearson(a, b)[0], dense_r(a, b), atol=1e-6)


def test_rows_longer_than_what_is_prefetched(activations):
    a, b = activations(2, 200, 5, 0.9), activations(3, 200, 900, 0.9)
    np.testing.assert_allclose(pearson(a, b)[0], dense_r(a, b), atol=1e-6)


def test_moments_add_up_over_rows(activations):
    a, b = activations(4, 300, 20), activations(5, 300, 30)
    scopes = [range(0, 200), range(80, 300), range(0, 300)]
    for scope, r in zip(scopes, pearson(a, b, scopes), strict=True):
        rows = slice(scope.start, scope.stop)
        np.testing.assert_allclose(r, dense_r(a[rows], b[rows]), atol=1e-6)
    whole, *parts = np.empty((3, 20, 30))
    for moments, cut in zip((whole, *parts), ((0, 300), (0, 90), (90, 300)), strict=True):
        cross_moments(overlaps(within(columns(a), range(*cut)), b), 0, moments)
    np.testing.assert_allclose(np.sum(parts, axis=0), whole)


def test_the_same_bits_on_one_thread_and_on_many(activations, monkeypatch):
    from numba import config

    a, b = activations(6, 400, 100), activations(7, 400, 50)
    found = []
    for threads in (1, 7):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        found.append(pearson(a, b)[0].tobytes())
    assert found[0] == found[1]


def test_sums_firings_and_documents_of_a_range_of_rows(activations):
    a = activations(8, 120, 9, 0.05)
    document = np.repeat(np.arange(30), 4)
    cut = within(columns(a), range(17, 101))
    inside = a.toarray()[17:101].astype(np.float64)
    np.testing.assert_allclose(sums(cut), [inside.sum(0), (inside**2).sum(0)])
    np.testing.assert_array_equal(cut.firings, (inside > 0).sum(0))
    expected = [len(set(document[17:101][column > 0])) for column in inside.T]
    np.testing.assert_array_equal(documents(cut, document), expected)


def test_a_document_that_is_met_twice_counts_once():
    a = csr_array(np.ones((4, 1), np.float32))
    assert documents(columns(a), np.array([1, 0, 1, 0])) == [2]
