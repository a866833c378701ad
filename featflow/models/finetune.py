"""The finetune stage: a language model trained further, on other data."""

from pathlib import Path

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.models import parallel
from featflow.models.blocks import even_blocks
from featflow.models.folder import (
    HANDLE,
    block_length,
    copy_tokenizer,
    load_model,
    save_model,
    vocabulary,
    written_folder,
)
from featflow.models.training import train
from featflow.plan.stages.models import FinetuneSlice
from featflow.runtime.device import seeded
from featflow.runtime.log import log
from featflow.runtime.torchrun import rank


def run(cfg: FinetuneSlice, *, parent: Path, tokens: list[Path], output: Path) -> None:
    """Train a language model further, on other data.

    Args:
        parent: the model folder to start from.
        tokens: train tokens of each of the fine-tune's corpora, in its order.
        output: the model folder.

    Raises:
        FeatflowError: when a corpus is shorter than a block or of another tokenizer, or the loss
            stops being a number.
    """
    provenance = Provenance("finetune", cfg, [parent, *tokens])
    seeded(cfg.seed)
    model = load_model(parent)
    context = block_length(model, cfg.context, parent)
    blocks = even_blocks(tokens, context, vocabulary(model), cfg.blocks_seed)
    log.info(
        "%s parameters, %s tokens",
        f"{model.num_parameters():,}",
        f"{blocks.tokens:,}",
    )
    with parallel.checkpoints(f"{output.name}-{provenance.id()}") as checkpoints:
        table = train(model, blocks, cfg.training, cfg.seed, checkpoints)
        if rank() == 0:
            with written_folder(output) as folder:
                copy_tokenizer(parent, folder)
                save_table(folder / "training.parquet", table, provenance)
                save_model(model, folder, provenance)
            checkpoints.clear(output / HANDLE)
