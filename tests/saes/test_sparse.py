"""The sparse products against scipy's, and independent of the number of threads."""

import numba
import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from featflow.saes import sparse

TOKENS, FEATURES, WIDTH = 150, 70, 13


@pytest.fixture(params=[torch.float32, torch.bfloat16])
def pre(request):
    """Pre-activations with rows of no, few and all features, zeros and negative zeros."""
    x = torch.randn(TOKENS, FEATURES, generator=torch.Generator().manual_seed(0)) - 1.2
    x[3], x[4], x[5, :10], x[6, :10] = -1, 2.0, 0.0, -0.0
    return x.to(request.param)


def codes(pre):
    bits = sparse.bits(pre)
    return sparse.compress(bits, sparse.count_positive(bits))


def matrix(indptr, indices, values):
    return csr_array((values.astype(np.float64), indices, indptr), shape=(TOKENS, FEATURES))


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    shapes = {"decoder": (FEATURES, WIDTH), "start": (TOKENS, WIDTH), "centred": (TOKENS, WIDTH)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_codes_are_the_positive_numbers(pre):
    found, expected = codes(pre), csr_array(pre.relu().double().numpy())
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.values, expected.data)


def test_products_are_scipys(pre, dense):
    found = codes(pre)
    f = matrix(*found)
    error = dense["start"].copy()
    slopes = sparse.decode(found, dense["decoder"], error, 0.25)
    expected = dense["start"] + f @ dense["decoder"]
    np.testing.assert_allclose(error, expected, rtol=1e-4, atol=1e-4)
    tokens = np.repeat(np.arange(TOKENS), np.diff(found.indptr))
    along = (expected[tokens] * dense["decoder"][found.indices]).sum(1) + 0.25
    np.testing.assert_allclose(slopes, along, rtol=1e-4, atol=1e-3)
    pairs = sparse.by_feature(found, slopes, FEATURES)
    up, down = np.empty_like(dense["decoder"]), np.empty_like(dense["decoder"])
    sparse.gradients(pairs, error, dense["centred"], up, down)
    df = matrix(found.indptr, found.indices, slopes)
    np.testing.assert_allclose(down, f.T @ error.astype(float), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(up, df.T @ dense["centred"].astype(float), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(pairs.sums, df.sum(axis=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(np.diff(pairs.starts), (f > 0).sum(axis=0))


def test_no_feature_may_fire(dense):
    found = codes(torch.full((TOKENS, FEATURES), -1.0))
    assert len(found.values) == 0
    error = dense["start"].copy()
    slopes = sparse.decode(found, dense["decoder"], error, 0.25)
    np.testing.assert_array_equal(error, dense["start"])
    pairs = sparse.by_feature(found, slopes, FEATURES)
    up, down = np.ones((FEATURES, WIDTH), np.float32), np.ones((FEATURES, WIDTH), np.float32)
    sparse.gradients(pairs, error, dense["centred"], up, down)
    assert not up.any() and not down.any()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_the_number_of_threads_changes_no_bit(pre, dense):
    def everything(threads):
        torch_threads, numba_threads = torch.get_num_threads(), numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            found, error = codes(pre), dense["start"].copy()
            slopes = sparse.decode(found, dense["decoder"], error, 0.25)
            pairs = sparse.by_feature(found, slopes, FEATURES)
            up, down = np.empty_like(dense["decoder"]), np.empty_like(dense["decoder"])
            sparse.gradients(pairs, error, dense["centred"], up, down)
            return [*found, error, slopes, *pairs, up, down]
        finally:
            numba.set_num_threads(numba_threads)
            torch.set_num_threads(torch_threads)

    for one, two in zip(everything(1), everything(2), strict=True):
        np.testing.assert_array_equal(one, two)
