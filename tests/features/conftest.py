"""Random sparse activations, as a function of a seed."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

Activations = Callable[..., csr_array]


@pytest.fixture(scope="session")
def activations() -> Activations:
    """activations(seed, rows, features, density): (T, m) float32, positive where stored.

    Values are multiples of 1/8, so that no column is constant but for rounding.
    """

    def draw(seed: int, rows: int, features: int, density: float = 0.2) -> csr_array:
        rng = np.random.default_rng(seed)
        dense = rng.integers(1, 33, (rows, features)) / 8 * (rng.random((rows, features)) < density)
        return csr_array(dense.astype(np.float32))

    return draw
