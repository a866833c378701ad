"""r_trimmed against a dense computation, and on matches whose truth is planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from scipy.sparse import csr_array

from featflow.features.columns import columns, within
from featflow.features.trimmed import trimmed_r
from tests.features import dense


def naive(a: np.ndarray, b: np.ndarray) -> float:
    """r_trimmed of two features (T,) as the definition reads."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    both = [t for t in range(len(a)) if a[t] > 0 and b[t] > 0]
    count = max(5, int(np.ceil(len(both) / 100)))
    gone = sorted(both, key=lambda t: (-a[t] * b[t], t))[:count]
    a, b = np.delete(a, gone)[:, None], np.delete(b, gone)[:, None]
    return float(dense.pearson(a, b)[0]) if len(a) else np.nan


def of(a: np.ndarray, b: np.ndarray) -> float:
    """The same by the kernel."""
    pair = (columns(csr_array(x.astype(np.float32)[:, None])) for x in (a, b))
    (found,) = trimmed_r(*pair, len(a), np.array([0]), np.array([0]))
    return found


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**31), rows=st.integers(1, 1500), giants=st.integers(0, 7),
    density=st.sampled_from([0, 0.01, 0.3, 1]), steps=st.sampled_from([1, 3, 1000]),
    threads=st.sampled_from([1, 4]),
)  # fmt: skip
def test_it_is_what_a_dense_computation_gives(seed, rows, density, steps, giants, threads):
    """With few steps most products are equal, so that the order of rows decides who goes."""
    rng = np.random.default_rng(seed)

    def drawn(features):
        values = rng.integers(1, steps + 1, (rows, features)) / 8
        return values * (rng.random((rows, features)) < density)

    a, b = drawn(5), drawn(7)
    b[:, 0] = a[:, 0] * rng.integers(1, 4, rows)
    b[:, 1] = a[:, 1]
    at = rng.integers(0, rows, giants)
    a[at, 2], b[at, 2] = 1e6 * rng.random(giants), 1e6
    first, second = np.repeat(np.arange(5), 7), np.tile(np.arange(7), 5)
    sparse = [columns(csr_array(x.astype(np.float32))) for x in (a, b)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "NUMBA_NUM_THREADS", threads)
        found = trimmed_r(*sparse, rows, first, second)
        back = trimmed_r(*reversed(sparse), rows, second, first)
    a, b = a.astype(np.float32), b.astype(np.float32)
    expected = [naive(a[:, i], b[:, j]) for i, j in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(back))
    np.testing.assert_allclose(found, back, atol=1e-6)


def test_on_a_range_of_rows_it_knows_of_no_others(activations):
    a, b = activations(0, 900, 6, 0.3), activations(1, 900, 6, 0.3)
    scope = range(200, 701)
    parts = (within(columns(x), scope) for x in (a, b))
    found = trimmed_r(*parts, len(scope), np.arange(6), np.arange(6))
    inside = [x.toarray()[200:701] for x in (a, b)]
    expected = [naive(*(x[:, i] for x in inside)) for i in range(6)]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def sparse_feature(rng, rows=20_000, rate=0.02):
    return rng.exponential(size=rows) * (rng.random(rows) < rate)


@pytest.mark.parametrize("size", [1e3, 1e8])
def test_two_features_with_nothing_in_common_but_three_giant_rows(size):
    rng = np.random.default_rng(0)
    a, b = sparse_feature(rng), sparse_feature(rng)
    a[[7, 900, 15_000]] = b[[7, 900, 15_000]] = size
    assert np.corrcoef(a, b)[0, 1] > 0.99
    assert abs(of(a, b)) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_a_real_match_with_heavy_tails_keeps_its_r(seed):
    rng = np.random.default_rng(seed)
    a = rng.lognormal(sigma=2, size=20_000) * (rng.random(20_000) < 0.02)
    assert of(a, 3 * a) == 1
    noisy = a * rng.uniform(0.8, 1.2, len(a))
    assert np.corrcoef(a, noisy)[0, 1] > 0.97
    assert of(a, noisy) > 0.95


def test_one_percent_goes_and_no_more():
    """Of 1,000 shared rows ten are giants: with an eleventh, the match is back."""
    rng = np.random.default_rng(1)
    a, b = (rng.permutation(np.linspace(0.5, 1.5, 1000)) for _ in "ab")
    a, b = (np.concatenate([x, np.zeros(9000)]) for x in (a, b))
    plain = of(a, b)
    for giants, high in ((10, False), (11, True)):
        x, y = a.copy(), b.copy()
        x[:giants] = y[:giants] = 1e4
        assert (of(x, y) > 0.99) == high
    assert plain == pytest.approx(naive(a.astype(np.float32), b.astype(np.float32)), abs=1e-6)


def test_a_seldom_feature_loses_a_quarter_of_what_it_shares():
    """The trap of the definition: 5 of 20 rows, and they are those that speak for the match."""
    rng = np.random.default_rng(3)
    fires = rng.permutation(20_000)
    lost = []
    for count in (20, 2000):
        a = np.zeros(20_000)
        a[fires[:count]] = rng.exponential(size=count)
        b = a + np.where(a > 0, np.abs(rng.normal(scale=0.6, size=len(a))), 0)
        lost.append(np.corrcoef(a, b)[0, 1] - of(a, b))
    assert lost[0] > 2 * lost[1] > 0


@pytest.mark.parametrize("shared", [0, 1, 4, 5])
def test_where_nothing_is_left_that_varies_there_is_no_r(shared):
    """All that both features do is on the rows that go."""
    a = np.zeros(50)
    a[:shared] = np.arange(1, shared + 1)
    assert np.isnan(of(a, a))
    b = a.copy()
    b[20] = 1  # b fires once more, a does not
    assert np.isnan(of(a, b)) and np.isnan(of(b, a))


def test_no_row_is_left():
    assert np.isnan(of(np.arange(1, 5), np.arange(1, 5)))


def test_a_feature_that_fires_everywhere_alike_is_constant():
    a = np.ones(200)
    b = np.concatenate([np.ones(100), np.zeros(100)])
    assert np.isnan(of(a, b)) and of(b, b) == 1
