"""The random stage: a language model with random weights, the floor of everything learnt."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featflow.artifacts.io import readable
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.data.tokenizer import load
from featflow.models.folder import (
    HANDLE,
    quiet,
    read_config,
    save_model,
    save_tokenizer,
    written_folder,
)
from featflow.models.train import build
from featflow.plan.stages.models import RandomSlice
from featflow.runtime.device import seeded
from featflow.runtime.log import log


def run(
    cfg: RandomSlice,
    *,
    tokenizer: Path,
    output: Path,
    like: Path | None = None,
) -> None:
    """Draw a language model's weights at random, as before training.

    They are drawn as transformers initialises such a model (a Mistral's from N(0, 0.02²)).

    Args:
        tokenizer: the study's tokenizer.json.
        output: the model folder.
        like: folder of the pretrained model whose architecture it has, where the slice has none.

    Raises:
        FeatflowError: unless there is either an architecture in the slice or a folder.
        ArtifactError: when the folder's config.json cannot be used.
    """
    if (cfg.architecture is None) == (like is None):
        raise FeatflowError(
            f"studies.{cfg.study}.models.{cfg.model}: its architecture is either in the slice "
            "(like a base) or in the folder of --like (like a pretrained model); give one of them"
        )
    provenance = Provenance("random", cfg, [tokenizer, *([like / HANDLE] if like else [])])
    model = _drawn(cfg, tokenizer) if like is None else drawn_like(like, cfg.seed)
    with written_folder(output) as folder:
        save_tokenizer(tokenizer, folder)
        save_model(model, folder, provenance)
    log.info("%s parameters drawn at random", f"{model.num_parameters():,}")


def _drawn(cfg: RandomSlice, tokenizer: Path) -> PreTrainedModel:
    assert cfg.architecture is not None
    seeded(cfg.seed)
    return build(cfg.architecture, load(tokenizer))


def drawn_like(folder: Path, seed: int) -> PreTrainedModel:
    """A model of a folder's architecture and dtype, its weights drawn in float32.

    Raises:
        ArtifactError: when its config.json cannot be used.
    """
    with readable(folder / HANDLE):
        config = read_config(folder)
    stored = config.dtype or torch.float32
    seeded(seed)
    with readable(folder / HANDLE), quiet():
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model.to(stored)  # type: ignore[arg-type]
