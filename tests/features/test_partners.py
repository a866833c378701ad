"""The best partners and their co-firings against sorting and counting by hand."""

import numpy as np
import pytest

from featflow.features.columns import columns, within
from featflow.features.partners import (
    best_partners,
    best_partners_of_columns,
    cofirings,
    jaccard,
)


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


def test_cofirings_are_counted_in_scope(activations):
    a, b = activations(0, 90, 11, 0.3), activations(1, 90, 13, 0.3)
    scope = range(20, 77)
    fires_a, fires_b = a.toarray()[20:77] > 0, b.toarray()[20:77] > 0
    first = np.repeat(np.arange(11), 6)
    second = np.random.default_rng(0).integers(0, 13, len(first))
    found = cofirings(within(columns(a), scope), within(columns(b), scope), 90, first, second)
    expected = [(fires_a[:, i] & fires_b[:, j]).sum() for i, j in zip(first, second, strict=True)]
    np.testing.assert_array_equal(found, expected)


def test_jaccard():
    found = jaccard(np.array([4, 0, 2]), np.array([4, 0, 3]), np.array([4, 0, 1]))
    np.testing.assert_array_equal(found, [1, np.nan, 0.25])
