"""r from a floor on: the full form without what is under it, whatever else is asked."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from scipy.sparse import csr_array

from featflow.config.errors import FeatflowError
from featflow.config.study import Flow
from featflow.features import correlation
from featflow.features.best_partners import PairsFromFloor
from featflow.features.correlation import correlate, partners
from featflow.features.matrix import Full, Sparse, load
from featflow.features.scope import Source, rows_in_scope, stack
from tests.features.test_correlation import FEATURES, Pair, slice_of

FLOOR = 0.3


@pytest.fixture
def pair(tmp_path, activations, monkeypatch) -> Pair:
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))
    return Pair(tmp_path, activations)


def kept(r: np.ndarray, floor: float) -> np.ndarray:
    """r, NaN under the floor."""
    return np.where(np.abs(r) >= np.float32(floor), r, np.float32(np.nan))


def dense(r: csr_array) -> np.ndarray:
    """NaN where nothing is stored."""
    array = np.full(r.shape, np.nan, np.float32)
    rows = np.repeat(np.arange(r.shape[0]), np.diff(r.indptr))
    array[rows, r.indices] = r.data
    return array


def numpys(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(a.astype(float).T, b.astype(float).T)[: a.shape[1], a.shape[1] :]


def expected_partners(r: np.ndarray, count: int) -> list[list[int]]:
    """Of each row, by a sort: equal ones by their index, [−1] where there are none."""
    return [
        sorted((j for j in range(len(row)) if not np.isnan(row[j])), key=lambda j: (-row[j], j))[
            :count
        ]
        or [-1]
        for row in r
    ]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31), counts=st.tuples(*[st.integers(1, 50)] * 2),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    density=st.sampled_from([0.0, 0.03, 0.3, 1.0]), floor=st.sampled_from([0.05, 0.3, 0.8]),
    scopes=st.tuples(*[st.sampled_from([["x"], ["y"], ["x", "y"]])] * 2),
    count=st.integers(1, 4), limit=st.sampled_from([1, 2**30]), threads=st.sampled_from([1, 4]),
)  # fmt: skip
def test_both_forms_and_numpy_say_the_same(
    activations, tmp_path_factory, seed, counts, sizes, density, floor, scopes, count, limit,
    threads,
):  # fmt: skip
    counts = dict(zip("xy", counts, strict=True))
    a, b = (
        {c: activations(seed % 999 + i, rows, size, density) for c, rows in counts.items()}
        for i, size in enumerate(sizes)
    )
    rows = rows_in_scope(counts, *scopes)
    total = sum(p.stop - p.start for p in rows.pieces)
    documents = np.arange(total) // 7
    source = Source(np.arange(total, dtype=np.int32) % 5, documents, (documents % 2).astype("i1"))
    given = stack(rows, a), stack(rows, b), rows, source, count, (2, 1)
    full, table = correlate(*given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_SCRATCH_BYTES", str(limit))
        patch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path_factory.getbasetemp()))
        patch.setattr(config, "NUMBA_NUM_THREADS", threads)
        with PairsFromFloor((sizes[0], sizes[1]), len(full), floor) as keeping:
            again = partners(*given, keep=keeping.keep())
            found = keeping.matrices()
    pd.testing.assert_frame_equal(again, table)  # the best partners do not know of the floor
    for r, sparse, scope in zip(full, found, scopes if len(full) == 2 else scopes[:1], strict=True):
        np.testing.assert_array_equal(dense(sparse), kept(r, floor))
        least = min(counts[c] for c in scope)
        own, other = (
            np.vstack([dumps[c].toarray()[:least] for c in counts if c in scope])
            for dumps in (a, b)
        )
        if len(own) > 1:
            np.testing.assert_allclose(r, numpys(own, other), atol=1e-6)
        else:
            assert np.isnan(r).all()
    for side, r in (("a", full[0]), ("b", full[-1].T)):
        rows_of = table[table["side"] == side].groupby("feature")["partner"].apply(list)
        assert list(rows_of) == expected_partners(r, count)


def test_the_stage_keeps_the_same_pairs(pair):
    full, table = pair.run(slice_of())
    found, again = pair.run(slice_of(floor=FLOOR))
    pd.testing.assert_frame_equal(again, table)
    names = {f"{n}.{k}" for n in ("r", "r_b") for k in ("indptr", "indices", "values")}
    assert set(found) == {*names, "shape", "floor"}
    assert found["floor"] == [FLOOR] and list(found["shape"]) == [FEATURES["a"], FEATURES["b"]]
    path = pair.root / "matrix.safetensors"
    for name, side in zip(("r", "r_b"), load(path), strict=True):
        i, j = (each.ravel() for each in np.indices(side.shape))
        np.testing.assert_array_equal(side[i, j], kept(full[name], FLOOR).ravel())
        np.testing.assert_array_equal(side.T[j, i], side[i, j])


def test_one_scope_has_one_matrix(pair):
    found, _ = pair.run(slice_of(scope_a=["x", "y"], floor=FLOOR))
    assert set(found) == {"r.indptr", "r.indices", "r.values", "shape", "floor"}
    first, second = load(pair.root / "matrix.safetensors")
    np.testing.assert_array_equal(first._r.toarray(), second._r.toarray())


def test_the_same_bytes_from_files_as_from_memory(pair, monkeypatch):
    files = [pair.root / name for name in ("matrix.safetensors", "matches.parquet")]
    for cfg in (slice_of(), slice_of(floor=FLOOR)):
        bytes_of = []
        for limit in ("1000000", "64"):
            monkeypatch.setenv("FEATFLOW_SCRATCH_BYTES", limit)
            pair.run(cfg)
            bytes_of.append([file.read_bytes() for file in files])
        assert bytes_of[0] == bytes_of[1]
    assert list((pair.root / "checkpoints").iterdir()) == []


def test_a_matrix_that_does_not_fit_names_the_remedy(pair, monkeypatch):
    monkeypatch.setattr(correlation.memory, "available", lambda: 2 * 2 * 4 * 12 * 15 - 1)
    with pytest.raises(FeatflowError, match=r"12 × 15 pairs.*studies\.tiny\.flow\.floor"):
        pair.run(slice_of())
    assert not (pair.root / "matrix.safetensors").exists()
    pair.run(slice_of(floor=FLOOR))
    pair.run(slice_of(scope_a=["x", "y"]))  # one matrix alone does fit


matrices = st.tuples(
    st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.2, 0.6, 0.9])
)


@settings(max_examples=60, deadline=None)
@given(matrices, st.sampled_from([0.6, 0.75]))
def test_partners_in_the_sparse_form_are_those_of_the_full_one(shape, threshold):
    seed, m_a, m_b, silent = shape
    rng = np.random.default_rng(seed)
    r = (rng.integers(-20, 21, (m_a, m_b)) / 20).astype(np.float32)  # many ties
    r[rng.random(m_a) < silent / 2], r[:, rng.random(m_b) < silent / 2] = np.nan, np.nan
    living, counting = rng.random(m_a) < 0.8, rng.random(m_b) < 0.7
    stored = np.abs(r) >= np.float32(0.5)
    places = np.nonzero(stored)
    indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))])
    sparse = Sparse(csr_array((r[places], places[1].astype(np.int32), indptr), r.shape), 0.5)
    sides = ((Full(r), sparse, living, counting), (Full(r).T, sparse.T, counting, living))
    for full, few, own, other in sides:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("featflow.features.matrix.ENTRIES", 7)
            found = few.partners(own, other, threshold)
        expected = full.partners(own, other, threshold)
        near = expected.r >= 0.5
        np.testing.assert_array_equal(found.best, np.where(near, expected.best, -1))
        np.testing.assert_array_equal(found.r, np.where(near, expected.r, np.nan))
        for one, two in zip(found.above, expected.above, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_floor_above_the_threshold_is_refused():
    from featflow.config import ConfigError
    from featflow.config import load as load_config
    from tests.config.test_config import config, set_at

    with pytest.raises(ConfigError, match=r"flow\.floor: 0\.7 is above flow\.threshold, 0\.6"):
        load_config(set_at(config(), "flow", {"threshold": 0.6, "floor": 0.7}))
    for wrong, said in ((0, "greater than 0"), (1, "less than 1"), ("some", "number")):
        with pytest.raises(ConfigError, match=rf"(?s)flow\.floor.*{said}"):
            load_config(set_at(config(), "flow/floor", wrong))
    checked = load_config(set_at(config(), "flow", {"threshold": 0.6, "floor": 0.6}))
    assert checked.studies["one"].flow == Flow(threshold=0.6, floor=0.6)


def test_only_the_correlations_read_the_floor():
    from featflow.config import load as load_config
    from featflow.plan.slicer import Slices
    from tests.config.test_config import config, set_at
    from tests.plan.test_slices import every_slice

    before, after = (
        every_slice(Slices("one", load_config(study).studies["one"]))
        for study in (config(), set_at(config(), "flow/floor", 0.3))
    )
    changed = {key for key in before if before[key].dumps() != after[key].dumps()}
    assert changed and all(type(before[key]).__name__ == "CorrelationSlice" for key in changed)
    assert len(changed) == sum(type(s).__name__ == "CorrelationSlice" for s in before.values())
