"""Which tokens a feature's direction promotes, and which it suppresses.

With d the feature's decoder vector, brought into the residual stream, g the weights of the final
norm and W_U the unembedding, the logits are W_U (g ⊙ d): what one unit of activation adds to them
along the direct path, before the norm divides by the residual stream's size (which depends on the
context, so that only their order and their proportions mean something), and without what later
layers make of it. A LayerNorm subtracts d's mean first. This is the logit lens of a direction, a
linear approximation (nostalgebraist 2020; Bricken et al. 2023 list such tokens too).

The decoder vector of a hook in the residual stream is there already; that of `mlp.hook_post`, the
activations of a layer's MLP, gets there through the layer's output weights.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from featflow.artifacts.io import load_json, load_tensors
from featflow.artifacts.reading import named
from featflow.config.errors import FeatflowError
from featflow.models.weights import WEIGHTS, Weights

CONFIG = "config.json"
HOOK = re.compile(
    r"blocks\.(\d+)\.(mlp\.hook_post|hook_(?:resid_pre|resid_mid|resid_post|mlp_out|attn_out))"
)

BLOCK = 1024
"""Features whose logits are in memory at once."""


class Names(NamedTuple):
    """What an architecture's weights are called."""

    down: str
    """The MLP's output weights of a layer: (hidden, inner)."""
    norm: str
    """The final norm's weights (hidden,)."""
    unembedding: str
    """(vocabulary, hidden); where the file lacks it, it is tied to `embedding`."""
    embedding: str
    centred: bool = False
    """The norm is a LayerNorm."""
    turned: bool = False
    """`down` is (inner, hidden)."""


_LLAMA = Names(
    "model.layers.{}.mlp.down_proj.weight",
    "model.norm.weight",
    "lm_head.weight",
    "model.embed_tokens.weight",
)
NAMES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), _LLAMA),
    "gpt2": Names(
        "transformer.h.{}.mlp.c_proj.weight",
        "transformer.ln_f.weight",
        "lm_head.weight",
        "transformer.wte.weight",
        centred=True,
        turned=True,
    ),
    "gpt_neox": Names(
        "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight",
        "gpt_neox.final_layer_norm.weight",
        "embed_out.weight",
        "gpt_neox.embed_in.weight",
        centred=True,
    ),
}
"""By `model_type` of config.json. Others may scale, cap or norm in ways of their own."""


class Promoted(NamedTuple):
    """Tokens of m features, k each, the farthest from zero first."""

    promoted: np.ndarray
    """(m, k) int64."""
    logits: np.ndarray
    """(m, k) float32, falling."""
    suppressed: np.ndarray
    """(m, k) int64."""
    negative: np.ndarray
    """(m, k) float32, rising."""


def unknown(model: Path, hook: str) -> str | None:
    """Why a hook's directions cannot be read in the vocabulary; None: they can.

    Raises:
        ArtifactError: when the model's config.json is missing or unreadable.
    """
    kind = load_json(model / CONFIG).get("model_type")
    if kind not in NAMES:
        return f"models of the type {kind} are none of {', '.join(NAMES)}"
    if HOOK.fullmatch(hook) is None:
        return f"{hook} is neither in the residual stream nor an MLP's hook_post"
    return None


def promoted(model: Path, sae: Path, hook: str, size: int, count: int) -> Promoted:
    """The tokens that each feature's direction promotes most, and that it suppresses most.

    Args:
        model: the model folder; `unknown` says None of it and the hook.
        sae: the SAE folder.
        hook: what the SAE reads.
        size: entries of the tokenizer; what the unembedding has beyond is padding.
        count: tokens a feature, k.

    Raises:
        ArtifactError: when a file is missing or unreadable.
        FeatflowError: when the model lacks a weight, or it does not fit the SAE.
    """
    directions = load_tensors(sae / "sae_weights.safetensors", "W_dec")["W_dec"]
    into, read = _weights_of(model, hook, directions.shape[1])
    found = []
    for start in range(0, len(directions), BLOCK):
        block = torch.from_numpy(directions[start : start + BLOCK])
        logits = (block if into is None else block @ into) @ read[:, :size]
        found.append([*_best(logits, count), *_best(-logits, count)])
    ids, logits_, low_ids, low = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return Promoted(ids, logits_, low_ids, -low)


def _best(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest logits of each row, and the tokens, of equal ones the lower first."""
    count = min(count, logits.shape[1])
    values, ids = torch.topk(logits, count, dim=1)
    order = torch.argsort(ids, dim=1)
    ids, values = ids.gather(1, order), values.gather(1, order)
    order = torch.argsort(values, dim=1, descending=True, stable=True)
    return ids.gather(1, order), values.gather(1, order)


def _weights_of(model: Path, hook: str, width: int) -> tuple[Tensor | None, Tensor]:
    """From decoder vectors into the residual stream (None: they are), and on to the logits.

    Shapes (width, hidden) and (hidden, vocabulary), float32.
    """
    names, weights = NAMES[load_json(model / CONFIG)["model_type"]], Weights(model / WEIGHTS)
    match, into = HOOK.fullmatch(hook), None
    assert match is not None
    tied = names.unembedding not in weights.shapes
    read = _weight(weights, names.embedding if tied else names.unembedding)
    read = read * _weight(weights, names.norm)
    if names.centred:
        read = read - read.mean(dim=1, keepdim=True)
    if match[2] == "mlp.hook_post":
        down = _weight(weights, names.down.format(match[1]))
        into = down if names.turned else down.T
    here = read.shape[1] if into is None else len(into)
    if here != width:
        raise FeatflowError(
            f"{named(model)}: what {hook} carries has {here} numbers, the SAE's directions have "
            f"{width}: one of them was made with other settings; rebuild the SAE"
        )
    return into, read.T


def _weight(weights: Weights, name: str) -> Tensor:
    if name not in weights.shapes:
        raise FeatflowError(f"{named(weights.path)}: it has no weight {name}; rebuild the model")
    return weights[name].float()
