"""Stacked activations as a dense array."""

import numpy as np

from featflow.features.stacked import Stacked


def dense(found: Stacked) -> np.ndarray:
    """(T, m) float32, by loops."""
    array = np.zeros(found.shape, np.float32)
    row = 0
    for part in found.parts:
        for start, stop in zip(part.indptr[:-1], part.indptr[1:], strict=True):
            array[row, part.indices[start:stop]] = part.values[start:stop]
            row += 1
    return array
