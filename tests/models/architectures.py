"""Small models of several architectures, with random weights, as Hugging Face folders."""

from pathlib import Path
from typing import NamedTuple

import torch

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "vocab_size": 300,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
GPT2_SIZES = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 300}


class Kind(NamedTuple):
    """A model type, what its config is made with, and the module whose input is the hook's."""

    model_type: str
    config: dict
    down: str
    width: int = 48


KINDS = {
    # Conv1D, tied embeddings, learned positions, dropout
    "gpt2": Kind("gpt2", {**GPT2_SIZES, "bos_token_id": 0}, "transformer.h.0.mlp.c_proj", 128),
    "llama": Kind("llama", SIZES, "model.layers.0.mlp.down_proj"),
    "qwen2": Kind(
        "qwen2",
        {**SIZES, "num_key_value_heads": 2, "tie_word_embeddings": True},
        "model.layers.0.mlp.down_proj",
    ),
    # other names in the file than in the model
    "neox": Kind("gpt_neox", SIZES, "gpt_neox.layers.0.mlp.dense_4h_to_h"),
    # logits that are capped, scaled, and with a bias
    "gemma2": Kind(
        "gemma2",
        {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 0.5},
        "model.layers.0.mlp.down_proj",
    ),
    "granite": Kind("granite", {**SIZES, "logits_scaling": 4.0}, "model.layers.0.mlp.down_proj"),
    "phi": Kind("phi", SIZES, "model.layers.0.mlp.fc2"),
}


def write_model(kind: str, folder: Path, **config) -> Path:
    """A model folder without a tokenizer; its vectors (norms, biases) are random too."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    found = KINDS[kind]
    made = AutoConfig.for_model(found.model_type, **{**found.config, **config})
    model = AutoModelForCausalLM.from_config(made)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, float("norm" in name or "ln" in name), 0.2)
    model.save_pretrained(folder)
    return folder
