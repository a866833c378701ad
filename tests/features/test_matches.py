"""What matches.parquet counts, against counting by hand."""

import numpy as np

from featflow.features.columns import columns, within
from featflow.features.matches import cofirings, jaccard


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
