"""The sweep stage: a merge at every t, measured on its parents' data."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel

from featflow.core.artifacts import save_table
from featflow.core.config.merging import Method
from featflow.core.provenance import Provenance
from featflow.core.runtime import log, progress
from featflow.core.slices import SweepSlice
from featflow.core.torch_runtime import device, seeded
from featflow.models.blocks import read_blocks
from featflow.models.evaluate import measure
from featflow.models.folder import load_model
from featflow.models.merge import merged_weights, read_weights


def run(cfg: SweepSlice, *, parents: list[Path], tokens: list[Path], output: Path) -> None:
    """Loss and accuracy of a merge at every t, on each of its parents' corpora.

    Args:
        parents: the model folders, in the order of the slice.
        tokens: selection tokens of the parents' corpora, each corpus once, in the order in which
            the slice first names it.
        output: parquet with t, corpus, loss and accuracy.

    Raises:
        FeatflowError: when the parents do not fit together.
    """
    provenance = Provenance("sweep", cfg, [*parents, *tokens])
    seeded(0)
    weights = [read_weights(parent) for parent in parents]
    model = load_model(parents[0])
    context, vocabulary = model.config.max_position_embeddings, model.config.vocab_size
    names = dict.fromkeys(name for own in cfg.corpora for name in own)
    blocks = {
        name: read_blocks(path, context, vocabulary, cfg.tokens)
        for name, path in zip(names, tokens, strict=True)
    }
    model.to(device())  # type: ignore[arg-type]
    rows = []
    for t in progress(np.linspace(0, 1, cfg.points).round(12).tolist(), "values of t"):
        settings = cfg.method.model_copy(update={"t": t})
        overwrite(model, weights, parents, settings)
        for name, of_corpus in blocks.items():
            found = measure(model, of_corpus)
            rows.append((t, name, found.loss, found.accuracy))
    table = pd.DataFrame(rows, columns=["t", "corpus", "loss", "accuracy"])
    save_table(output, table, provenance)
    log.info("%d values of t on %s", cfg.points, ", ".join(names))


@torch.no_grad()
def overwrite(
    model: PreTrainedModel, weights: list[dict[str, Tensor]], parents: list[Path], method: Method
) -> None:
    """Merge the parents into a model that is already in memory."""
    own = dict(model.named_parameters())  # tied weights once, as in the parents' files
    for name, merged in merged_weights(weights, parents, method).items():
        own[name].copy_(merged.tensor)
