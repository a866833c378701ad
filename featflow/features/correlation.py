"""Which features of one dictionary fire like which of another: Pearson's r on the same tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from featflow.core.artifacts import (
    ArtifactError,
    load_tensors,
    save_table,
    save_tensors,
)
from featflow.core.config.errors import FeatflowError
from featflow.core.provenance import Provenance
from featflow.core.runtime import log
from featflow.core.slices import CorrelationSlice
from featflow.features import dump
from featflow.features.columns import Columns, columns, documents, within
from featflow.features.lookup import lookup_r
from featflow.features.moments import pearson_of_columns
from featflow.features.overlap import cofirings, jaccard
from featflow.features.ranking import best_partners, best_partners_of_columns
from featflow.features.scope import Rows, Source, rows_in_scope, source_of, stack, stack_sources

WEIGHTS = "sae_weights.safetensors"

Ranked = tuple[np.ndarray, np.ndarray]
Directions = Callable[[np.ndarray, np.ndarray], np.ndarray]


def run(
    cfg: CorrelationSlice,
    *,
    a: list[Path],
    b: list[Path],
    sae_a: Path,
    sae_b: Path,
    tokens: list[Path],
    matrix: Path,
    matches: Path,
) -> None:
    """Correlate the features of two dictionaries, and list the best partners of each.

    Every corpus of a scope counts with equally many tokens: the first ones, as many as the
    shortest corpus of that scope has.

    Args:
        a: a's dumps of the corpora, in their order.
        b: b's dumps of the corpora, in their order.
        sae_a: folder of a's SAE.
        sae_b: folder of b's SAE.
        tokens: the corpora's tokens that the dumps were made from, in their order.
        matrix: r of every pair of features (safetensors: r on a's scope, r_b on b's if it differs).
        matches: the best partners of every feature of either side (parquet).

    Raises:
        FeatflowError: when a scope is empty.
        ArtifactError: when a file is unreadable, or the dumps are not of the same tokens.
    """
    _check_scopes(cfg)
    saes = [folder / name for folder in (sae_a, sae_b) for name in ("cfg.json", WEIGHTS)]
    provenance = Provenance("correlation", cfg, [*a, *b, *saes, *tokens])
    dumps_a = _read(cfg.corpora, a, sae_a)
    dumps_b = _read(cfg.corpora, b, sae_b)
    for path_a, path_b, of_a, of_b in zip(a, b, dumps_a.values(), dumps_b.values(), strict=True):
        dump.check_same_rows(path_a, of_a.positions, path_b, of_b.positions)
    sources = {
        corpus: source_of(path, dumps_a[corpus].positions)
        for corpus, path in zip(cfg.corpora, tokens, strict=True)
    }
    counts = {corpus: len(found.positions) for corpus, found in dumps_a.items()}
    rows = rows_in_scope(counts, cfg.scope_a, cfg.scope_b)
    _log_rows(cfg, rows, counts)
    side_a = stack(rows, {c: found.activations for c, found in dumps_a.items()})
    del dumps_a
    side_b = stack(rows, {c: found.activations for c, found in dumps_b.items()})
    del dumps_b
    r, table = correlate(
        side_a,
        side_b,
        rows,
        stack_sources(rows, sources),
        cfg.partners,
        _cosines(sae_a, sae_b) if cfg.decoders else None,
    )
    named_r = {"r": r[0]} if len(r) == 1 else {"r": r[0], "r_b": r[1]}
    save_tensors(matrix, named_r, provenance)
    save_table(matches, table, provenance)


def correlate(
    a: csr_array,
    b: csr_array,
    rows: Rows,
    source: Source,
    count: int,
    cosines: Directions | None = None,
) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Correlations of two dictionaries' features, and the best partners of each.

    Args:
        a: activations (T, m_a) on `rows`.
        b: activations (T, m_b) on the same rows.
        rows: which of the rows each side is judged on.
        source: the token and the document at each row.
        count: partners a feature.
        cosines: for features (p,) of a and (p,) of b the cosine of their directions (None: they
            cannot be compared).

    Returns:
        r (m_a, m_b) on a's scope and, where it differs, on b's; and the table of matches: for each
        feature of a side up to `count` rows, best first, of equal ones the lower partner first. A
        feature without any partner (one that never fires) has one row: partner −1, r NaN.
    """
    columns_a, columns_b = columns(a), columns(b)
    scopes = [rows.a] if rows.a == rows.b else [rows.a, rows.b]
    r = pearson_of_columns(columns_a, b, columns_b, scopes)
    of_a = _side("a", within(columns_a, rows.a), within(columns_b, rows.a), rows.a, source)
    of_b = _side("b", within(columns_b, rows.b), within(columns_a, rows.b), rows.b, source)
    tables = [
        of_a.table(best_partners(r[0], count), cosines),
        of_b.table(
            best_partners_of_columns(r[-1], count),
            cosines and (lambda feature, partner: cosines(partner, feature)),
        ),
    ]
    return r, pd.concat(tables, ignore_index=True)


class _Side(NamedTuple):
    """The features of one dictionary, on the scope that they are judged on."""

    name: str
    own: Columns
    other: Columns
    rows: int
    tokens: int
    documents: np.ndarray
    other_documents: np.ndarray
    lookup: np.ndarray

    def table(self, ranked: Ranked, cosines: Directions | None) -> pd.DataFrame:
        """The rows of matches.parquet for this side."""
        found, best = ranked
        listed = found >= 0
        listed[:, 0] = True  # a feature without a partner has a row all the same
        feature, rank = np.nonzero(listed)
        partner, r = found[feature, rank], best[feature, rank].astype(np.float64)
        has = partner >= 0
        pairs = feature[has], partner[has]
        firings = self.own.firings[feature]
        partner_firings, partner_documents, both = np.zeros((3, len(has)), int)
        partner_firings[has] = self.other.firings[pairs[1]]
        partner_documents[has] = self.other_documents[pairs[1]]
        both[has] = cofirings(self.own, self.other, self.rows, *pairs)
        cosine = np.full(len(has), np.nan)
        if cosines is not None:
            cosine[has] = cosines(*pairs)
        shared = jaccard(firings, partner_firings, both)
        return pd.DataFrame(
            {
                "side": self.name,
                "feature": feature,
                "rank": rank,
                "partner": partner,
                "r": r,
                "firings": firings,
                "partner_firings": partner_firings,
                "cofirings": both,
                "jaccard": np.where(has, shared, np.nan),
                "decoder_cosine": cosine,
                "lookup_r": self.lookup[feature],
                "documents": self.documents[feature],
                "partner_documents": partner_documents,
                "tokens": self.tokens,
            }
        )


def _side(name: str, own: Columns, other: Columns, scope: range, source: Source) -> _Side:
    found, there = documents(own, source.documents), documents(other, source.documents)
    lookup = lookup_r(own, scope, source.tokens, source.folds)
    return _Side(name, own, other, len(source.tokens), len(scope), found, there, lookup)


def _cosines(sae_a: Path, sae_b: Path) -> Directions:
    """The cosine between decoder directions of two SAEs, 4,096 pairs at a time.

    Raises:
        ArtifactError: when the directions are not of the same length.
    """
    files = [folder / WEIGHTS for folder in (sae_a, sae_b)]
    a, b = (load_tensors(file, "W_dec")["W_dec"].astype(np.float64) for file in files)
    if a.shape[1] != b.shape[1]:
        raise ArtifactError(
            f"{files[0]} has directions of {a.shape[1]} numbers, {files[1]} of {b.shape[1]}: "
            "these SAEs do not read the same hook; rebuild the one that is out of date"
        )
    a, b = (w / np.maximum(np.linalg.norm(w, axis=1, keepdims=True), 1e-12) for w in (a, b))

    def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        starts = range(0, len(first), 4096)
        parts = [(first[s : s + 4096], second[s : s + 4096]) for s in starts]
        products = [np.einsum("pn,pn->p", a[i], b[j]) for i, j in parts]
        return np.concatenate([np.empty(0), *products])

    return cosines


def _read(corpora: list[str], paths: list[Path], sae: Path) -> dict[str, dump.Dump]:
    features, found = dump.d_sae(sae), zip(corpora, paths, strict=True)
    return {corpus: dump.read(path, features) for corpus, path in found}


def _check_scopes(cfg: CorrelationSlice) -> None:
    for side, scope in ((cfg.a, cfg.scope_a), (cfg.b, cfg.scope_b)):
        if not scope:
            raise FeatflowError(
                f"correlation {cfg.a}-{cfg.b}: no corpus of the probe is in the scope of {side}; "
                "set flow.scope to home or union, or add a corpus of both models to probe.corpora"
            )


def _log_rows(cfg: CorrelationSlice, rows: Rows, counts: dict[str, int]) -> None:
    for side, scope, found in ((cfg.a, cfg.scope_a, rows.a), (cfg.b, cfg.scope_b, rows.b)):
        log.info("%s: judged on %s tokens of %s", side, f"{len(found):,}", ", ".join(scope))
        each = len(found) // len(scope)
        cut = [f"{c} ({counts[c]:,})" for c in scope if counts[c] > each]
        if cut:
            log.info("only the first %s tokens are used of %s", f"{each:,}", ", ".join(cut))
