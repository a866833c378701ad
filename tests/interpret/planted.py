"""A small probe with features whose doings are known: tokens, dumps and a tokenizer, as files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from featflow.artifacts.io import save_table, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.config.interpreting import Interpret
from featflow.data.tokens import Tokens
from featflow.features.dump import Dump, write
from featflow.features.probe import Probe, firings, probe_at
from featflow.features.scope import Source
from featflow.interpret.providers import Record
from featflow.plan.stages.interpret import InterpretSlice

DOCUMENTS, LENGTH, VOCABULARY = 60, 130, 40
"""Of each of the two corpora."""

TOKEN, NEXT = 7, 8
"""What the planted features fire on."""

LOOKUP, SHUFFLED, CONTEXTUAL, SILENT, RARE, HALF = range(6)
"""LOOKUP fires on TOKEN; SHUFFLED is LOOKUP with its rows permuted; CONTEXTUAL fires on NEXT behind
TOKEN; SILENT never fires; RARE fires in three documents; HALF fires on TOKEN in every other one."""

FEATURES = 6


class Corpus(NamedTuple):
    ids: np.ndarray
    starts: np.ndarray
    positions: np.ndarray
    dense: np.ndarray
    """(T, FEATURES) activations."""

    @property
    def dump(self) -> Dump:
        return Dump(csr_array(self.dense), self.positions)

    @property
    def source(self) -> Source:
        document = np.searchsorted(self.starts, self.positions, side="right") - 1
        return Source(self.ids[self.positions], document, (document % 2).astype(np.int8))


def corpus(seed: int) -> Corpus:
    """Rows are all positions but a gap of 10 tokens in the middle of each document."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, VOCABULARY, DOCUMENTS * LENGTH).astype(np.int32)
    starts = np.arange(DOCUMENTS) * LENGTH
    ids[starts] = 0
    pairs = starts[::2] + rng.integers(65, LENGTH - 1, len(starts[::2]))
    ids[pairs], ids[pairs + 1] = TOKEN, NEXT
    inside = np.concatenate([np.arange(50), np.arange(60, LENGTH)])
    positions = (starts[:, None] + inside).reshape(-1)
    token, document = ids[positions], np.repeat(np.arange(DOCUMENTS), len(inside))
    before = np.where(positions > 0, ids[positions - 1], 0)
    strength = rng.uniform(2, 4, len(positions))
    dense = np.zeros((len(positions), FEATURES), np.float32)
    dense[:, LOOKUP] = (token == TOKEN) * strength
    dense[:, SHUFFLED] = rng.permutation(dense[:, LOOKUP])
    dense[:, CONTEXTUAL] = ((token == NEXT) & (before == TOKEN)) * strength
    if seed == 0:
        dense[[5, 7, 130, 250], RARE] = 1.0
    dense[:, HALF] = ((token == TOKEN) & (document % 2 == 0)) * strength
    return Corpus(ids, starts, positions, dense)


def corpora() -> list[Corpus]:
    return [corpus(0), corpus(1)]


def probe_of(parts: list[Corpus]) -> Probe:
    by_name = {str(number): part for number, part in enumerate(parts)}
    return probe_at(
        {name: part.positions for name, part in by_name.items()},
        {name: part.source for name, part in by_name.items()},
        [Tokens(part.ids, part.starts) for part in parts],
    )


def firings_of(parts: list[Corpus]):
    return firings([part.dump.activations for part in parts], range(FEATURES))


def tokenizer() -> Tokenizer:
    words = {"<s>": 0, "a": 1, **{f"w{i}": i for i in range(2, VOCABULARY)}}
    made = Tokenizer(models.WordLevel(words, unk_token="a"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Whitespace(), decoders.Fuse()
    made.add_special_tokens(["<s>"])
    return made


TEXTS = ["<s>", "a", *(f"w{i}" for i in range(2, VOCABULARY))]


def record(ids, values, largest=None) -> Record:
    """A record of these tokens and activations."""
    top = largest or max(values) or 1
    levels = [min(10, round(10 * value / top)) for value in values]
    return Record(tuple(TEXTS[i] for i in ids), tuple(ids), tuple(levels), tuple(values))


class Files(NamedTuple):
    """What stage `interpret` reads, and its slice."""

    folder: Path
    cfg: InterpretSlice

    def paths(self) -> dict:
        names = ("one", "two")
        return {
            "dumps": [self.folder / f"{name}.dump.safetensors" for name in names],
            "tokens": [self.folder / f"{name}.safetensors" for name in names],
            "tokenizer": self.folder / "tokenizer.json",
            "output": self.folder / "interpret" / "scores.parquet",
        }

    def with_settings(self, **settings) -> "Files":
        made = Interpret.model_validate(settings)
        return self._replace(cfg=self.cfg.model_copy(update={"settings": made}))


def files(folder: Path, features=range(FEATURES), **settings) -> Files:
    """The planted probe as files, without a flow."""
    cfg = InterpretSlice(
        **{"study": "planted", "model": "root", "sae": "main", "corpora": ["one", "two"]},
        **{"features": list(features), "edges": [], "seed": 3},
        settings=Interpret.model_validate({"select": {}, **settings}),
    )
    made = Files(folder, cfg)
    provenance = Provenance("features", cfg)
    at = made.paths()
    for part, dump, tokens in zip(corpora(), at["dumps"], at["tokens"], strict=True):
        write(dump, part.dump, provenance)
        arrays = {"input_ids": part.ids, "document_starts": part.starts}
        save_tensors(tokens, arrays, provenance)
    tokenizer().save(str(at["tokenizer"]))
    return made


def save_flow(files: Files, table) -> Path:
    path = files.folder / "features.parquet"
    save_table(path, table, Provenance("flow", files.cfg))
    return path
