"""The jackknife over seeds: its formula, its coverage, its edges."""

import numpy as np
import pytest
from scipy import stats

from featflow.analysis.jackknife import Interval, jackknife, variance

TRUE = 0.45
"""The share over all seeds."""

FEATURES = 800
"""Of a dictionary: what is left of chance once both seeds are known."""


def simulated(rng: np.random.Generator, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares (rows, columns), and what each child seed adds to the mean over parent seeds.

    Each seed of the parent and of the child moves all its shares by about 0.02, as SAE seeds do;
    then each feature is found or not.
    """
    parent, child = rng.normal(0, 0.02, (rows, 1)), rng.normal(0, 0.02, (1, columns))
    chance = np.clip(TRUE + parent + child, 0, 1)
    return rng.binomial(FEATURES, chance) / FEATURES, child


def covered(seeds: int, rows: int, columns: int, data: int, given: bool = False) -> float:
    """In what share of simulated sets of seeds the interval holds the true share.

    Args: given: the true share given the child's dictionaries, not over all.
    """
    rng, hits = np.random.default_rng(data), 0
    for _ in range(seeds):
        shares, child = simulated(rng, rows, columns)
        found = jackknife(shares)
        hits += found.low <= TRUE + given * child.mean() <= found.high
    return hits / seeds


@pytest.mark.parametrize("data", range(4))
@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (4, 4), (2, 3), (3, 5)])
def test_it_covers_the_true_share(rows, columns, data):
    assert 0.90 <= covered(200, rows, columns, data) <= 0.99


@pytest.mark.parametrize("data", range(4))
def test_with_one_seed_of_the_child_it_covers_the_share_given_that_dictionary(data):
    """And the share over all seeds of the child too seldom: docs/controls.md says so."""
    assert 0.90 <= covered(200, 3, 1, data, given=True) <= 0.99
    assert covered(200, 3, 1, data) < 0.93
    assert 0.90 <= covered(200, 4, 1, data, given=True) <= 0.99


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 1), (1, 3)])
def test_it_is_the_variance_of_the_marginal_means(shape):
    """A mean's delete-one jackknife is the variance of row (column) means over their number."""
    shares = np.random.default_rng(sum(shape)).uniform(0.3, 0.6, shape)
    parts, freedom = [], []
    for axis, size in enumerate(shape):
        means = shares.mean(axis=1 - axis)
        parts.append(np.var(means, ddof=1) / size if size > 1 else 0.0)
        freedom.append(size - 1)
        assert variance(shares, axis) == pytest.approx(parts[-1], abs=1e-15)
    known = [(part, k) for part, k in zip(parts, freedom, strict=True) if k]
    degrees = sum(parts) ** 2 / sum(part**2 / k for part, k in known)
    low, high = stats.t.interval(0.95, degrees, loc=shares.mean(), scale=np.sqrt(sum(parts)))
    found = jackknife(shares)
    assert found.estimate == pytest.approx(shares.mean())
    assert (found.low, found.high) == pytest.approx((max(low, 0), min(high, 1)))


def test_leaving_seeds_out_one_by_one():
    """The definition, written out for 2 x 2: each seed left out, the mean of what remains."""
    a, b, c, d = 0.1, 0.2, 0.4, 0.8
    rows = [(c + d) / 2, (a + b) / 2]
    expected = (2 - 1) / 2 * sum((one - np.mean(rows)) ** 2 for one in rows)
    assert variance(np.array([[a, b], [c, d]]), 0) == pytest.approx(expected)


def test_one_seed_on_either_side_has_no_interval():
    found = jackknife(np.array([[0.4]]))
    assert found.estimate == 0.4 and np.isnan(found.low) and np.isnan(found.high)


def test_an_unknown_share_has_none_either():
    assert np.isnan(jackknife(np.array([[0.4, np.nan], [0.5, 0.5]]))).all()


def test_it_stays_between_nothing_and_everything():
    assert jackknife(np.array([[0.01], [0.09]])).low == 0
    assert jackknife(np.array([[0.91, 0.99]])).high == 1
    assert jackknife(np.full((3, 2), 0.5)) == Interval(0.5, 0.5, 0.5)
