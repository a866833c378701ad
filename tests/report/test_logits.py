"""The tokens that a direction promotes, beside the model's own modules."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from featflow.config.errors import FeatflowError
from featflow.report.dashboard.logits import promoted, unknown

HIDDEN, INNER, VOCABULARY, FEATURES = 16, 40, 90, 33
SMALL = {"hidden_size": HIDDEN, "intermediate_size": INNER, "vocab_size": VOCABULARY}
SMALL |= {"num_hidden_layers": 2, "num_attention_heads": 2}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=False)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, tie_word_embeddings=True)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SMALL)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(n_embd=HIDDEN, n_inner=INNER, vocab_size=VOCABULARY, n_layer=2, n_head=2)
    ),
}
ENDS = {
    "llama": lambda m: (m.model.layers[1].mlp.down_proj, m.model.norm, m.lm_head),
    "qwen2": lambda m: (m.model.layers[1].mlp.down_proj, m.model.norm, m.lm_head),
    "gpt_neox": lambda m: (
        m.gpt_neox.layers[1].mlp.dense_4h_to_h,
        m.gpt_neox.final_layer_norm,
        m.lm_head,
    ),
    "gpt2": lambda m: (m.transformer.h[1].mlp.c_proj, m.transformer.ln_f, m.lm_head),
}


def written(model, folder: Path, width: int) -> tuple[Path, Path, np.ndarray]:
    """A model folder, an SAE folder, and its directions."""
    rng = np.random.default_rng(0)
    with torch.no_grad():  # trained norms are not all ones
        for name, weight in model.named_parameters():
            if "norm" in name or "ln_" in name:
                weight += torch.from_numpy(rng.normal(0, 0.3, weight.shape))
    model.save_pretrained(folder / "model")
    directions = rng.normal(size=(FEATURES, width)).astype(np.float32)
    (folder / "sae").mkdir()
    save_file({"W_dec": directions}, folder / "sae" / "sae_weights.safetensors")
    return folder / "model", folder / "sae", directions


@pytest.mark.parametrize("hook", ["blocks.1.mlp.hook_post", "blocks.1.hook_resid_post"])
@pytest.mark.parametrize("kind", list(MODELS))
def test_logits_are_the_change_that_a_direction_makes(kind, hook, tmp_path):
    torch.manual_seed(0)
    model = MODELS[kind]()
    width = INNER if "mlp" in hook else HIDDEN
    folder, sae, directions = written(model, tmp_path, width)
    down, norm, head = ENDS[kind](model.double())
    d = torch.from_numpy(directions).double()
    with torch.no_grad():
        if "mlp" in hook:
            at = torch.randn(1, INNER, dtype=torch.float64)
            d = down(at + d) - down(at)
        # At a point of size 1 whose own direction (and mean) is not moved along, the norm divides
        # by 1 all around: its derivative is the linear part alone.
        centred = kind in ("gpt2", "gpt_neox")
        x = torch.randn(FEATURES, HIDDEN, dtype=torch.float64)
        flat = d - d.mean(dim=1, keepdim=True) if centred else d
        x = x - x.mean(dim=1, keepdim=True) if centred else x
        x = x - flat * (x * flat).sum(1, keepdim=True) / (flat * flat).sum(1, keepdim=True)
        x = x * HIDDEN**0.5 / x.norm(dim=1, keepdim=True)
        _, logits = torch.func.jvp(lambda at: head(norm(at)), (x,), (d,))
    found = promoted(folder, sae, hook, VOCABULARY, 6)
    order = np.argsort(-logits.numpy(), axis=1)
    assert (found.promoted == order[:, :6]).all()
    assert (found.suppressed == order[:, :-7:-1]).all()
    at = np.take_along_axis(logits.numpy(), found.promoted, 1)
    np.testing.assert_allclose(found.logits, at, rtol=1e-3, atol=1e-5)
    at = np.take_along_axis(logits.numpy(), found.suppressed, 1)
    np.testing.assert_allclose(found.negative, at, rtol=1e-3, atol=1e-5)


def test_padding_of_the_vocabulary_is_no_token(tmp_path):
    folder, sae, _ = written(MODELS["llama"](), tmp_path, INNER)
    found = promoted(folder, sae, "blocks.0.mlp.hook_post", 20, 6)
    assert found.promoted.max() < 20 and found.suppressed.max() < 20
    assert promoted(folder, sae, "blocks.0.mlp.hook_post", 4, 6).promoted.shape == (FEATURES, 4)


def test_what_cannot_be_read_is_said(tmp_path):
    folder, sae, _ = written(MODELS["llama"](), tmp_path, INNER)
    assert unknown(folder, "blocks.0.mlp.hook_post") is None
    assert "blocks.0.attn.hook_z is neither" in str(unknown(folder, "blocks.0.attn.hook_z"))
    with pytest.raises(FeatflowError, match=r"carries has 16 numbers, the SAE's .* have 40"):
        promoted(folder, sae, "blocks.0.hook_resid_pre", VOCABULARY, 6)
    PhiForCausalLM(PhiConfig(**SMALL)).save_pretrained(tmp_path / "phi")
    assert "models of the type phi" in str(unknown(tmp_path / "phi", "blocks.0.mlp.hook_post"))
