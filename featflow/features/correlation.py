"""Which features of one dictionary fire like which of another: Pearson's r on the same tokens."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from featflow.artifacts.io import ArtifactError, load_tensors, save_table, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.features import dump
from featflow.features.best_partners import (
    AllPairs,
    Judged,
    Keep,
    PairsFromFloor,
    Question,
    best_partners,
)
from featflow.features.columns import columns, within
from featflow.features.matches import Directions, Side
from featflow.features.matrix import NAMES, save_sparse
from featflow.features.moments import in_stretches
from featflow.features.scope import Rows, Source, rows_in_scope, source_of, stack, stack_sources
from featflow.features.stacked import Activations
from featflow.plan.stages.features import CorrelationSlice
from featflow.runtime import memory
from featflow.runtime.log import log

WEIGHTS = "sae_weights.safetensors"

SHARE = 0.5
"""Of the memory that full matrices may take."""


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
        matrix: r of every pair of features, or of those from `cfg.floor` on (features/matrix.py).
        matches: the best partners of every feature of either side (parquet).

    Raises:
        FeatflowError: when a scope is empty, or r of every pair does not fit into memory.
        ArtifactError: when a file is unreadable, or the dumps are not of the same tokens.
    """
    _check_scopes(cfg)
    saes = [folder / name for folder in (sae_a, sae_b) for name in ("cfg.json", WEIGHTS)]
    provenance = Provenance("correlation", cfg, [*a, *b, *saes, *tokens])
    shape = dump.d_sae(sae_a), dump.d_sae(sae_b)
    if cfg.floor is None:
        _check_memory(cfg, shape)
    dumps_a, dumps_b = _read(cfg, a, shape[0]), _read(cfg, b, shape[1])
    for path_a, path_b, of_a, of_b in zip(a, b, dumps_a.values(), dumps_b.values(), strict=True):
        dump.check_same_rows(path_a, of_a.positions, path_b, of_b.positions)
    counts = {corpus: len(mapped.positions) for corpus, mapped in dumps_a.items()}
    rows = rows_in_scope(counts, cfg.scope_a, cfg.scope_b)
    _log_rows(cfg, rows, counts)
    given = (
        _on(rows, dumps_a),
        _on(rows, dumps_b),
        rows,
        _source(cfg, rows, dumps_a, tokens),
        cfg.partners,
        (cfg.min_firings, cfg.min_documents),
        _cosines(sae_a, sae_b) if cfg.decoders else None,
    )
    if cfg.floor is None:
        r, table = correlate(*given)
        save_tensors(matrix, dict(zip(NAMES, r, strict=False)), provenance)
    else:
        with PairsFromFloor(shape, 1 if rows.a == rows.b else 2, cfg.floor) as pairs:
            table = partners(*given, pairs.keep())
            sparse = dict(zip(NAMES, pairs.matrices(), strict=False))
            save_sparse(matrix, sparse, cfg.floor, provenance)
    save_table(matches, table, provenance)


def _read(cfg: CorrelationSlice, paths: list[Path], features: int) -> dict[str, dump.Mapped]:
    """A dictionary's dumps by corpus."""
    return {
        corpus: dump.mapped(path, features) for corpus, path in zip(cfg.corpora, paths, strict=True)
    }


def _on(rows: Rows, dumps: Mapping[str, dump.Mapped]) -> Activations:
    """A dictionary's activations on these rows."""
    return stack(rows, {corpus: mapped.activations for corpus, mapped in dumps.items()})


def _source(
    cfg: CorrelationSlice, rows: Rows, dumps: Mapping[str, dump.Mapped], tokens: list[Path]
) -> Source:
    """What lies at these rows."""
    by_corpus = {
        corpus: source_of(path, dumps[corpus].positions)
        for corpus, path in zip(cfg.corpora, tokens, strict=True)
    }
    return stack_sources(rows, by_corpus)


def correlate(
    a: Activations,
    b: Activations,
    rows: Rows,
    source: Source,
    count: int,
    least: tuple[int, int],
    cosines: Directions | None = None,
) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Correlations of two dictionaries' features, and the best partners of each.

    Args: as `partners` has them.

    Returns:
        r (m_a, m_b) on a's scope and, where it differs, on b's; and the table of matches.
    """
    matrices = AllPairs((a.shape[1], b.shape[1]), 1 if rows.a == rows.b else 2)
    table = partners(a, b, rows, source, count, least, cosines, matrices.keep())
    return matrices.r, table


def partners(
    a: Activations,
    b: Activations,
    rows: Rows,
    source: Source,
    count: int,
    least: tuple[int, int],
    cosines: Directions | None = None,
    keep: Keep | None = None,
) -> pd.DataFrame:
    """The best partners of each feature of two dictionaries.

    Args:
        a: activations (T, m_a) on `rows`.
        b: activations (T, m_b) on the same rows.
        rows: which of the rows each side is judged on.
        source: the token and the document at each row.
        count: partners a feature.
        least: firings and documents under which a feature is rare, which no partner may be that
            r_trimmed is asked of.
        cosines: for features (p,) of a and (p,) of b the cosine of their directions (None: they
            cannot be compared).
        keep: what becomes of r, a block of features at a time.

    Returns:
        The table of matches: for each feature of a side up to `count` rows, best first, of equal
        ones the lower partner first. A feature without any partner (one that never fires) has one
        row: partner −1, r NaN.
    """
    columns_a, columns_b = columns(a), columns(b)
    ranges = [rows.a] if rows.a == rows.b else [rows.a, rows.b]
    parts, scopes = in_stretches(columns_a, columns_b, ranges)
    all_a, all_b = (np.ones(m, bool) for m in (a.shape[1], b.shape[1]))
    questions = [
        Question(
            scope.rows,
            scope.stretches,
            Judged(*scope.a, all_a),
            Judged(*scope.b, all_b),
            of_a=count if scope is scopes[0] else 0,
            of_b=count if scope is scopes[-1] else 0,
        )
        for scope in scopes
    ]
    best = best_partners(parts, b, questions, keep)
    of_a = Side.of("a", within(columns_a, rows.a), within(columns_b, rows.a), rows.a, source)
    of_b = Side.of("b", within(columns_b, rows.b), within(columns_a, rows.b), rows.b, source)
    tables = [
        of_a.table(best[0][0], cosines, least),
        of_b.table(
            best[-1][1],
            cosines and (lambda feature, partner: cosines(partner, feature)),
            least,
        ),
    ]
    return pd.concat(tables, ignore_index=True)


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


def _check_memory(cfg: CorrelationSlice, shape: tuple[int, int]) -> None:
    scopes = 1 if cfg.scope_a == cfg.scope_b else 2
    needed, there = 4 * shape[0] * shape[1] * scopes, memory.available()
    if needed > SHARE * there:
        each = " on the scope of either side" if scopes == 2 else ""
        raise FeatflowError(
            f"correlation {cfg.a}-{cfg.b}: r of {shape[0]:,} × {shape[1]:,} pairs of features"
            f"{each} takes {needed / 2**30:,.1f} GiB, more than {SHARE:.0%} of the "
            f"{there / 2**30:,.1f} GiB that this job may have; set studies.{cfg.study}.flow.floor "
            "to 0.3, say, to keep only pairs of |r| ≥ 0.3, or give the job more memory"
        )


def _check_scopes(cfg: CorrelationSlice) -> None:
    for side, scope in ((cfg.a, cfg.scope_a), (cfg.b, cfg.scope_b)):
        if not scope:
            raise FeatflowError(
                f"correlation {cfg.a}-{cfg.b}: no corpus of the probe is in the scope of {side}; "
                f"add one that {side.split('.')[0]} has learnt to probe.corpora (where flow.scope "
                "is intersection, one that both models have, or set it to home)"
            )


def _log_rows(cfg: CorrelationSlice, rows: Rows, counts: dict[str, int]) -> None:
    for side, scope, found in ((cfg.a, cfg.scope_a, rows.a), (cfg.b, cfg.scope_b, rows.b)):
        log.info("%s: judged on %s tokens of %s", side, f"{len(found):,}", ", ".join(scope))
        each = len(found) // len(scope)
        cut = [f"{c} ({counts[c]:,})" for c in scope if counts[c] > each]
        if cut:
            log.info("only the first %s tokens are used of %s", f"{each:,}", ", ".join(cut))
