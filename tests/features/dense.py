"""The plain forms, on matrices (T, m) with every zero in them: oracles of the sparse forms."""

import numpy as np
import torch
from scipy.sparse import csr_array

from featflow.features.moments import UNRESOLVED
from featflow.saes.sparse import Codes


def codes(features: np.ndarray) -> Codes:
    """The non-zeros of f (T, m), by scipy."""
    matrix = csr_array(np.asarray(features, np.float32))
    indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    return Codes(indptr, indices, matrix.data)


def nonzeros(features: torch.Tensor) -> Codes:
    """The non-zeros of f (T, m), by torch."""
    rows, indices = features.nonzero(as_tuple=True)
    counts = rows.bincount(minlength=len(features)).numpy()
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Codes(indptr, indices.int().numpy(), features[rows, indices].numpy())


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """r of each column of a (T, m) with the same of b, in float64; NaN where one is constant."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    constant = [
        x.var(0) <= 2 * UNRESOLVED * np.square(x).mean(0) for x in (a, b)
    ]  # var, too, rounds
    a, b = a - a.mean(0), b - b.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(0) / np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    return np.where(constant[0] | constant[1], np.nan, r)


def documents(fires: np.ndarray, document: np.ndarray) -> np.ndarray:
    """In how many documents (T,) each column of (T, m) is true."""
    return np.array([len(np.unique(document[column])) for column in fires.T])
