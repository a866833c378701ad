"""Correlation files with planted contents: from matrices of r, or from activations."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from featflow.core.config.study import Flow
from featflow.core.slices import FlowPair, FlowSlice


class Files(NamedTuple):
    matches: Path
    matrix: Path


class Counts(NamedTuple):
    """Firings and documents of one side's features on either scope."""

    own: np.ndarray
    documents: np.ndarray
    there: np.ndarray
    """Firings on the other side's scope."""
    documents_there: np.ndarray | None = None
    """Documents on the other side's scope, where they differ."""


def many(size: int) -> Counts:
    """Features that are neither silent nor rare anywhere."""
    return Counts(*(np.full(size, count) for count in (100, 50, 100)))


def _there(side: Counts) -> np.ndarray:
    return side.documents if side.documents_there is None else side.documents_there


def side_rows(side: str, r: np.ndarray, own: Counts, other: Counts, lookup, partners, tokens):
    """The rows of matches.parquet for one side; r is (its features, the other side's)."""
    for feature in range(len(r)):
        known = np.flatnonzero(~np.isnan(r[feature]))
        best = known[np.argsort(-r[feature][known], kind="stable")][:partners]
        for rank, partner in enumerate(best if len(best) else [-1]):
            yield {
                "side": side,
                "feature": feature,
                "rank": rank,
                "partner": partner,
                "r": np.nan if partner < 0 else r[feature, partner],
                "firings": own.own[feature],
                "partner_firings": 0 if partner < 0 else other.there[partner],
                "cofirings": 0,
                "jaccard": np.nan,
                "decoder_cosine": np.nan,
                "lookup_r": lookup[feature],
                "documents": own.documents[feature],
                "partner_documents": 0 if partner < 0 else _there(other)[partner],
                "tokens": tokens,
            }


def write_pair(
    folder: Path,
    r: np.ndarray,
    r_b: np.ndarray | None = None,
    a: Counts | None = None,
    b: Counts | None = None,
    lookup_a: np.ndarray | None = None,
    lookup_b: np.ndarray | None = None,
    partners: int = 10,
    tokens: int = 100_000,
) -> Files:
    """matches.parquet and matrix.safetensors of a pair whose r is given."""
    folder.mkdir(parents=True, exist_ok=True)
    a, b = a or many(r.shape[0]), b or many(r.shape[1])
    lookup_a = np.full(len(r), 0.3) if lookup_a is None else lookup_a
    lookup_b = np.full(r.shape[1], 0.3) if lookup_b is None else lookup_b
    of_b = r if r_b is None else r_b
    rows = [
        *side_rows("a", r, a, b, lookup_a, partners, tokens),
        *side_rows("b", of_b.T, b, a, lookup_b, partners, tokens),
    ]
    pd.DataFrame(rows).to_parquet(folder / "matches.parquet")
    tensors = {"r": np.ascontiguousarray(r, dtype=np.float32)}
    if r_b is not None:
        tensors["r_b"] = np.ascontiguousarray(r_b, dtype=np.float32)
    save_file(tensors, folder / "matrix.safetensors")
    return Files(folder / "matches.parquet", folder / "matrix.safetensors")


def activations_pair(folder: Path, a: np.ndarray, b: np.ndarray, document: np.ndarray) -> Files:
    """The files of two dictionaries whose activations (T, m) are given, on one scope."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]

    def counts(x: np.ndarray) -> Counts:
        firings = (x > 0).sum(axis=0)
        found = np.array([len(set(document[column > 0])) for column in x.T])
        return Counts(firings, found, firings)

    return write_pair(folder, r, a=counts(a), b=counts(b), tokens=len(a))


@pytest.fixture
def run_flow(tmp_path) -> Callable:
    """Run the stage on pairs {(role, a, b): Files}; gives the paths of its four tables."""
    from featflow.analysis import flow

    def run(pairs: dict[tuple[str, str, str], Files], **settings) -> dict[str, Path]:
        cfg = FlowSlice(
            study="planted",
            sae="main",
            flow=Flow(**settings),
            pairs=[FlowPair(role=role, a=a, b=b) for role, a, b in pairs],
        )
        names = ("features.parquet", "edges.csv", "strata.csv", "chains.parquet")
        paths = {name.split(".")[0]: tmp_path / "flow" / name for name in names}
        files = list(pairs.values())
        flow.run(
            cfg, matches=[f.matches for f in files], matrices=[f.matrix for f in files], **paths
        )
        return paths

    return run
