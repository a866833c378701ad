"""The tokens stage: a stream of token ids, each document behind the token that begins one."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from featflow.artifacts.io import load_tensors, readable, written
from featflow.artifacts.layout import Array, header
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.data.bos import document_token
from featflow.data.documents import batches
from featflow.data.tokenizer import load
from featflow.plan.stages.data import TokensSlice
from featflow.runtime import scratch
from featflow.runtime.ahead import ahead
from featflow.runtime.log import log, progress


class Tokens(NamedTuple):
    """Token ids (N,) int32, and the offsets at which documents begin in them (D,) int64."""

    ids: np.ndarray
    document_starts: np.ndarray


def run(cfg: TokensSlice, *, documents: Path, tokenizer: Path, output: Path) -> None:
    """Token ids of one split of a corpus.

    Args:
        documents: parquet of the split's documents.
        tokenizer: the study's tokenizer.json.
        output: safetensors with input_ids (N,) int32 and document_starts (D,) int64.

    Raises:
        FeatflowError: when there is no document.
    """
    provenance = Provenance("tokens", cfg, [documents, tokenizer])
    texts = progress(batches(documents), "batches of documents")
    tokens = encode(texts, load(tokenizer), cfg.tokens)
    if not len(tokens.ids):
        raise FeatflowError(f"{documents}: no documents; look at the source of corpus {cfg.corpus}")
    if cfg.tokens is not None and len(tokens.ids) < cfg.tokens:
        log.warning(
            "studies.%s.corpora.%s.tokens: asked for %s tokens, the corpus has %s; what reads it "
            "uses these",
            cfg.study,
            cfg.corpus,
            f"{cfg.tokens:,}",
            f"{len(tokens.ids):,}",
        )
    write(output, tokens, provenance)
    counts = f"{len(tokens.ids):,} tokens of {len(tokens.document_starts):,} documents"
    log.info("%s %s: %s", cfg.corpus, cfg.split, counts)


def encode(texts: Iterable[list[str]], tokenizer: Tokenizer, limit: int | None = None) -> Tokens:
    """The stream of all texts, or its first `limit` tokens (the last document may be cut).

    Args:
        texts: documents in batches; at most one more of them is read than the limit needs.
        tokenizer: adds no token of its own.
        limit: of tokens, those that begin documents included.
    """
    sizes: list[np.ndarray] = []
    pieces = _encoded(texts, tokenizer, sizes)
    ids = scratch.gathered(pieces if limit is None else _first(pieces, limit), np.int32)
    starts = np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes]))[:-1]
    return Tokens(ids, starts[starts < len(ids)])


def _first(pieces: Iterator[np.ndarray], limit: int) -> Iterator[np.ndarray]:
    """The first `limit` numbers; no more pieces are asked for than they need."""
    while limit > 0 and (piece := next(pieces, None)) is not None:
        yield piece[:limit]
        limit -= len(piece)


def _encoded(
    texts: Iterable[list[str]], tokenizer: Tokenizer, sizes: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Of each batch the ids of its documents end to end; their lengths are added to `sizes`.

    Where no token begins a document, one whose text has no tokens is none.

    The next batch is read and encoded meanwhile, by threads that need no interpreter.
    """
    begins = document_token(tokenizer)
    start = (begins[1],) if begins else ()
    encoded = (tokenizer.encode_batch_fast(batch, add_special_tokens=False) for batch in texts)
    with closing(ahead(encoded, depth=1)) as coming:
        for batch in coming:
            documents = [encoding.ids for encoding in batch if start or encoding.ids]
            lengths = np.array([len(ids) + len(start) for ids in documents], dtype=np.int64)
            stream = chain.from_iterable(chain(start, ids) for ids in documents)
            sizes.append(lengths)
            yield np.fromiter(stream, dtype=np.int32, count=int(lengths.sum()))


def write(path: Path, tokens: Tokens, provenance: Provenance) -> None:
    """Write tokens with the bytes of `save_tensors`, which would hold them twice.

    Raises:
        WriteError: when the disk is full.
    """
    arrays = {"input_ids": tokens.ids, "document_starts": tokens.document_starts}
    begin, names = header({n: Array(str(a.dtype), a.shape) for n, a in arrays.items()}, provenance)
    with written(path) as temporary, open(temporary, "wb") as file:
        file.write(begin)
        for name in names:
            file.write(arrays[name].data)


def read(path: Path) -> Tokens:
    """The tokens of a file; the ids are mapped, not loaded, so that jobs share their memory.

    Writing to the array is allowed and changes no file.

    Raises:
        ArtifactError: when the file is missing, truncated or foreign.
    """
    starts = load_tensors(path, "document_starts")["document_starts"]
    with readable(path):
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            entry = json.loads(file.read(size)).get("input_ids")
        if entry is None:
            raise ValueError("it has no tensor input_ids")
        shape, offset = tuple(entry["shape"]), 8 + size + entry["data_offsets"][0]
        if entry["dtype"] != "I32" or len(shape) != 1 or not shape[0]:
            raise ValueError(f"its input_ids are {entry['dtype']} {shape}, not I32 (N,)")
        _check_starts(starts, shape[0])
        return Tokens(np.memmap(path, np.int32, "c", offset, shape), starts)


def _check_starts(starts: np.ndarray, count: int) -> None:
    if starts.dtype != np.int64 or starts.ndim != 1:
        raise ValueError(f"its document_starts are {starts.dtype} {starts.shape}, not int64 (D,)")
    if not len(starts) or starts[0] != 0 or starts[-1] >= count or (np.diff(starts) <= 0).any():
        raise ValueError(f"its document_starts do not ascend from 0 to below {count:,}")
