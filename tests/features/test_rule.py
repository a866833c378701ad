import numpy as np

from featflow.features.rule import above, alive


def test_silent_and_rare_features_are_not_alive():
    firings, documents = np.array([0, 19, 20, 20, 300]), np.array([0, 19, 4, 5, 5])
    assert alive(firings, documents, 20, 5).tolist() == [False, False, False, True, True]
    assert bool(alive(20, 5, 20, 5)) and not alive(19, 5, 20, 5)
    assert not alive(np.zeros(3), np.zeros(3), 1, 1).any()  # the least that a config may ask for


def test_above_is_strict_and_in_float32():
    stored = np.array([0.8, np.nextafter(np.float32(0.8), np.float32(1)), np.nan], np.float32)
    assert float(stored[0]) > 0.8  # as a float64 it would be above
    assert above(stored, 0.8).tolist() == [False, True, False]
    assert above(stored[:, None], np.array([0.5, 0.8])).tolist() == [
        [True, False],
        [True, True],
        [False, False],
    ]
