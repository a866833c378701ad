"""The evaluate stage: next-token loss and accuracy of a model on every corpus."""

import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from featflow.artifacts.io import save_json
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.models import readout
from featflow.models.blocks import drawn_blocks
from featflow.models.folder import block_length, load_model, vocabulary
from featflow.models.losses import score
from featflow.plan.stages.models import EvaluateSlice
from featflow.runtime.device import device, seeded
from featflow.runtime.log import log

BATCH_TOKENS = 8192
"""Tokens whose losses are added up in float32 before they join the others."""

LARGEST = math.log(sys.float_info.max)
"""Nats, about 709.8."""

PASS_TOKENS = {"cpu": 4096, "cuda": 8192}
"""Tokens of a forward pass: on a CPU its activations should stay in the caches."""


class Measured(NamedTuple):
    """Means over `tokens` predictions: the loss in nats, and how often the argmax is right."""

    loss: float
    accuracy: float
    tokens: int


def run(cfg: EvaluateSlice, *, model: Path, tokens: list[Path], output: Path) -> None:
    """Loss, accuracy and perplexity of a model on every corpus.

    Args:
        model: the model folder.
        tokens: validation tokens of each corpus, in the order of the slice.
        output: JSON with an object a corpus.
    """
    provenance = Provenance("evaluate", cfg, [model, *tokens])
    seeded(0)
    loaded = load_model(model).to(device())  # type: ignore[arg-type]
    context = block_length(loaded, cfg.context, model)
    results = {}
    for corpus, path in zip(cfg.corpora, tokens, strict=True):
        blocks = drawn_blocks(path, context, vocabulary(loaded), cfg.tokens, cfg.blocks_seed)
        found = measure(loaded, blocks)
        results[corpus] = {**found._asdict(), "perplexity": perplexity(found.loss)}
        log.info("%s: loss %.3f, accuracy %.3f", corpus, found.loss, found.accuracy)
    save_json(output, results, provenance)


def perplexity(loss: float) -> float | None:
    """e to a loss in nats; None where that is more than a float holds (JSON has no infinity)."""
    return math.exp(loss) if loss < LARGEST else None


@torch.inference_mode()
def measure(model: PreTrainedModel, blocks: np.ndarray) -> Measured:
    """Measure a model on blocks (B, L): every position but the last predicts the next token.

    In float32: products in bfloat16 are a tenth to a fifth faster here and shift the loss by up to
    0.003 nats, always downwards, which is more than two values of t may differ by.

    Raises:
        FeatflowError: when the loss is no number.
    """
    body, head = readout.parts(model.eval())
    plain = readout.multiplies(model)
    loss, right = 0.0, 0
    size = max(1, BATCH_TOKENS // blocks.shape[1])
    for start in range(0, len(blocks), size):
        ids = torch.from_numpy(blocks[start : start + size].astype(np.int64)).to(head.device)
        if plain:
            found = score(_hidden(body, ids).flatten(0, 1), head, ids[:, 1:].flatten())
        else:
            found = readout.score(model, ids)
        loss, right = loss + float(found.loss), right + int(found.right)
    count = blocks.shape[0] * (blocks.shape[1] - 1)
    if not math.isfinite(loss):
        raise FeatflowError(
            f"the loss is {loss}: the model's logits are not finite on this text, in float32; "
            "train it again with a smaller learning_rate, or leave the model out"
        )
    return Measured(loss / count, right / count, count)


def _hidden(body: torch.nn.Module, ids: Tensor) -> Tensor:
    """Hidden states (B, L - 1, H) of ids (B, L), all but the last of each block."""
    size = max(1, PASS_TOKENS.get(ids.device.type, BATCH_TOKENS) // ids.shape[1])
    passes = [body(input_ids=some, use_cache=False) for some in ids.split(size)]
    return torch.cat([found.last_hidden_state[:, :-1] for found in passes])
