"""The rule of every share: which features are alive, and when two are the same.

Whether on a whole table or a single row, on the parent's side or the child's, all stages ask here.
"""

from typing import Any

import numpy as np


def alive(firings: Any, documents: Any, min_firings: int, min_documents: int) -> Any:
    """Whether features are neither silent nor rare on a scope: bool, of the arguments' shape.

    Only such features are in a share, and only such ones count as partners.

    Args:
        firings: on how many of its tokens each fires.
        documents: in how many of its documents.
        min_firings: fewer are rare, as of `flow`; at least 1, so that a silent feature is not
            alive.
        min_documents: likewise.
    """
    return (firings >= min_firings) & (documents >= min_documents)


def above(r: Any, threshold: Any) -> Any:
    """Whether r is above τ, strictly: bool, of their common shape; not where r is NaN.

    In float32, as r is stored: in float64 a stored 0.8 would be above 0.8.
    """
    return np.asarray(r, np.float32) > np.asarray(threshold, np.float32)
