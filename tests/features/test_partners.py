"""The best partners, and the strongest rows, against sorting by hand."""

import numpy as np
import pytest
from numba import config
from scipy.sparse import csr_array

from featflow.features.best_partners import Judged, Question, best_partners
from featflow.features.columns import columns
from featflow.features.matrix import Full
from featflow.features.moments import in_stretches, pearson
from featflow.features.ranking import top_rows


def sorted_partners(row: np.ndarray, count: int) -> tuple[list[int], list[float]]:
    valid = [j for j in range(len(row)) if not np.isnan(row[j])]
    order = sorted(valid, key=lambda j: (-row[j], j))[:count]
    missing = count - len(order)
    return order + [-1] * missing, [row[j] for j in order] + [np.nan] * missing


@pytest.mark.parametrize(("m_a", "m_b", "count"), [(1, 1, 1), (7, 300, 5), (300, 3, 10)])
@pytest.mark.parametrize("threads", [1, 5])
def test_partners_are_those_of_a_sort(activations, monkeypatch, m_a, m_b, count, threads):
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
    rng = np.random.default_rng(m_a)
    some = activations(m_a, 60, 6).toarray()  # the same features again and again: many ties
    some[:, 0] = 0
    a, b = (csr_array(some[:, rng.integers(0, 6, m)]) for m in (m_a, m_b))
    (r,) = pearson(a, b)
    counting = rng.random(m_a) < 0.9, rng.random(m_b) < 0.9
    parts, (scope,) = in_stretches(columns(a), columns(b), [range(60)])
    judged = [Judged(*side, own) for side, own in zip(scope[2:], counting, strict=True)]
    question = Question(60, scope.stretches, *judged, count, count)
    ((of_a, of_b),) = best_partners(parts, b, [question])
    for found, own, there in ((of_a, r, counting[1]), (of_b, r.T, counting[0])):
        expected = [sorted_partners(np.where(there, row, np.nan), count) for row in own]
        np.testing.assert_array_equal(found.partners, [e[0] for e in expected])
        np.testing.assert_array_equal(found.r, np.array([e[1] for e in expected], np.float32))
        best = Full(own).partners(np.ones(len(own), bool), there, 0.8)  # as the flow asks a matrix
        np.testing.assert_array_equal(best.best, found.partners[:, 0])
        np.testing.assert_array_equal(best.r, found.r[:, 0])
    mutual = [j >= 0 and of_b.partners[j, 0] == i for i, j in enumerate(of_a.partners[:, 0])]
    np.testing.assert_array_equal(of_a.mutual(of_b), mutual)


def test_top_rows_take_the_first_of_equals():
    column = np.array([1, 3, 3, 2, 0, 3], np.float32)[:, None]
    rows, values = top_rows(columns(csr_array(column)), np.array([0, 0, 0, 1, 1, 2]), 4)
    np.testing.assert_array_equal(rows, [[1, 5, 3, -1]])
    np.testing.assert_array_equal(values, [[3, 3, 2, -np.inf]])
