"""What a dictionary says about the probe: its features' sparse activations on the same tokens."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from featflow.core.artifacts import save_table
from featflow.core.checkpoints import Checkpoints
from featflow.core.config.errors import FeatflowError
from featflow.core.provenance import Provenance, named
from featflow.core.runtime import log, progress
from featflow.core.slices import FeaturesSlice, Windows
from featflow.core.torch_runtime import device
from featflow.data import tokenizer
from featflow.data.tokens import read
from featflow.data.windows import blocks, layout, positions
from featflow.features.spool import Spool
from featflow.features.summary import Encoded, summarise
from featflow.models.hooked import HookedModel, batches
from featflow.saes import saelens
from featflow.saes.codes import Encoder


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

    The probe's rows are the windows of the first blocks of each corpus's validation tokens, the
    same for every model of the study.

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
    probes = {name: probe(stream.ids, name, cfg) for name, stream in streams.items()}
    pieces = tokenizer.load(model / "tokenizer.json")
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
                encode(hooked, encoder, probes[corpus], cfg.windows, rows.spools[corpus], rows.save)
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


def probe(ids: np.ndarray, corpus: str, cfg: FeaturesSlice) -> np.ndarray:
    """The first blocks of a stream that give at most `tokens_per_corpus` rows: (B, L).

    Raises:
        FeatflowError: when there is not one whole block.
    """
    shape = layout(cfg.windows)
    rows = shape.windows * cfg.windows.window
    whole = blocks(ids, cfg.windows)
    found = whole[: cfg.tokens_per_corpus // rows]
    if not len(found):
        more = "give the corpus more documents, or its validation split a larger share"
        enough = cfg.tokens_per_corpus >= rows
        remedies = [
            *([] if len(whole) else [more]),
            *([] if enough else [f"allow {rows} at least"]),
        ]
        raise FeatflowError(
            f"studies.{cfg.study}: corpus {corpus}: a block of the probe has {shape.block} tokens, "
            f"of which {rows} are rows; the validation split has {len(ids):,} tokens, and "
            f"probe.tokens_per_corpus allows {cfg.tokens_per_corpus:,} rows; "
            f"{', and '.join(remedies)}"
        )
    if len(found) == len(whole) and (len(whole) + 1) * rows <= cfg.tokens_per_corpus:
        log.warning(
            "studies.%s.probe.tokens_per_corpus: asked for %s rows, the validation split of %s "
            "gives %s; they are used",
            *(cfg.study, f"{cfg.tokens_per_corpus:,}", corpus, f"{len(found) * rows:,}"),
        )
    return found


def encode(
    model: HookedModel,
    sae: saelens.Folded,
    probe: np.ndarray,
    windows: Windows,
    spool: Spool,
    after_each: Callable[[], None] = lambda: None,
) -> None:
    """The sparse activations of an SAE's features on the windows of blocks (B, L), a row a token.

    Args:
        model: the language model.
        sae: its dictionary.
        probe: the blocks.
        windows: which of their tokens are rows.
        spool: takes the rows; it may hold those of the first batches from an earlier run.
        after_each: called after every batch.

    Raises:
        FeatflowError: when an activation is not finite.
    """
    shape = layout(windows)
    kept = shape.kept(windows.window)
    a_block = shape.windows * windows.window
    left = probe[spool.rows // a_block :]
    activations = (
        model.activations(ids)[:, kept].reshape(-1, model.width)
        for ids in progress(batches(left), "batches")
    )
    for codes in Encoder(sae).stream(activations):
        count = (len(codes.indptr) - 1) // a_block
        at = positions(count, windows) + spool.rows // a_block * shape.block
        spool.add(codes, at)
        after_each()


def _log_dump(corpus: str, rows: int, density: pd.Series) -> None:
    log.info(
        "%s: %s tokens, %.1f features a token, %s of %s features silent",
        *(corpus, f"{rows:,}", density.sum(), f"{(density == 0).sum():,}", f"{len(density):,}"),
    )
