"""The columns of a matrix are those of scipy, wherever they lie."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from scipy.sparse import csr_array

from featflow.features.columns import CHUNKS, columns, within
from featflow.features.domains import joined
from featflow.features.stacked import Stacked, one_after_another, stacked


def cut_up(matrix: csr_array, places: list[int]) -> Stacked:
    """The same rows in several parts, some of them empty."""
    edges = [0, *sorted(p % (matrix.shape[0] + 1) for p in places), matrix.shape[0]]
    whole = stacked(matrix)
    parts = [whole.cut(low, high) for low, high in pairwise(edges)]
    return one_after_another(parts)


def same(found, matrix: csr_array) -> None:
    expected = matrix.tocsc()
    np.testing.assert_array_equal(found.starts, expected.indptr[:-1])
    np.testing.assert_array_equal(found.stops, expected.indptr[1:])
    np.testing.assert_array_equal(found.rows, expected.indices)
    np.testing.assert_array_equal(found.values, expected.data)
    assert found.rows.dtype == np.int32 and found.values.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31), rows=st.integers(1, 70), features=st.integers(1, 40),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]), places=st.lists(st.integers(0, 99), max_size=4),
    limit=st.sampled_from([1, 40, 300, 2**30]), threads=st.sampled_from([1, 3]),
)  # fmt: skip
def test_columns_are_those_of_scipy(
    activations, tmp_path_factory, seed, rows, features, density, places, limit, threads
):
    matrix = activations(seed, rows, features, density)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_SCRATCH_BYTES", str(limit))
        patch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path_factory.getbasetemp()))
        patch.setattr(config, "NUMBA_NUM_THREADS", threads)
        patch.setattr("featflow.features.columns.LEAST_ROWS", 3)
        same(columns(cut_up(matrix, places)), matrix)
        half = rows // 2
        found = columns(matrix)
        stretches = [range(half, rows), range(half)]
        moved = joined([within(found, s) for s in stretches], stretches)
        same(moved, csr_array(np.vstack([matrix.toarray()[half:], matrix.toarray()[:half]])))


def test_many_rows_in_many_chunks(activations):
    rows = 4096 * (CHUNKS + 1) + 17
    matrix = activations(3, rows, 9, 0.1)
    same(columns(matrix), matrix)


def test_a_cut_of_cuts_is_what_numpy_takes(activations):
    from tests.features.stacks import dense

    matrix = activations(1, 20, 5, 0.4)
    found = cut_up(matrix, [3, 3, 11])
    assert found.starts == [0, 3, 11] and found.shape == (20, 5)
    for start, stop in ((0, 20), (2, 5), (3, 11), (12, 12), (19, 20)):
        np.testing.assert_array_equal(dense(found.cut(start, stop)), matrix.toarray()[start:stop])
