"""What a dictionary says about the probe: its features' sparse activations on the same tokens."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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
from featflow.features.dump import Builder, Dump, write
from featflow.features.summary import Encoded, summarise
from featflow.models.hooked import HookedModel, batches
from featflow.saes import saelens

ROWS = ("counts", "indices", "values")
"""What the rows of a dump are made of (dump.Builder)."""


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
    encoded = {}
    with Checkpoints(f"features-{sae.parent.name}-{sae.name}-{provenance.id()}") as checkpoints:
        rows = Resumable(checkpoints, cfg.corpora)
        for corpus, path in zip(cfg.corpora, output, strict=True):
            builder = rows.builders[corpus]
            dump = encode(hooked, encoder, probes[corpus], cfg.windows, builder, rows.save)
            write(path, dump, provenance)
            encoded[corpus] = Encoded(dump, streams[corpus])
            _log_dump(corpus, dump)
        save_table(summary, summarise(encoded, pieces), provenance)
        checkpoints.clear()


class Resumable:
    """The rows of every corpus so far, kept in checkpoints."""

    def __init__(self, checkpoints: Checkpoints, corpora: list[str]):
        """Args: where they are kept; the corpora, whose rows of an earlier run are taken up."""
        self._checkpoints = checkpoints
        self.builders = {corpus: Builder() for corpus in corpora}
        if found := checkpoints.latest():
            for corpus in found.meta["corpora"]:
                parts = (found.tensors[f"{corpus}.{name}"].numpy() for name in ROWS)
                self.builders[corpus].add(*parts)

    def save(self) -> None:
        """Save all rows, if it is time.

        Raises:
            Stop: when a signal asked for the end; the rows are saved.
        """
        if self._checkpoints.due():
            arrays = {corpus: builder.arrays() for corpus, builder in self.builders.items()}
            begun = [corpus for corpus, found in arrays.items() if found]
            tensors = {f"{c}.{n}": torch.from_numpy(arrays[c][n]) for c in begun for n in ROWS}
            rows = sum(builder.rows for builder in self.builders.values())
            self._checkpoints.save(rows, tensors, {"corpora": begun})


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
        raise FeatflowError(
            f"studies.{cfg.study}: corpus {corpus}: a block of the probe has {shape.block} tokens, "
            f"of which {rows} are rows; the validation split has {len(ids):,} tokens, and "
            f"probe.tokens_per_corpus allows {cfg.tokens_per_corpus:,} rows; "
            "give the corpus more documents, or raise that"
        )
    if len(found) == len(whole) and (len(whole) + 1) * rows <= cfg.tokens_per_corpus:
        log.warning(
            "studies.%s.probe.tokens_per_corpus: asked for %s rows, the validation split of %s "
            "gives %s; they are used",
            *(cfg.study, f"{cfg.tokens_per_corpus:,}", corpus, f"{len(found) * rows:,}"),
        )
    return found


@torch.inference_mode()
def encode(
    model: HookedModel,
    sae: saelens.Folded,
    probe: np.ndarray,
    windows: Windows,
    builder: Builder | None = None,
    after_each: Callable[[], None] = lambda: None,
) -> Dump:
    """The sparse activations of an SAE's features on the windows of blocks (B, L), a row a token.

    Args:
        model: the language model.
        sae: its dictionary.
        probe: the blocks.
        windows: which of their tokens are rows.
        builder: the rows that an earlier run has made, in whole batches.
        after_each: called after every batch.

    Raises:
        FeatflowError: when an activation is negative or not finite.
    """
    kept = layout(windows).kept(windows.window)
    builder = builder or Builder()
    done = builder.rows // (layout(windows).windows * windows.window)
    for ids in progress(batches(probe[done:]), "batches"):
        activations = model.activations(ids)[:, kept].reshape(-1, model.width)
        builder.add(*sparse(sae.encode(activations)))
        after_each()
    return builder.build(positions(len(probe), windows), sae.features)


def sparse(features: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The non-zeros of (T, m): how many a row (T,), their columns and values, row by row.

    Raises:
        FeatflowError: when one is negative or not finite.
    """
    rows, indices = features.nonzero(as_tuple=True)
    values = features[rows, indices]
    if not ((values > 0) & values.isfinite()).all():
        raise FeatflowError(
            "a feature's activation is negative or not finite: the weights of the model or of the "
            "SAE are no good; look at their training.parquet, and train the one that diverged again"
        )
    counts = rows.bincount(minlength=len(features))
    return counts.cpu().numpy(), indices.cpu().numpy(), values.float().cpu().numpy()


def _log_dump(corpus: str, dump: Dump) -> None:
    rows, features = dump.activations.shape
    silent = features - len(np.unique(dump.activations.indices))
    log.info(
        "%s: %s tokens, %.1f features a token, %s of %s features silent",
        *(corpus, f"{rows:,}", dump.activations.nnz / rows, f"{silent:,}", f"{features:,}"),
    )
