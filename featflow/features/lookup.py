"""Whether a feature only looks up the token: `lookup_r`.

The feature's mean activation for each token id, fitted on other documents, predicts its activation;
`lookup_r` is Pearson's r of prediction and activation. Documents are dealt to two folds; each fold
is predicted from the other, and r is taken over all rows of both. A token that the fitting fold
lacks is predicted by that fold's overall mean.

A prediction depends only on the row's fold and token, so the T × m predictions are never written
down. Let n_f(v) be how often token v occurs in fold f, s_f(v) the feature's sum over these rows,
and p_f(v) = s_f(v) / n_f(v) the prediction fitted on f, for the rows of the other fold f'. Then

    Σ p   = Σ_f Σ_v n_f'(v) p_f(v),
    Σ p²  = Σ_f Σ_v n_f'(v) p_f(v)²,
    Σ p x = Σ_f Σ_v s_f'(v) p_f(v),

sums over the tokens on which the feature fires, plus one term for those that f lacks.
"""

import numpy as np
from numba import njit

from featflow.features.columns import Columns, by_blocks, sums
from featflow.features.moments import UNRESOLVED


def lookup_r(columns: Columns, scope: range, tokens: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """How well a feature's mean activation per token, on other documents, predicts it.

    Args:
        columns: the activations' firings in scope (m features).
        scope: the rows in scope.
        tokens: (T,) the token id of every row.
        folds: (T,) 0 or 1, the fold of every row's document.

    Returns:
        (m,) float64; NaN where the activation or its prediction is constant, and everywhere where
        one fold is empty.
    """
    features = len(columns.starts)
    inside = slice(scope.start, scope.stop)
    counts = np.zeros((2, int(tokens[inside].max(initial=0)) + 1))
    np.add.at(counts, (folds[inside], tokens[inside]), 1)
    if not counts.sum(axis=1).all():
        return np.full(features, np.nan)
    predicted = np.zeros((3, features))  # Σ p, Σ p², Σ p x
    by_blocks(
        lambda first, stop: _predict(columns, first, stop, tokens, folds, counts, predicted),
        features,
    )
    x, xx = sums(columns)
    p, pp, px = predicted
    return _pearson(x, xx, p, pp, px, len(scope))


def _pearson(x, xx, p, pp, px, rows: int) -> np.ndarray:
    """Pearson's r from the sums of x, x², p, p² and p x over so many rows; each (m,)."""
    variance_x, variance_p = xx / rows - (x / rows) ** 2, pp / rows - (p / rows) ** 2
    resolved = (variance_x > UNRESOLVED * xx / rows) & (variance_p > UNRESOLVED * pp / rows)
    scale = np.sqrt(np.where(resolved, variance_x * variance_p, 1))
    r = (px / rows - (x / rows) * (p / rows)) / scale
    return np.where(resolved, np.clip(r, -1, 1), np.nan)


@njit(cache=True, nogil=True)
def _predict(columns, first, stop, tokens, folds, counts, predicted):
    sizes = counts.sum(axis=1)
    lacked = np.zeros(2)  # rows of the other fold whose token this fold lacks
    for fold in range(2):
        for token in range(counts.shape[1]):
            if counts[fold, token] == 0:
                lacked[fold] += counts[1 - fold, token]
    sums = np.zeros_like(counts)
    touched = np.empty(counts.shape[1], np.int64)
    for i in range(first, stop):
        found = _sum_by_token(columns, i, tokens, folds, sums, touched)
        for fold in range(2):
            other, mean = 1 - fold, 0.0
            for token in touched[:found]:
                mean += sums[fold, token]
            mean /= sizes[fold]
            predicted[0, i] += lacked[fold] * mean
            predicted[1, i] += lacked[fold] * mean * mean
            for token in touched[:found]:
                if counts[fold, token] == 0:
                    predicted[2, i] += mean * sums[other, token]
                    continue
                fitted = sums[fold, token] / counts[fold, token]
                predicted[0, i] += counts[other, token] * fitted
                predicted[1, i] += counts[other, token] * fitted * fitted
                predicted[2, i] += fitted * sums[other, token]
        for token in touched[:found]:
            sums[0, token] = sums[1, token] = 0.0


@njit(cache=True, nogil=True)
def _sum_by_token(columns, i, tokens, folds, sums, touched):
    """Add feature i's activations to sums[fold, token]; how many tokens were touched, and which."""
    found = 0
    for k in range(columns.starts[i], columns.stops[i]):
        row = columns.rows[k]
        token = tokens[row]
        if sums[0, token] == 0.0 and sums[1, token] == 0.0:  # activations are positive
            touched[found] = token
            found += 1
        sums[folds[row], token] += columns.values[k]
    return found
