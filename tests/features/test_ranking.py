"""The best partners, and the strongest rows, against sorting by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from featflow.features.columns import columns
from featflow.features.ranking import best_partners, best_partners_of_columns, top_rows


def sorted_partners(row: np.ndarray, count: int) -> tuple[list[int], list[float]]:
    valid = [j for j in range(len(row)) if not np.isnan(row[j])]
    order = sorted(valid, key=lambda j: (-row[j], j))[:count]
    missing = count - len(order)
    return order + [-1] * missing, [row[j] for j in order] + [np.nan] * missing


@pytest.mark.parametrize(("rows", "others", "count"), [(1, 1, 1), (7, 300, 5), (300, 3, 10)])
def test_partners_are_those_of_a_sort(rows, others, count):
    rng = np.random.default_rng(rows)
    r = (rng.integers(-5, 6, (rows, others)) / 5).astype(np.float32)  # many ties
    r[rng.random(r.shape) < 0.1] = np.nan
    r[rows // 2] = np.nan
    expected = [sorted_partners(row, count) for row in r]
    for partners, best in (best_partners(r, count), best_partners_of_columns(r.T.copy(), count)):
        np.testing.assert_array_equal(partners, [e[0] for e in expected])
        np.testing.assert_array_equal(best, np.array([e[1] for e in expected], np.float32))


def test_top_rows_take_the_first_of_equals():
    column = np.array([1, 3, 3, 2, 0, 3], np.float32)[:, None]
    rows, values = top_rows(columns(csr_array(column)), np.array([0, 0, 0, 1, 1, 2]), 4)
    np.testing.assert_array_equal(rows, [[1, 5, 3, -1]])
    np.testing.assert_array_equal(values, [[3, 3, 2, -np.inf]])
