"""Inputs of stages at any size: files as the workflow has them, of synthetic content.

What a stage reads is made without the stages before it, so that each can be measured at sizes that
would take those hours. All functions write below the working directory.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from featflow.artifacts.provenance import KEY
from featflow.data.windows import Rows, layout
from featflow.plan import paths
from featflow.plan.slices import Windows

STUDY, HOOK = "scaled", "blocks.0.mlp.hook_post"
SPECIAL = ("<unk>", "<s>", "</s>")
LEXICON = 20_000
"""Words that texts are made of."""
LETTERS = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8)


@dataclass(frozen=True)
class Size:
    """All that the cost of some stage depends on."""

    tokens: int = 100_000
    """Of the split of each corpus that the stage reads; of a dump its rows."""
    corpora: int = 1
    hidden: int = 64
    width: int = 128
    """n: of the MLP, at whose end the hook is."""
    heads: int = 4
    layers: int = 1
    vocabulary: int = 512
    context: int = 128
    window: int = 24
    features: int = 512
    """m of each SAE."""
    firing: int = 20
    """Features that fire at a token."""
    models: int = 2
    """Models, parents or edges: what the stage has several of."""
    points: int = 3
    """Values of t of a sweep."""
    document: int = 400
    """Tokens of a document."""
    spare: int = 0
    """Tokens of each stream behind those that are read."""

    @property
    def windows(self) -> Windows:
        """How windows are cut."""
        return Windows(window=self.window, context="full", context_length=self.context)

    @property
    def blocks(self) -> int:
        """Blocks of the LM that give at least so many rows of windows."""
        shape = layout(self.windows)
        return -(-self.tokens // (shape.windows * self.window))

    @property
    def rows(self) -> int:
        """Rows of windows of that many blocks."""
        return self.blocks * layout(self.windows).windows * self.window

    @property
    def names(self) -> list[str]:
        """The corpora."""
        return [f"corpus{i}" for i in range(self.corpora)]


def at(template: paths.Template, **names: object) -> Path:
    """A path of the study, its folder made."""
    path = Path(template.at(study=STUDY, **names))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def text(size: int, seed: int) -> str:
    """About so many bytes of words, some of them frequent."""
    words = _lexicon()
    drawn = (LEXICON * np.random.default_rng([seed, 1]).random(size // 6) ** 4).astype(int)
    return " ".join([words[i] for i in drawn])


@cache
def _lexicon() -> list[str]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 10, LEXICON)
    return [LETTERS[rng.integers(0, 26, n)].tobytes().decode() for n in lengths]


def noise(size: int, seed: int) -> str:
    """So many bytes of letters: made and cut into tokens faster than words."""
    drawn = np.random.default_rng([seed, 2]).integers(0, 26, size, np.uint8)
    return LETTERS[drawn].tobytes().decode()


def files(folder: Path, count: int, size: int, words: bool) -> None:
    """Text files of so many bytes each."""
    folder.mkdir(parents=True)
    for i in range(count):
        (folder / f"{i:05d}.txt").write_text((text if words else noise)(size, i))


def documents(path: Path, count: int, size: int, words: bool) -> None:
    """Documents of so many bytes each, as stage corpus writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    make, schema = (text if words else noise), pa.schema({"text": pa.string(), "source": "string"})
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for first in range(0, count, 16):
            some = range(first, min(first + 16, count))
            columns = [[make(size, i) for i in some], [f"{i}.txt" for i in some]]
            file.write_batch(pa.record_batch(columns, schema=schema))


def tokenizer(vocabulary: int) -> Path:
    """A tokenizer whose tokens are bytes; the rest of its vocabulary stands for nothing."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*SPECIAL, *letters, *(f"w{i}" for i in range(vocabulary))][:vocabulary]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(SPECIAL))
    made.save(str(path := at(paths.TOKENIZER)))
    return path


def trained_tokenizer(vocabulary: int) -> Path:
    """A byte-level BPE of the words of `text`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    made.train_from_iterator([text(1_000_000, 10**6)], trainer)
    made.save(str(path := at(paths.TOKENIZER)))
    return path


def tokens(corpus: str, split: str, count: int, size: Size) -> Path:
    """A stream of random ids, written in parts."""
    path = at(paths.TOKENS, corpus=corpus, split=split)
    starts = np.arange(0, count, size.document, dtype=np.int64)
    ends = {"input_ids": 4 * count, "document_starts": 4 * count + 8 * len(starts)}
    header = {
        "input_ids": {"dtype": "I32", "shape": [count], "data_offsets": [0, 4 * count]},
        "document_starts": {
            "dtype": "I64",
            "shape": [len(starts)],
            "data_offsets": [ends["input_ids"], ends["document_starts"]],
        },
    }
    rng = np.random.default_rng([len(corpus), count])
    with open(path, "wb") as file:
        _header(file, header)
        for first in range(0, count, 10**7):
            some = min(10**7, count - first)
            rng.integers(len(SPECIAL), size.vocabulary, some, np.int32).tofile(file)
        starts.tofile(file)
    return path


def _header(file, entries: dict) -> None:
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)


def model(name: str, size: Size, seed: int = 0) -> Path:
    """A Mistral model with random weights."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    folder = at(paths.MODEL, model=name).parent
    torch.manual_seed(seed)
    config = MistralConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=max(1, size.heads // 2),
        head_dim=size.hidden // size.heads,
        max_position_embeddings=size.context,
        sliding_window=None,
        bos_token_id=1,
        eos_token_id=2,
    )
    MistralForCausalLM(config).save_pretrained(folder)
    own = at(paths.TOKENIZER)
    own = own if own.exists() else tokenizer(size.vocabulary)
    PreTrainedTokenizerFast(tokenizer_file=str(own), bos_token="<s>").save_pretrained(folder)
    return folder


def sae(model_folder: Path, name: str, size: Size, seed: int = 0) -> Path:
    """An SAE with random weights, of whose features about `size.firing` fire at a token."""
    import torch
    from safetensors.torch import save_file

    from featflow.models.hooked import HookedModel

    folder = at(paths.SAE, model=model_folder.name, sae=name).parent
    generator = torch.Generator().manual_seed(seed)
    decoder = torch.randn(size.features, size.width, generator=generator)
    decoder /= decoder.norm(dim=1, keepdim=True)
    hooked = HookedModel.load(model_folder, HOOK)
    ids = torch.randint(len(SPECIAL), size.vocabulary, (8, size.context), generator=generator)
    x = hooked.activations(ids).flatten(0, 1)[::4]
    share = 1 - size.firing / size.features
    threshold = torch.quantile((x @ decoder[:512].T).flatten()[: 2**23], share)
    weights = {
        "W_enc": decoder.T.contiguous(),
        "b_enc": torch.full((size.features,), -float(threshold)),
        "W_dec": decoder,
        "b_dec": torch.zeros(size.width),
    }
    save_file(weights, folder / "sae_weights.safetensors")
    handle(folder, size)
    return folder


def handle(folder: Path, size: Size) -> None:
    """An SAE's cfg.json."""
    said = {
        "architecture": "standard",
        "d_in": size.width,
        "d_sae": size.features,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12"},
    }
    (folder / "cfg.json").write_text(json.dumps(said))


def dictionary(model_name: str, name: str, size: Size, seed: int) -> list[Path]:
    """The dumps of an SAE on every corpus, and its folder with directions."""
    from safetensors.numpy import save_file

    folder = at(paths.SAE, model=model_name, sae=name).parent
    rng = np.random.default_rng([seed, 3])
    directions = rng.standard_normal((size.features, size.width), np.float32)
    weights = {"W_enc": np.ascontiguousarray(directions.T), "W_dec": directions}
    weights |= {"b_enc": np.zeros(size.features, np.float32), "b_dec": np.zeros(size.width, "f4")}
    save_file(weights, folder / "sae_weights.safetensors")
    handle(folder, size)
    return [dump(model_name, name, corpus, size, seed) for corpus in size.names]


def dump(model_name: str, sae_name: str, corpus: str, size: Size, seed: int) -> Path:
    """Sparse activations: of each of `firing` bins of features one fires, mostly a low one.

    Half of the bins are the same whatever the seed, so that dictionaries have features in common.
    """
    path = at(paths.FEATURES, model=model_name, sae=sae_name, corpus=corpus)
    rows, k, nnz = size.rows, size.firing, size.rows * size.firing
    ends = np.cumsum([0, 8 * (rows + 1), 8 * rows, 4 * nnz, 4 * nnz])
    kinds = {"indptr": "I64", "positions": "I64", "indices": "I32", "values": "F32"}
    shapes = (rows + 1, rows, nnz, nnz)
    header = {
        name: {"dtype": kind, "shape": [shape], "data_offsets": [int(ends[i]), int(ends[i + 1])]}
        for i, ((name, kind), shape) in enumerate(zip(kinds.items(), shapes, strict=True))
    }
    with open(path, "wb") as file:
        _header(file, header)
        (np.arange(rows + 1) * k).tofile(file)
        ids = np.zeros(size.blocks * layout(size.windows).block, np.int32)
        cut = Rows(ids, np.arange(size.blocks), size.windows, np.zeros(0, np.int64))
        cut.positions(0, size.blocks).tofile(file)
        for first in range(0, rows, 50_000):
            shared, own = (np.random.default_rng([s, first]) for s in (len(corpus), seed + 100))
            drawn = np.concatenate(
                [
                    rng.random((min(50_000, rows - first), part), np.float32) ** 3
                    for rng, part in ((shared, k // 2), (own, k - k // 2))
                ],
                axis=1,
            )
            low = np.arange(k) * size.features // k
            wide = (np.arange(1, k + 1) * size.features // k) - low
            (low + np.minimum(drawn * wide, wide - 1)).astype(np.int32).tofile(file)
        for first in range(0, rows, 50_000):
            shape = (min(50_000, rows - first), k)
            rng = np.random.default_rng([len(corpus), first, 1])
            (rng.random(shape, np.float32) + np.float32(0.1)).tofile(file)
    return path


def shard(model_name: str, index: int, size: Size) -> Path:
    """A shard of random activations, of which a tenth of the elements are not near 0."""
    import torch

    path = at(paths.ACTIVATIONS, model=model_name, hook=HOOK, shard=index)
    count = size.tokens // size.window
    shape = [count, size.window, size.width]
    tokens, end = count * size.window, (4 + 2 * size.width) * count * size.window
    entries = {
        "norms": {"dtype": "F32", "shape": shape[:2], "data_offsets": [0, 4 * tokens]},
        "activations": {"dtype": "BF16", "shape": shape, "data_offsets": [4 * tokens, end]},
        "rows": {"dtype": "BOOL", "shape": shape[:2], "data_offsets": [end, end + tokens]},
    }
    rng = np.random.default_rng([index, 4])
    with open(path, "wb") as file:
        origin = json.dumps({"config": {"model": model_name, "hook": HOOK}})  # which an SAE checks
        _header(file, {"__metadata__": {KEY: origin}, **entries})
        for first in range(0, count, 1000):
            np.ones((min(1000, count - first), size.window), np.float32).tofile(file)
        for first in range(0, count, 1000):
            some = (min(1000, count - first), size.window, size.width)
            part = rng.standard_normal(some, np.float32)
            part *= 0.1 + (rng.random(some, np.float32) < 0.1)
            torch.from_numpy(part).bfloat16().view(torch.int16).numpy().tofile(file)
        np.ones(tokens, bool).tofile(file)
    return path
