"""The bounds of strata, and which features are in which."""

import numpy as np

from featflow.features.strata import ALL, STRATA, UNKNOWN, density, lookup, members


def test_bounds():
    found = lookup(np.array([-1, 0.5, np.nextafter(0.5, 1), 0.8, np.nextafter(0.8, 1), np.nan]))
    assert list(found) == ["contextual", "contextual", "between", "between", "lookup", UNKNOWN]
    found = density(np.array([0, 9e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, np.nan]))
    decades = ["<-4", "<-4", "-4..-3", "-3..-2", "-2..-1", ">=-1", ">=-1", UNKNOWN]
    assert list(found) == decades


def test_each_feature_is_in_one_stratum_of_each_kind_and_in_all():
    rng = np.random.default_rng(0)
    lookups, rates = rng.uniform(-0.2, 1, 500), 10 ** rng.uniform(-6, 0, 500)
    lookups[::50] = rates[::70] = np.nan
    found = dict(members(lookups, rates))
    assert tuple(found) == STRATA
    assert found[ALL].all()
    for kind in ("lookup", "density"):
        counts = np.sum([inside for (of, _), inside in found.items() if of == kind], axis=0)
        assert (counts == 1).all()
    assert (found["lookup", "lookup"] == (lookups > 0.8)).all()
    assert (found["density", "-3..-2"] == ((rates >= 1e-3) & (rates < 1e-2))).all()
