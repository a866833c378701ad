"""Small real parts that several tests need: a tokenizer, a language model, a stream of tokens."""

import os
from pathlib import Path

import numpy as np
import pytest

# As the command line does, before torch loads: on few cores, threads that spin while they wait for
# each other take five times the CPU time of what they compute.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["FEATFLOW_BIN"] = ""
"""Messages name `snakemake` and `featflow` plainly, whether or not the environment is activated."""

SLOW = (
    "slurm/",
    "workflow/test_tiny",
    "workflow/test_rebuilds",
    "workflow/test_integrity",
    "memory/",
    "workflow/",
    "commands/",
    "features/test_transfer",
    "models/",
    "saes/",
)
"""Whole files are dealt to the workers in this order, then the rest: no core is idle at the end."""

TEXT = "the cat sat on the mat ; a dog = 1 and the bird sang to the cat . " * 40


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first."""
    tests = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(tests).as_posix()
        found = (i for i, start in enumerate(SLOW) if name.startswith(start))
        return next(found, len(SLOW))

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def _no_config_named_before(monkeypatch):
    """What one test says of its config and study is not in another one's commands."""
    for variable in ("FEATFLOW_CONFIGS", "FEATFLOW_STUDY"):
        monkeypatch.setenv(variable, "")


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory) -> Path:
    """A byte-level BPE of 300 entries with <s>, trained on a few words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def token_ids(tokenizer_file) -> np.ndarray:
    """A stream (N,) of int32 token ids."""
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(tokenizer_file)).encode(TEXT * 4, add_special_tokens=False).ids
    return np.array(ids, dtype=np.int32)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tokenizer_file) -> Path:
    """A Mistral model folder: hidden 32, MLP 48, 1 layer, context 64, random weights."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
        sliding_window=None,
        bos_token_id=0,
        eos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("model")
    MistralForCausalLM(config).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), bos_token="<s>")
    tokenizer.save_pretrained(folder)
    return folder
