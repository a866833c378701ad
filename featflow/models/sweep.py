"""The sweep stage: a merge at every t, measured on its parents' data."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PretrainedConfig, PreTrainedModel

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.merging import Method
from featflow.models.blocks import drawn_blocks
from featflow.models.evaluate import measure
from featflow.models.folder import block_length, load_model, quiet, vocabulary
from featflow.models.merge import Sources, merge_all
from featflow.plan.stages.models import SweepSlice
from featflow.runtime.checkpoints import Checkpoints
from featflow.runtime.device import device, seeded
from featflow.runtime.log import log, progress


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
    sources = Sources(parents)
    first = load_model(parents[0])
    context = block_length(first, cfg.context, parents[0])
    names = dict.fromkeys(name for own in cfg.corpora for name in own)
    blocks = {
        name: drawn_blocks(path, context, vocabulary(first), cfg.tokens, cfg.blocks_seed)
        for name, path in zip(names, tokens, strict=True)
    }
    kind, config = type(first), first.config
    del first  # its weights
    with Checkpoints(f"sweep-{output.stem}-{provenance.id()}") as checkpoints:
        state = checkpoints.latest()
        rows, done = (state.meta["rows"], state.step) if state else ([], 0)
        left = np.linspace(0, 1, cfg.points).round(12).tolist()[done:]
        for step, t in enumerate(progress(left, "values of t", done=done), done + 1):
            settings = cfg.method.model_copy(update={"t": t})
            model = merged_model(kind, config, sources, settings)
            model.to(device())  # type: ignore[arg-type]
            for name, of_corpus in blocks.items():
                found = measure(model, of_corpus)
                rows.append((t, name, found.loss, found.accuracy))
            checkpoints.save(step, {}, {"rows": rows})  # a few bytes: after each t
        table = pd.DataFrame(rows, columns=["t", "corpus", "loss", "accuracy"])
        save_table(output, table, provenance)
        checkpoints.clear(output)
    log.info("%d values of t on %s", cfg.points, ", ".join(names))


def merged_model(
    kind: type[PreTrainedModel], config: PretrainedConfig, sources: Sources, method: Method
) -> PreTrainedModel:
    """The merge as a model in memory, in float32.

    By way of the weights' names in the file, which are not always those in the model.
    """
    tensors = {name: merged.tensor for name, merged in merge_all(sources, method)}
    with quiet():
        return kind.from_pretrained(None, config=config, state_dict=tensors, dtype=torch.float32)
