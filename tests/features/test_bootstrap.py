"""The bootstrap over documents: against resampled rows one by one, and does its interval cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from featflow.features import bootstrap
from featflow.features.bootstrap import Side, best_r, documents_of, replicates, weights
from featflow.features.columns import columns
from featflow.features.strata import LOOKUPS


def side_of(own, other, candidates, documents, living=None, lookup_r=None):
    """A side of dense activations (T, m)."""
    features = own.shape[1]
    return Side(
        columns(csr_array(own.astype(np.float32))),
        columns(csr_array(other.astype(np.float32))),
        np.asarray(candidates),
        np.ones(features, bool) if living is None else living,
        np.full(features, 0.3) if lookup_r is None else lookup_r,
        (own > 0).mean(axis=0),
        documents,
    )


def test_documents_are_numbered_on_whatever_their_order():
    found = documents_of(np.array([7, 2, 2, 7, 9, 7]), np.array([1, 0, 0, 1, 1, 1], np.int32))
    np.testing.assert_array_equal(found.of_row, [1, 0, 0, 1, 2, 1])
    np.testing.assert_array_equal(found.rows, [2, 3, 1])
    np.testing.assert_array_equal(found.corpus, [0, 1, 1])


def test_every_corpus_gives_as_many_documents_as_it_has():
    documents = documents_of(np.repeat(np.arange(50), 3), np.repeat([0, 1], [60, 90]))
    drawn = weights(documents, range(40), seed=3)
    np.testing.assert_array_equal(drawn[:20].sum(axis=0), np.full(40, 20))
    np.testing.assert_array_equal(drawn[20:].sum(axis=0), np.full(40, 30))
    assert len({tuple(column) for column in drawn.T}) == 40
    np.testing.assert_array_equal(weights(documents, range(7, 9), seed=3), drawn[:, 7:9])
    assert (weights(documents, range(40), seed=4) != drawn).any()
    # a document is drawn a Poisson number of times, nearly: 1/e of them not at all
    assert (drawn == 0).mean() == pytest.approx(np.exp(-1), abs=0.03)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(3, 120),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 20)),
    k=st.integers(1, 4),
    density=st.sampled_from([0.02, 0.2, 1.0]),
    at_once=st.sampled_from([1, 200, 2**23]),
)
def test_it_is_r_on_the_drawn_rows(activations, seed, rows, sizes, k, density, at_once):
    rng = np.random.default_rng(seed)
    own, other = (
        activations(seed % 1000 + i, rows, size, density).toarray() for i, size in enumerate(sizes)
    )
    documents = documents_of(number := rng.integers(0, 12, rows), (number > 6).astype(np.int32))
    candidates = rng.integers(-1, sizes[1], (sizes[0], k))
    living = rng.random(sizes[0]) < 0.8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "AT_ONCE", at_once)
        found = best_r(side_of(own, other, candidates, documents, living), 5, seed)
    drawn = weights(documents, range(5), seed).astype(int)
    assert found.shape == (living.sum(), 5)
    for replicate in range(5):
        again = np.repeat(np.arange(rows), drawn[documents.of_row, replicate])
        a, b = own[again].astype(float), other[again].astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.corrcoef(a.T, b.T)[: sizes[0], sizes[0] :]
            r = np.where((np.ptp(a, 0) == 0)[:, None] | (np.ptp(b, 0) == 0), np.nan, r)
        r = np.hstack([r, np.full((sizes[0], 1), np.nan)])  # the partner −1
        expected = np.fmax.reduce(np.take_along_axis(r, candidates, 1), axis=1)[living]
        np.testing.assert_allclose(found[:, replicate], expected, atol=1e-5)


def test_shares_by_stratum():
    """Feature i is found where its candidate is itself; 4 is not living."""
    rng = np.random.default_rng(0)
    own = rng.random((400, 5)) * (rng.random((400, 5)) < 0.3)
    documents = documents_of(np.arange(400) // 10, np.zeros(400, np.int32))
    candidates = np.array([[0, -1], [3, 1], [3, 0], [-1, -1], [4, -1]])
    living = np.array([True, True, True, True, False])
    lookup_r = np.array([0.9, 0.9, 0.2, np.nan, 0.6])
    side = side_of(own, own, candidates, documents, living, lookup_r)
    table = replicates({"a": side, "b": side}, [0.5, 0.9], 6, seed=1)
    assert {column: str(kind) for column, kind in table.dtypes.items()} == bootstrap.COLUMNS
    assert len(table) == 2 * 6 * 2 * 5  # all; lookup, contextual, unknown; one density
    expected = {"all": (4, 0.5), "lookup": (2, 1.0), LOOKUPS[0]: (1, 0.0), "unknown": (1, 0.0)}
    for (name, stratum), rows in table.groupby(["side", "stratum"]):
        features, share = expected.get(stratum, (4, 0.5))
        assert (rows["features"] == features).all() and (rows["share"] == share).all(), name
    assert set(table["replicate"]) == set(range(6)) and set(table["threshold"]) == {0.5, 0.9}


def test_nothing_lives():
    own = np.eye(3)
    documents = documents_of(np.arange(3), np.zeros(3, np.int32))
    side = side_of(own, own, [[0], [1], [2]], documents, np.zeros(3, bool))
    table = replicates({"a": side}, [0.8], 4, seed=1)
    assert list(table["stratum"]) == ["all"] * 4
    assert (table["features"] == 0).all() and table["share"].isna().all()


def test_no_threshold_no_rows():
    own = np.eye(3)
    side = side_of(own, own, [[0], [1], [2]], documents_of(np.arange(3), np.zeros(3, np.int32)))
    table = replicates({"a": side}, [], 4, seed=1)
    assert table.empty
    assert {column: str(kind) for column, kind in table.dtypes.items()} == bootstrap.COLUMNS


def simulated(rng, documents, features):
    """Documents of 20 rows in which feature i of b is a's with noise: r from 0.55 to 0.97.

    A document has a loudness of its own, so that its rows are not independent.
    """
    rows = 20 * documents
    loud = np.repeat(rng.gamma(2, 0.5, (documents, features)), 20, axis=0)
    own = loud * (rng.random((rows, features)) < 0.3)
    lost = rng.random((rows, features)) < np.linspace(0.6, 0.05, features)
    return own, np.where(lost, 0, own)


def test_the_interval_covers_the_share_that_many_documents_give():
    """95 % intervals of 40 samples of 150 documents, against the share on 4,000 documents.

    They cover more often than that: the share of a replicate is a step function of many r, and the
    mean over replicates varies less from sample to sample than one share does.
    """
    rng, features, rows = np.random.default_rng(0), 80, 150 * 20
    own, other = simulated(rng, 4000, features)
    r = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(own.T, other.T, strict=True)])
    thresholds = [0.7, 0.8, 0.9]
    truth = np.array([(r > threshold).mean() for threshold in thresholds])
    documents = documents_of(np.arange(rows) // 20, np.zeros(rows, np.int32))
    candidates = np.arange(features)[:, None]
    ends = []
    for sample in range(40):
        side = side_of(*simulated(rng, 150, features), candidates, documents)
        table = replicates({"a": side}, thresholds, 100, sample)
        shares = table[table["kind"] == "all"].groupby("threshold")["share"]
        ends.append(shares.quantile([0.025, 0.975]).unstack().to_numpy())
    low, high = np.moveaxis(ends, 2, 0)
    covered = ((low <= truth) & (truth <= high)).mean(axis=0)
    assert ((truth > 0.1) & (truth < 0.9)).all()
    assert (covered >= 0.9).all()
    assert ((high - low > 0.01) & (high - low < 0.2)).all()
