"""The jackknife over seeds: its formula, its coverage, its edges."""

import numpy as np
import pytest
from scipy import stats

from featflow.analysis.intervals import Interval, jackknife, together, variance

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


def both_covered(rows: int, columns: int, data: int, child: float = 0.02) -> float:
    """In what share of 300 simulated sets of seeds *and documents* `together` holds the true share.

    The documents of a set move all its shares alike; what they do is known from replicates.
    """
    rng, hits = np.random.default_rng(data), 0
    for _ in range(300):
        chance = TRUE + rng.normal(0, 0.02, (rows, 1)) + rng.normal(0, child, (1, columns))
        shares = rng.binomial(FEATURES, np.clip(chance, 0, 1)) / FEATURES + rng.normal(0, 0.015)
        found = together(shares, rng.normal(0, 0.015, 200).var(ddof=1))
        hits += found.low <= TRUE <= found.high
    return hits / 300


@pytest.mark.parametrize("data", range(3))
@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (2, 3), (3, 1), (4, 1), (1, 3), (2, 1)])
def test_together_covers_the_true_share_over_both_ends_and_documents(rows, columns, data):
    assert 0.90 <= both_covered(rows, columns, data) <= 1


def test_together_rests_on_both_ends_scattering_alike():
    """Twice the scatter at the end that has one SAE: docs/controls.md says what that costs."""
    assert both_covered(3, 1, 0, child=0.01) > 0.95
    assert 0.8 < both_covered(3, 1, 0, child=0.04) < 0.95


def test_together_written_out():
    """Three seeds against one: σ²/3 of the mean, σ² of the single SAE, and the documents'."""
    shares, documents = np.array([[0.4], [0.41], [0.42]]), 0.03**2
    spread = shares.var(ddof=1)
    total = spread / 3 + spread + documents
    freedom = total**2 / ((spread / 3 + spread) ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(total)
    found = together(shares, documents)
    assert found == pytest.approx((shares.mean(), shares.mean() - half, shares.mean() + half))
    assert together(shares.T, documents) == pytest.approx(found)
    grid = np.array([[0.3, 0.34], [0.36, 0.37]])  # with seeds at both ends nothing is assumed
    assert together(grid, 0.0) == pytest.approx(jackknife(grid))
    assert together(grid, 0.02).high > jackknife(grid).high
    assert together(grid, 0.001).high == jackknife(grid).high  # never narrower than the seeds' own
    alone = together(np.array([[0.4]]), documents)
    assert alone.estimate == 0.4 and np.isnan(alone.low)  # the bootstrap's own interval stands
    still = together(np.full((3, 1), 0.4), documents)
    assert still.high == pytest.approx(0.4 + stats.norm.ppf(0.975) * 0.03)


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
