"""Against the standard library's statistics, and by hand."""

import statistics
from itertools import chain

import numpy as np
import pytest

from featflow.interpret.score import (
    balanced_accuracy,
    contains,
    markings,
    matched,
    pearson,
    simulation,
)

from .planted import record


def ranks(values: list[float]) -> list[float]:
    """1 for the smallest; equal ones share the mean of their ranks."""
    return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


@pytest.mark.parametrize("seed", range(5))
def test_correlation_over_the_tokens_of_all_records(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, 8)
    truth = [np.maximum(rng.normal(0, 1, n), 0).round(1).tolist() for n in sizes]
    guess = [(np.array(t) * 3 + rng.normal(0, 2, len(t))).round(0).tolist() for t in truth]
    found = simulation([record([1] * len(t), t, 5.0) for t in truth], guess)
    flat, flat_guess = list(chain(*truth)), list(chain(*guess))
    assert found.pearson == pytest.approx(statistics.correlation(flat, flat_guess))
    by_rank = statistics.correlation(ranks(flat), ranks(flat_guess))
    assert found.spearman == pytest.approx(by_rank)


def test_the_exact_activations_count_not_their_levels():
    weak = record([1, 2, 3, 4], [0.0, 0.1, 0.2, 100.0])
    assert weak.levels == (0, 0, 0, 10)
    assert simulation([weak], [[0, 1, 2, 3]]).spearman == pytest.approx(1)
    assert simulation([weak], [[0, 1, 2, 3]]).pearson < 0.9


def test_a_constant_side_has_no_correlation():
    assert simulation([record([1, 2], [1.0, 2.0])], [[3, 3]]) == (None, None)
    assert simulation([record([1, 2], [0.0, 0.0], 1.0)], [[1, 2]]) == (None, None)
    assert simulation([], []) == (None, None)
    assert pearson(np.array([1.0, 1.0 + 1e-12]), np.array([0.0, 1.0])) == pytest.approx(1)


def test_a_prediction_of_another_length():
    with pytest.raises(ValueError):
        simulation([record([1, 2], [1.0, 2.0])], [[3]])


def test_balanced_accuracy():
    truth = [True] * 2 + [False] * 6
    assert balanced_accuracy(truth, truth) == 1
    assert balanced_accuracy(truth, [not t for t in truth]) == 0
    assert balanced_accuracy(truth, [True] * 8) == balanced_accuracy(truth, [False] * 8) == 0.5
    answers = [True, False, True, False, False, False, False, False]
    assert balanced_accuracy(truth, answers) == pytest.approx((1 / 2 + 5 / 6) / 2)
    assert balanced_accuracy([True, *[False] * 9], [True] * 10) is None
    assert balanced_accuracy([False, *[True] * 9], [True] * 10) is None


def test_what_contains_the_feature():
    assert contains(record([1, 2], [0.0, 0.5], 10.0)) is None  # level 0, though it fires
    assert contains(record([1, 2], [0.0, 0.6], 10.0)) is True
    assert contains(record([1, 2], [0.0, 0.0], 10.0)) is False


def test_marks():
    rng = np.random.default_rng(0)
    shown = record(range(8), [0, 9.0, 0, 0.2, 8.0, 0, 0, 0.3], 10.0)
    silent = set()
    for _ in range(100):
        right, wrong = markings(shown, rng)
        assert right.positions == (1, 4) and right.record is wrong.record is shown
        assert len(wrong.positions) == 2 and sorted(wrong.positions) == list(wrong.positions)
        silent |= set(wrong.positions)
    assert silent == {0, 2, 5, 6}  # never what fires too weakly for a level
    assert markings(record([1, 2], [0.0, 0.0], 1.0), rng) is None
    assert markings(record([1, 2, 3], [1.0, 0.0, 1.0]), rng) is None


def test_matched_on_density():
    rng = np.random.default_rng(0)
    density = [10 ** rng.uniform(-4, -1, n) for n in (60, 90)]
    score = [rng.normal(size=len(d)) + np.log10(d) for d in density]
    total, pairs = 0.0, 0
    for low in np.arange(-8, 0) / 2:
        inside = [
            [s for s, x in zip(score[i], density[i], strict=True) if low <= np.log10(x) < low + 0.5]
            for i in (0, 1)
        ]
        weight = min(map(len, inside))
        if weight:
            total += weight * (statistics.mean(inside[0]) - statistics.mean(inside[1]))
            pairs += weight
    found = matched((density[0], score[0]), (density[1], score[1]))
    assert found.difference == pytest.approx(total / pairs) and found.pairs == pairs
    apart = matched((np.array([1e-4]), np.array([1.0])), (np.array([1e-2]), np.array([0.0])))
    assert apart is None


def test_matching_takes_away_a_difference_that_density_makes():
    rng = np.random.default_rng(1)
    often, seldom = 10 ** rng.uniform(-3, -1, 400), 10 ** rng.uniform(-4, -2, 400)
    scores = [np.log10(d) + rng.normal(0, 0.1, 400) for d in (often, seldom)]
    assert scores[0].mean() - scores[1].mean() > 0.9
    assert abs(matched((often, scores[0]), (seldom, scores[1])).difference) < 0.1
