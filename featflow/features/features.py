"""What a dictionary says about the probe: its features' sparse activations on the same tokens."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance, named
from featflow.config.errors import FeatflowError
from featflow.data import tokenizer
from featflow.data.tokens import read
from featflow.data.windows import Rows, drawn, layout
from featflow.features.dump import Spool
from featflow.features.summary import Encoded, summarise
from featflow.models.hooked import TOKENS_A_BATCH, HookedModel
from featflow.plan.stages.features import FeaturesSlice
from featflow.runtime.checkpoints import Checkpoints
from featflow.runtime.device import device
from featflow.runtime.log import log, progress
from featflow.saes import saelens
from featflow.saes.codes import Encoder
from featflow.saes.dictionary import Dictionary


def run(
    cfg: FeaturesSlice,
    *,
    model: Path,
    sae: Path,
    tokens: list[Path],
    output: list[Path],
    summary: Path,
) -> None:
    """Encode the probe: sparse feature activations of a model and its SAE, and a summary of them.

    The probe's rows are those of blocks that are drawn from the whole of each corpus's validation
    tokens, the same for every model of the study.

    Args:
        model: the model folder.
        sae: the SAE folder.
        tokens: the corpora's validation tokens, in their order.
        output: a dump for each corpus, in the same order.
        summary: a row for each feature: how often and how strongly it fires, and where most.

    Raises:
        FeatflowError: when a corpus has no whole block, or SAE and model do not fit together.
        ArtifactError: when a file is unreadable.
    """
    provenance = Provenance("features", cfg, [model, *saelens.files(sae), *tokens])
    streams = {name: read(path) for name, path in zip(cfg.corpora, tokens, strict=True)}
    pieces = tokenizer.load(model / "tokenizer.json")
    special = tokenizer.special_ids(pieces)
    probes = {name: probe(stream.ids, name, cfg, special) for name, stream in streams.items()}
    hooked = HookedModel.load(model, cfg.hook, device())
    encoder = saelens.load(sae, device())
    if hooked.width != encoder.width:
        raise FeatflowError(
            f"{named(sae)} reads {encoder.width} numbers, {cfg.hook} of {named(model)} carries "
            f"{hooked.width}: one of them was made with other settings; rebuild the SAE"
        )
    with Checkpoints(f"features-{sae.parent.name}-{sae.name}-{provenance.id()}") as checkpoints:
        rows = Resumable(checkpoints, cfg.corpora, encoder.features)
        try:
            for corpus in cfg.corpora:
                encode(hooked, encoder, probes[corpus], rows.spools[corpus], rows.save)
            for corpus, path in zip(cfg.corpora, output, strict=True):
                rows.spools[corpus].write(path, provenance)
            encoded = {c: Encoded(spool, streams[c]) for c, spool in rows.spools.items()}
            table = summarise(encoded, pieces)
            save_table(summary, table, provenance)
            checkpoints.clear()
        finally:
            rows.close()
    for corpus, spool in rows.spools.items():
        _log_dump(corpus, spool.rows, table[f"density_{corpus}"])


class Resumable:
    """The rows of every corpus so far: in spools, of which a checkpoint notes how much is whole."""

    def __init__(self, checkpoints: Checkpoints, corpora: list[str], features: int):
        """Args: where they are kept; the corpora, whose rows of an earlier run are taken up; m."""
        self._checkpoints = checkpoints
        found = checkpoints.latest()
        noted = found.meta.get("rows", {}) if found else {}
        self.spools = {
            corpus: Spool(checkpoints.folder, corpus, features, *noted.get(corpus, ()))
            for corpus in corpora
        }

    def save(self) -> None:
        """Note all rows, if it is time.

        Raises:
            Stop: when a signal asked for the end; the rows are saved.
        """
        if self._checkpoints.due():
            noted = {corpus: spool.note() for corpus, spool in self.spools.items()}
            rows = sum(spool.rows for spool in self.spools.values())
            self._checkpoints.save(rows, {}, {"rows": noted})

    def close(self) -> None:
        """Delete the spools, where no checkpoint knows of them."""
        if self._checkpoints.newest() is None:
            for spool in self.spools.values():
                spool.delete()


def probe(ids: np.ndarray, corpus: str, cfg: FeaturesSlice, special: np.ndarray) -> Rows:
    """The rows of a corpus: of blocks drawn from its stream, at most `tokens_per_corpus`.

    Args:
        ids: the stream (N,).
        corpus: its name, for messages.
        cfg: how many, and which.
        special: the ids of special tokens.

    Raises:
        FeatflowError: when there is not one whole block.
    """
    shape = layout(cfg.windows)
    a_block = shape.windows * cfg.windows.window
    whole, wanted = len(ids) // shape.block, cfg.tokens_per_corpus // a_block
    if not min(whole, wanted):
        more = "give the corpus more documents, or its validation split a larger share"
        remedies = [
            *([] if whole else [more]),
            *([] if wanted else [f"allow {a_block} at least"]),
        ]
        raise FeatflowError(
            f"studies.{cfg.study}: corpus {corpus}: a block of the probe has {shape.block} tokens, "
            f"of which {a_block} are rows; the validation split has {len(ids):,} tokens, and "
            f"probe.tokens_per_corpus allows {cfg.tokens_per_corpus:,} rows; "
            f"{', and '.join(remedies)}"
        )
    if whole < wanted:
        log.warning(
            "studies.%s.probe.tokens_per_corpus: asked for %s rows, the validation split of %s "
            "gives %s; they are used",
            cfg.study,
            f"{cfg.tokens_per_corpus:,}",
            corpus,
            f"{whole * a_block:,}",
        )
    chosen = drawn(whole, wanted, cfg.blocks_seed)
    return Rows(ids, chosen, cfg.windows, special).require(corpus)


def activations(model: HookedModel, rows: Rows, batch: range) -> Tensor:
    """What a model's hook carries at the rows of some blocks: (T, n)."""
    ids = torch.from_numpy(rows.ids(batch.start, batch.stop).astype(np.int64))
    mask = torch.from_numpy(rows.mask(batch.start, batch.stop))
    return model.activations(ids)[:, rows.kept][mask.to(model.device)]


def encode(
    model: HookedModel,
    sae: Dictionary,
    rows: Rows,
    spool: Spool,
    after_each: Callable[[], None] = lambda: None,
) -> None:
    """The sparse activations of an SAE's features on the rows of some blocks.

    Args:
        model: the language model.
        sae: its dictionary.
        rows: which tokens of which blocks.
        spool: takes the rows; it may hold those of the first batches from an earlier run.
        after_each: called after every batch.

    Raises:
        FeatflowError: when an activation is not finite.
    """
    ends = np.cumsum(rows.counts())
    left = [some for some in rows.batches(TOKENS_A_BATCH) if ends[some.stop - 1] > spool.rows]
    inputs = (activations(model, rows, some) for some in progress(left, "batches"))
    for some, codes in zip(left, Encoder(sae).stream(inputs), strict=True):
        spool.add(codes, rows.positions(some.start, some.stop))
        after_each()


def _log_dump(corpus: str, rows: int, density: pd.Series) -> None:
    log.info(
        "%s: %s tokens, %.1f features a token, %s of %s features silent",
        corpus,
        f"{rows:,}",
        density.sum(),
        f"{(density == 0).sum():,}",
        f"{len(density):,}",
    )
