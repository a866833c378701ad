"""Two parents of a merge, of the demo's size, and their tokens: for benchmarks/merging.py."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM, set_seed

from featflow.models.folder import quiet, save_tokenizer

CONTEXT, VOCABULARY, HIDDEN, MLP, HEADS, KV_HEADS = 128, 2048, 128, 256, 4, 2
PARENTS = ["lua", "tinystories"]


class Inputs:
    """Two parents and their tokens on disk, as the stages find them.

    The parents are random, and a random step apart: what is computed with them takes as long.
    """

    def __init__(self, folder: Path, tokens: int):
        """Args: an empty folder, and the tokens of each parent's corpus."""
        self.folder = folder
        origin = self._model("origin", 0)
        self.parents = [self._model(name, i, origin) for i, name in enumerate(PARENTS, 1)]
        self.tokens = [self._tokens(name, tokens) for name in PARENTS]

    def _model(self, name: str, seed: int, start: Path | None = None) -> Path:
        set_seed(seed)
        config = MistralConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            intermediate_size=MLP,
            num_hidden_layers=1,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            max_position_embeddings=CONTEXT,
            sliding_window=None,
            tie_word_embeddings=False,
        )
        model = MistralForCausalLM(config)
        folder = self.folder / name
        with quiet():
            if start is not None:
                origin = AutoModelForCausalLM.from_pretrained(start).state_dict()
                for key, weight in model.state_dict().items():
                    weight.mul_(0.3).add_(origin[key])
            model.save_pretrained(folder)
        words = {"<s>": 0, **{f"w{i}": i for i in range(1, VOCABULARY)}}
        tokenizer = Tokenizer(WordLevel(words, unk_token="w1"))
        tokenizer.add_special_tokens(["<s>"])
        tokenizer.save(str(folder / "words.json"))
        save_tokenizer(folder / "words.json", folder)
        return folder

    def _tokens(self, name: str, count: int) -> Path:
        weight = 1 / np.arange(1, VOCABULARY + 1)
        rng = np.random.default_rng(len(name))
        ids = rng.choice(VOCABULARY, count, p=weight / weight.sum()).astype(np.int32)
        path = self.folder / f"{name}.safetensors"
        save_file({"input_ids": ids, "document_starts": np.zeros(1, np.int64)}, path)
        return path
