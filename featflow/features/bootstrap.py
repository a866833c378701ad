"""How far a share would move with other documents: a bootstrap over documents.

Tokens of a document are not independent, documents nearly are. In each replicate every corpus gives
as many documents as it has, drawn from its own with replacement. Moments add up over documents, so
with w_d, how often document d was drawn, and its sums

    s_d = (Σ a, Σ b, Σ a², Σ b², Σ ab, rows),        Σ_d w_d s_d

gives Pearson's r of the replicate (features/moments.py has the formula). A feature is found again
where its best candidate has r > τ. Its candidates are the partners that were best on the documents
as they are; which features live, and which partners count, is not drawn again. So the interval is
that of the share of these features, for other documents of the same corpora: the SAE's seed, which
moves a share more, is not in it. Percentile intervals (Efron & Tibshirani 1993, section 13.3) are
wide rather than narrow here: in simulations those of 95 % cover 98 to 100 %, because a share counts
steps of many r, and its mean over replicates varies less between samples than one share does.

Shapes: T rows, D documents, m features, k candidates, B replicates.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csc_array, csr_array

from featflow.features import rule
from featflow.features.columns import Columns, by_blocks
from featflow.features.moments import UNRESOLVED
from featflow.features.strata import members

LEAST = 100_000
"""Tokens under which no bootstrap is made: too few documents stand for their corpus."""

AT_ONCE = 2**23
"""Numbers of an array (documents or features, replicates): bounds the memory, 64 MiB each."""

BLOCK = 16
"""Features whose products with their candidates are in memory at once."""

COLUMNS = {
    "replicate": "int32",
    "side": "str",
    "kind": "str",
    "stratum": "str",
    "threshold": "float64",
    "features": "int32",
    "share": "float64",
}


class Documents(NamedTuple):
    """The documents of T rows."""

    of_row: np.ndarray
    """(T,) int32, from 0 on."""
    rows: np.ndarray
    """(D,) float64: how many rows each has."""
    corpus: np.ndarray
    """(D,) of which corpus each is."""


class Side(NamedTuple):
    """The features of one dictionary, on the rows that they are judged on."""

    own: Columns
    other: Columns
    candidates: np.ndarray
    """(m, k) the best partners that count; −1: none."""
    alive: np.ndarray
    """(m,) bool."""
    lookup_r: np.ndarray
    density: np.ndarray
    documents: Documents


def documents_of(numbers: np.ndarray, corpora: np.ndarray) -> Documents:
    """The documents of some rows.

    Args:
        numbers: (T,) the document of each row, no two of different corpora alike.
        corpora: (T,) its corpus.
    """
    rows = np.bincount(numbers)
    there = rows > 0
    corpus = np.zeros(len(rows), corpora.dtype)
    corpus[numbers] = corpora
    of_row = (np.cumsum(there) - 1)[numbers]
    return Documents(of_row.astype(np.int32), rows[there].astype(np.float64), corpus[there])


def nothing() -> pd.DataFrame:
    """The table of a bootstrap that is not made."""
    return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)


def replicates(
    sides: dict[str, Side], thresholds: Sequence[float], count: int, seed: int
) -> pd.DataFrame:
    """The shares of features found again, of each replicate and by stratum.

    Args:
        sides: by name; sides on the same documents have the same replicates.
        thresholds: τ.
        count: B.
        seed: of the draws.

    Returns:
        replicate, side, kind, stratum, threshold; features: living ones; share: of them with a
        candidate of r > τ in this replicate (NaN: there are none).
    """
    tables = [nothing()]
    for name, side in sides.items():
        r = best_r(side, count if thresholds else 0, seed)
        alive = np.flatnonzero(side.alive)
        for (kind, stratum), inside in members(side.lookup_r, side.density):
            chosen = r[inside[alive]]
            if not len(chosen) and kind != "all":
                continue
            for threshold in thresholds:
                found = rule.above(chosen, threshold).sum(axis=0)
                tables.append(
                    pd.DataFrame(
                        {
                            "replicate": np.arange(count),
                            "side": name,
                            "kind": kind,
                            "stratum": stratum,
                            "threshold": threshold,
                            "features": len(chosen),
                            "share": found / len(chosen) if len(chosen) else np.nan,
                        }
                    )
                )
    return pd.concat(tables, ignore_index=True).astype(COLUMNS)


def best_r(side: Side, count: int, seed: int) -> np.ndarray:
    """r of each feature that is alive with its best candidate, in every replicate.

    Returns:
        (alive features, B) float32; NaN where no candidate has an r.
    """
    alive = np.flatnonzero(side.alive)
    best = np.full((len(alive), count), np.nan, np.float32)
    widest = max(len(side.documents.rows), len(side.own.starts), len(side.other.starts))
    step = max(1, AT_ONCE // widest)
    for start in range(0, count, step):
        batch = range(start, min(start + step, count))
        best[:, batch.start : batch.stop] = _best_of_batch(
            side, alive, weights(side.documents, batch, seed)
        )
    return best


def weights(documents: Documents, batch: range, seed: int) -> np.ndarray:
    """How often each document is drawn in each of some replicates: (D, B) float64."""
    drawn = np.zeros((len(documents.rows), len(batch)))
    corpora = [np.flatnonzero(documents.corpus == c) for c in np.unique(documents.corpus)]
    for place, replicate in enumerate(batch):
        rng = np.random.default_rng([seed, replicate])
        for own in corpora:
            picks = rng.integers(0, len(own), len(own))
            drawn[own, place] = np.bincount(picks, minlength=len(own))
    return drawn


def _best_of_batch(side: Side, alive: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    rows = side.documents.rows @ drawn
    own, other = (_matrix(found, len(side.documents.of_row)) for found in (side.own, side.other))
    partners = np.unique(side.candidates[alive])
    mean_a, scale_a = _standard(own, alive, side.documents, drawn, rows)
    mean_b, scale_b = _standard(other, partners[partners >= 0], side.documents, drawn, rows)
    best = np.full((len(alive), drawn.shape[1]), np.nan, np.float32)

    def work(first: int, stop: int) -> None:
        place, rank = np.nonzero(side.candidates[alive[first:stop]] >= 0)
        i, j = alive[first + place], side.candidates[alive[first + place], rank]
        products = _doubles(own[:, i]).multiply(other[:, j]).tocsc()
        moments = _by_document(products, side.documents) @ drawn
        r = np.full((stop - first, side.candidates.shape[1], len(rows)), np.float32(np.nan))
        r[place, rank] = (moments / rows - mean_a[i] * mean_b[j]) * (scale_a[i] * scale_b[j])
        best[first:stop] = np.fmax.reduce(r, axis=1)  # of a number and a NaN, the number

    by_blocks(work, len(alive), BLOCK, "blocks of the bootstrap")
    return best


def _standard(
    matrix: csc_array,
    features: np.ndarray,
    documents: Documents,
    drawn: np.ndarray,
    rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1/σ of these features in each replicate: (m, B), NaN for the other features."""
    mean, scale = np.full((2, matrix.shape[1], drawn.shape[1]), np.nan)

    def work(first: int, stop: int) -> None:
        chosen = features[first:stop]
        values = _doubles(matrix[:, chosen])
        average = _by_document(values, documents) @ drawn / rows
        square = _by_document(values.multiply(values).tocsc(), documents) @ drawn / rows
        variance = square - average**2
        resolved = variance > UNRESOLVED * square
        mean[chosen] = average
        scale[chosen] = np.where(resolved, 1 / np.sqrt(np.where(resolved, variance, 1)), np.nan)

    by_blocks(work, len(features), BLOCK)
    return mean, scale


def _matrix(found: Columns, rows: int) -> csc_array:
    """Columns that follow one another without gaps, as a matrix (T, m) on the same memory."""
    edges = np.append(found.starts, found.stops[-1:])
    if edges[-1] <= np.iinfo(np.int32).max:
        edges = edges.astype(found.rows.dtype)  # else scipy widens the rows
    return csc_array((found.values, found.rows, edges), (rows, len(found.starts)))


def _doubles(columns: csc_array) -> csc_array:
    return columns.astype(np.float64)


def _by_document(columns: csc_array, documents: Documents) -> csr_array:
    """Sums over each document: (p, D) of columns (T, p)."""
    shape = columns.shape[1], len(documents.rows)
    numbers = documents.of_row[columns.indices]
    summed = csr_array((columns.data, numbers, columns.indptr), shape, copy=True)
    summed.sum_duplicates()  # in place, indptr too
    return summed
