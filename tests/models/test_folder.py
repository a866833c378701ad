"""Model folders load wherever Hugging Face folders load."""

import logging
import warnings
from typing import cast

import pytest
import torch
from tokenizers import AddedToken, Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, MistralForCausalLM

from featflow.core.artifacts import ArtifactError
from featflow.core.config.models import Architecture
from featflow.data.tokenizer import load
from featflow.models.folder import load_model, written_folder
from featflow.models.train import build
from tests.models.conftest import ARCHITECTURE, train_slice


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(60, (2, 32), generator=torch.Generator().manual_seed(0))


def test_the_folder_loads_as_it_is_and_without_a_warning(base, ids, caplog):
    logging.getLogger("transformers").propagate = True
    with warnings.catch_warnings(), caplog.at_level("WARNING"):
        warnings.simplefilter("error")
        model = AutoModelForCausalLM.from_pretrained(base)
        tokenizer = AutoTokenizer.from_pretrained(base)
    assert not caplog.records
    assert type(model).__name__ == "MistralForCausalLM"
    assert tokenizer.bos_token == "<s>"
    assert model.config.bos_token_id == tokenizer.bos_token_id
    assert torch.equal(model(ids).logits, load_model(base)(ids).logits)


def test_transformer_lens_gives_the_same_logits(base, ids):
    from transformer_lens.model_bridge import TransformerBridge

    with torch.no_grad():
        expected = load_model(base)(ids).logits
        bridge = TransformerBridge.boot_transformers(str(base), device="cpu", dtype=torch.float32)
        torch.testing.assert_close(bridge(ids), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_the_architecture_is_the_slice_s(tokenizer_file, tied):
    cfg = train_slice(["one"], architecture=ARCHITECTURE.model_copy(update={"tied": tied}))
    vocabulary = load(tokenizer_file)
    model = build(cfg.architecture, vocabulary)
    config = model.config
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (32, 48, 1)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 8)
    assert (config.max_position_embeddings, config.sliding_window) == (32, None)
    assert (config.vocab_size, config.bos_token_id) == (len(vocabulary.get_vocab()), 0)
    shared = model.lm_head.weight is model.model.embed_tokens.weight
    assert shared is tied


def test_the_paper_s_model_has_its_number_of_parameters():
    class Vocabulary:
        def get_vocab(self):
            return {str(i): i for i in range(32_000)}

        def get_added_tokens_decoder(self):
            return {1: AddedToken("<s>", special=True)}

    with torch.device("meta"):
        model = build(Architecture(), cast(Tokenizer, Vocabulary()))
    assert isinstance(model, MistralForCausalLM)
    assert model.num_parameters() == 35_128_832


def test_the_handle_comes_last_and_an_interrupted_write_leaves_none(tmp_path):
    folder = tmp_path / "m"
    with written_folder(folder) as temporary:
        (temporary / "config.json").write_text("old")
        (temporary / "zzz").write_text("old")
    with pytest.raises(RuntimeError), written_folder(folder) as temporary:
        (temporary / "config.json").write_text("new")
        raise RuntimeError
    assert (folder / "config.json").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def test_the_group_may_read_what_the_umask_lets_it(base):
    modes = {file.name: file.stat().st_mode & 0o777 for file in base.iterdir()}
    assert len(set(modes.values())) == 1, modes  # safetensors alone would give 0600


def test_missing_and_truncated_models_are_named(base, tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere/config\.json: no such file"):
        load_model(tmp_path / "nowhere")
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_model(tmp_path)
