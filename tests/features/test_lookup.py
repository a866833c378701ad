"""lookup_r against predictions that are written down one by one."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from featflow.features.columns import columns, within
from featflow.features.lookup import lookup_r


def naive(dense: np.ndarray, tokens: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The definition: fit on one fold, predict the other, correlate over all rows."""
    predicted = np.empty_like(dense)
    for row, (token, fold) in enumerate(zip(tokens, folds, strict=True)):
        fitted = dense[folds != fold]
        same = fitted[tokens[folds != fold] == token]
        predicted[row] = (same if len(same) else fitted).mean(axis=0)
    with np.errstate(invalid="ignore"):
        return np.array(
            [np.corrcoef(x, p)[0, 1] for x, p in zip(dense.T, predicted.T, strict=True)]
        )


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_naive_computation(activations, seed):
    rng = np.random.default_rng(seed)
    rows, vocabulary = 150, [5, 60, 400][seed % 3]  # of 400, most are unseen in the other fold
    a = activations(seed, rows, 12, [0.05, 0.5][seed % 2])
    tokens = rng.integers(0, vocabulary, rows).astype(np.int32)
    folds = (np.arange(rows) // 7 % 2).astype(np.int8)
    found = lookup_r(columns(a), range(rows), tokens, folds)
    np.testing.assert_allclose(found, naive(a.toarray().astype(float), tokens, folds), atol=1e-9)
    cut = range(31, 120)
    inside = slice(cut.start, cut.stop)
    found = lookup_r(within(columns(a), cut), cut, tokens, folds)
    expected = naive(a.toarray()[inside].astype(float), tokens[inside], folds[inside])
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_token_look_up_scores_one_and_a_feature_of_the_context_none():
    rng = np.random.default_rng(0)
    rows, vocabulary = 20_000, 40
    tokens = rng.integers(0, vocabulary, rows).astype(np.int32)
    folds = (np.arange(rows) // 50 % 2).astype(np.int8)
    meaning = np.where(np.arange(vocabulary) < 8, rng.random(vocabulary) + 0.5, 0)
    context = (rng.random(rows) < 0.1) * rng.random(rows)
    silent = np.zeros(rows)
    a = csr_array(np.stack([meaning[tokens], context, silent], axis=1).astype(np.float32))
    look_up, contextual, nothing = lookup_r(columns(a), range(rows), tokens, folds)
    assert look_up == pytest.approx(1, abs=1e-6)
    assert abs(contextual) < 0.05
    assert np.isnan(nothing)


def test_one_document_predicts_nothing(activations):
    a = activations(0, 30, 4, 0.5)
    found = lookup_r(columns(a), range(30), np.zeros(30, np.int32), np.zeros(30, np.int8))
    assert np.isnan(found).all()
