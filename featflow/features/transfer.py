"""A parent's SAE applied to its child: the frozen dictionary, and latent scaling.

Frozen dictionary: f_i of the parent's SAE, unchanged, on the parent's activations and on the
child's; r_i is Pearson's r of the two over the tokens of the parent's scope. No second SAE is
trained, so none of what is lost is the training's doing: what r says is how far the child still
computes what the parent's feature reads.

Latent scaling: see features/scaling.py.

Shapes: T rows of a batch, n inputs, m features.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance, named
from featflow.config.errors import FeatflowError
from featflow.data import tokenizer
from featflow.data.tokens import read
from featflow.data.windows import Rows
from featflow.features.features import activations, probe
from featflow.features.paired import Paired
from featflow.features.scaling import Scaling, no_scaling
from featflow.features.scope import document_of, rows_in_scope
from featflow.models.hooked import TOKENS_A_BATCH, HookedModel
from featflow.plan.stages.analysis import TransferSlice
from featflow.plan.stages.features import FeaturesSlice
from featflow.runtime.device import device, seeded
from featflow.runtime.log import log, progress
from featflow.saes import saelens
from featflow.saes.codes import Encoder, decode, head
from featflow.saes.dictionary import Dictionary
from featflow.saes.sparse import Codes

SPARSE_BELOW = 0.35
"""The share of active pairs below which sums over them alone are the faster ones (measured)."""


def run(
    cfg: TransferSlice,
    *,
    parent: Path,
    child: Path,
    parent_sae: Path,
    child_sae: Path,
    tokens: list[Path],
    frozen: Path,
    scaling: Path,
) -> None:
    """Apply a parent's SAE to its child: the frozen dictionary, and latent scaling.

    The rows are those of the dumps; every corpus of a scope counts with equally many of them.

    Args:
        parent: the parent's model folder.
        child: the child's.
        parent_sae: the parent's SAE folder.
        child_sae: the child's.
        tokens: the corpora's validation tokens, in their order.
        frozen: where to write r of each parent feature with itself on the child (parquet).
        scaling: where to write the child's features' latent scaling (parquet): no rows where the
            two models' directions cannot be compared.

    Raises:
        FeatflowError: when a scope is empty, a corpus has no whole block, or models and SAEs are
            not of one width.
        ArtifactError: when a file is unreadable.
    """
    saes = [*saelens.files(parent_sae), *saelens.files(child_sae)]
    provenance = Provenance("transfer", cfg, [parent, child, *saes, *tokens])
    _check_scopes(cfg)
    seeded(0)
    two = Two(
        HookedModel.load(parent, cfg.hook, device()),
        HookedModel.load(child, cfg.hook, device()),
        saelens.load(parent_sae, device()),
        saelens.load(child_sae, device()),
    )
    _check_widths(cfg, two, [parent, child, parent_sae, child_sae])
    special = tokenizer.special_ids(tokenizer.load(parent / "tokenizer.json"))
    of_frozen, of_scaling = transfer(two, cfg, _streams(cfg, tokens, special))
    save_table(frozen, of_frozen, provenance)
    save_table(scaling, of_scaling, provenance)
    _log_tables(of_frozen, of_scaling)


class Two(NamedTuple):
    """Two models, opened at their hook, and their SAEs."""

    parent: HookedModel
    child: HookedModel
    parent_sae: Dictionary
    child_sae: Dictionary


class Stream(NamedTuple):
    """What is read of a corpus."""

    corpus: str
    rows: Rows
    """Of the probe."""
    documents: np.ndarray
    """The document of each row, ascending, from corpus to corpus too."""
    a: int
    """How many of its rows, the first ones, are in the parent's scope."""
    b: int
    """How many are in the child's."""


class Batch(NamedTuple):
    """Rows on which both models ran."""

    parent: Tensor
    """(T, n)"""
    child: Tensor
    """(T, n)"""
    documents: np.ndarray
    """(T,)"""
    a: int
    """How many of them, the first ones, are in the parent's scope."""
    b: int
    """How many are in the child's."""


@torch.inference_mode()
def transfer(
    two: Two, cfg: TransferSlice, streams: list[Stream]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables: a row for each of the parent's features, and for each of the child's."""
    paired = Paired(two.parent_sae.features)
    scaled = Scaling(two.child_sae.W_dec)
    of_parent, of_child = Encoder(two.parent_sae), Encoder(two.child_sae)
    for stream in streams:
        for batch in rows_of(stream, two):
            f = of_parent.codes(batch.parent)
            if batch.a:
                g = of_parent.codes(batch.child)
                paired.add(head(f, batch.a), head(g, batch.a), batch.documents[: batch.a])
            if batch.b and cfg.scaling:
                x, y = batch.parent[: batch.b], batch.child[: batch.b]
                inside = ~(two.parent_sae.outside(x) | two.child_sae.outside(y))
                if inside.all():
                    _scale(scaled, two, head(f, batch.b), of_child, x, y)
                else:
                    x, y = x[inside], y[inside]
                    _scale(scaled, two, of_parent.codes(x), of_child, x, y)
    return _frozen_table(paired), scaled.table() if cfg.scaling else no_scaling()


def rows_of(stream: Stream, two: Two) -> Iterator[Batch]:
    """The rows of a corpus that are in either scope, in the very batches that the dumps had."""
    done = 0
    for batch in progress(stream.rows.batches(TOKENS_A_BATCH), f"batches of {stream.corpus}"):
        a, b = stream.a - done, stream.b - done
        if max(a, b) <= 0:
            return
        x, y = (activations(model, stream.rows, batch) for model in (two.parent, two.child))
        documents = stream.documents[done : done + len(x)]
        yield Batch(x, y, documents, *(min(max(own, 0), len(x)) for own in (a, b)))
        done += len(x)


def _scale(scaled: Scaling, two: Two, f: Codes, of_child: Encoder, x: Tensor, y: Tensor) -> None:
    """Add rows to the sums of latent scaling.

    Args:
        scaled: the sums.
        two: the models and their SAEs.
        f: the parent's codes on x.
        of_child: the child's encoder.
        x: (T, n) of the parent, at rows of the child's scope that are no outliers to either SAE.
        y: (T, n) of the child, at the same rows.
    """
    if x.device.type == "cpu":
        g = of_child.codes(y)
        if _few(f, two.parent_sae) and _few(g, two.child_sae):
            reconstructed = decode(f, two.parent_sae), decode(g, two.child_sae)
            scaled.add_codes(g, x.numpy(), y.numpy(), *reconstructed)
            return
    said = two.parent_sae.decode(two.parent_sae.encode(x))
    fires = two.child_sae.encode(y)
    scaled.add(fires, x, y, said, two.child_sae.decode(fires))


def _few(codes: Codes, sae: Dictionary) -> bool:
    """Whether so few features fire that it pays to look at them alone."""
    return len(codes.values) < SPARSE_BELOW * sae.features * (len(codes.indptr) - 1)


def _frozen_table(paired: Paired) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "feature": np.arange(len(paired.of_a.rows), dtype=np.int32),
            "r": paired.r(),
            "firings": paired.of_a.rows,
            "documents": paired.of_a.documents,
            "child_firings": paired.of_b.rows,
            "child_documents": paired.of_b.documents,
            "tokens": paired.rows,
        }
    )


def _streams(cfg: TransferSlice, tokens: list[Path], special: np.ndarray) -> list[Stream]:
    """The probe's rows of each corpus, as stage features reads them, and which of them count."""
    as_dumped = FeaturesSlice(
        study=cfg.study,
        model=cfg.parent,
        sae=cfg.sae,
        hook=cfg.hook,
        corpora=cfg.corpora,
        windows=cfg.windows,
        tokens_per_corpus=cfg.tokens_per_corpus,
        blocks_seed=cfg.blocks_seed,
    )
    rows, documents, before = {}, {}, 0
    for corpus, path in zip(cfg.corpora, tokens, strict=True):
        ids, starts = read(path)
        rows[corpus] = found = probe(ids, corpus, as_dumped, special)
        documents[corpus] = before + document_of(found.positions(0, len(found)), starts)
        before += len(starts)
    counts = {corpus: len(found) for corpus, found in documents.items()}
    a, b = (_taken(counts, scope) for scope in (cfg.scope_a, cfg.scope_b if cfg.scaling else []))
    return [Stream(c, rows[c], documents[c], a.get(c, 0), b.get(c, 0)) for c in cfg.corpora]


def _taken(counts: dict[str, int], scope: list[str]) -> dict[str, int]:
    """How many rows of each corpus a scope takes: the first ones, equally many of each."""
    return {piece.corpus: piece.stop for piece in rows_in_scope(counts, scope, scope).pieces}


def _check_scopes(cfg: TransferSlice) -> None:
    for side, scope in ((cfg.parent, cfg.scope_a), (cfg.child, cfg.scope_b)):
        if not scope and (cfg.scaling or side == cfg.parent):
            raise FeatflowError(
                f"transfer {cfg.parent}-{cfg.child}: no corpus of the probe is in the scope of "
                f"{side}; add one that it has learnt to probe.corpora (where flow.scope is "
                "intersection, one that both models have, or set it to home)"
            )


def _check_widths(cfg: TransferSlice, two: Two, folders: list[Path]) -> None:
    """Check that all four have the same n."""
    widths = [two.parent.width, two.child.width, two.parent_sae.width, two.child_sae.width]
    if len(set(widths)) > 1:
        found = ", ".join(f"{named(f)} {n}" for f, n in zip(folders, widths, strict=True))
        raise FeatflowError(
            f"transfer {cfg.parent}-{cfg.child}: a parent's SAE can be applied only to a child of "
            f"the same width at {cfg.hook}, and the widths are: {found}; give the models the same "
            "architecture, or leave this control out (controls: {transfer: false})"
        )


def _log_tables(frozen: pd.DataFrame, scaling: pd.DataFrame) -> None:
    fires = frozen[frozen["firings"] > 0]
    log.info(
        "%s tokens; of %s features that fire %.1f %% have r > 0.8 with themselves on the child",
        f"{frozen['tokens'].iloc[0]:,}",
        f"{len(fires):,}",
        100 * (fires["r"] > 0.8).mean(),
    )
    if len(scaling):
        medians = scaling[["nu_error", "nu_reconstruction"]].median()
        log.info("median ν of the child's features: error %.2f, reconstruction %.2f", *medians)
