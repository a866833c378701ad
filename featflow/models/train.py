"""The train stage: a language model from scratch."""

from pathlib import Path

from tokenizers import Tokenizer
from transformers import MistralConfig, MistralForCausalLM

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.models import Architecture
from featflow.data.bos import document_token
from featflow.data.tokenizer import load
from featflow.models import parallel
from featflow.models.blocks import even_blocks
from featflow.models.folder import HANDLE, save_model, save_tokenizer, written_folder
from featflow.models.training import train
from featflow.plan.stages.models import TrainSlice
from featflow.runtime.device import seeded
from featflow.runtime.log import log
from featflow.runtime.torchrun import rank


def run(cfg: TrainSlice, *, tokens: list[Path], tokenizer: Path, output: Path) -> None:
    """Train a language model from scratch.

    Args:
        tokens: train tokens of each of the model's corpora, in its order.
        tokenizer: the study's tokenizer.json.
        output: the model folder.

    Raises:
        FeatflowError: when a corpus is shorter than a block, or the loss stops being a number.
    """
    provenance = Provenance("train", cfg, [*tokens, tokenizer])
    seeded(cfg.seed)
    model = build(cfg.architecture, load(tokenizer))
    blocks = even_blocks(tokens, cfg.architecture.context, model.config.vocab_size, cfg.blocks_seed)
    log.info(
        "%s parameters, %s tokens",
        f"{model.num_parameters():,}",
        f"{blocks.tokens:,}",
    )
    with parallel.checkpoints(f"{output.name}-{provenance.id()}") as checkpoints:
        table = train(model, blocks, cfg.training, cfg.seed, checkpoints)
        if rank() == 0:
            with written_folder(output) as folder:
                save_tokenizer(tokenizer, folder)
                save_table(folder / "training.parquet", table, provenance)
                save_model(model, folder, provenance)
            checkpoints.clear(output / HANDLE)


def build(architecture: Architecture, tokenizer: Tokenizer) -> MistralForCausalLM:
    """A Mistral model for a tokenizer's vocabulary, with weights drawn from N(0, 0.02²)."""
    begins = document_token(tokenizer)
    return MistralForCausalLM(
        MistralConfig(
            vocab_size=max(tokenizer.get_vocab().values()) + 1,
            hidden_size=architecture.hidden,
            intermediate_size=architecture.intermediate,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            num_key_value_heads=architecture.kv_heads,
            head_dim=architecture.hidden // architecture.heads,
            max_position_embeddings=architecture.context,
            tie_word_embeddings=architecture.tied,
            sliding_window=None,
            bos_token_id=begins[1] if begins else None,
            eos_token_id=None,
        )
    )
