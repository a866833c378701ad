"""Parts of wholes."""

import numpy as np


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where the whole is 0 or unknown."""
    return part / whole if whole else np.nan


def ratios(some: np.ndarray, of: np.ndarray) -> np.ndarray:
    """some / of, (n,) each; NaN where there are none."""
    return np.divide(some, of, out=np.full(len(of), np.nan), where=of > 0)
