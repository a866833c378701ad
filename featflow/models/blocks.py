"""How token streams become the blocks that a language model reads."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from featflow.artifacts.provenance import named
from featflow.config.errors import FeatflowError
from featflow.data.tokens import read
from featflow.data.windows import drawn
from featflow.runtime.log import log


def read_blocks(path: Path, context: int, vocabulary: int) -> np.ndarray:
    """All blocks (B, context) of a corpus's stream, in its file; what is left over is dropped.

    Args:
        path: tokens of a split.
        context: tokens of a block.
        vocabulary: entries of the model's vocabulary, which every id must lie in.

    Raises:
        FeatflowError: when the stream is shorter than a block, or of another tokenizer.
    """
    ids = read(path).ids
    count = len(ids) // context
    if count == 0:
        raise FeatflowError(
            f"{path}: {len(ids)} tokens do not fill one block of {context}; "
            "give the corpus more documents, or the model a shorter context"
        )
    if (largest := int(ids.max())) >= vocabulary:
        raise FeatflowError(
            f"{path}: token id {largest} is not in the model's vocabulary of {vocabulary}; "
            "the tokens and the model must come from the same tokenizer"
        )
    return ids[: count * context].reshape(count, context)


def drawn_blocks(path: Path, context: int, vocabulary: int, tokens: int, seed: int) -> np.ndarray:
    """Blocks (B, context) drawn from the whole of a corpus's stream: at most `tokens` tokens.

    Raises:
        FeatflowError: as for `read_blocks`, and when `tokens` do not fill one block.
    """
    found = read_blocks(path, context, vocabulary)
    if tokens < context:
        raise FeatflowError(
            f"{tokens} tokens do not fill one block of {context}; raise evaluation.tokens"
        )
    return found[drawn(len(found), tokens // context, seed)]


class Blocks:
    """Blocks of several streams, one stream after the other, left where they lie (in files)."""

    def __init__(self, streams: list[np.ndarray], chosen: list[np.ndarray]):
        """Args: the blocks (B, L) of each stream; which of them count, equally many of each."""
        self.streams, self._chosen = streams, chosen
        self.each, self.context = len(chosen[0]), streams[0].shape[1]

    def __len__(self) -> int:
        return self.each * len(self.streams)

    @property
    def tokens(self) -> int:
        """How many there are in all."""
        return len(self) * self.context

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The blocks (n, L) of some rows (n,)."""
        stream, row = np.divmod(rows, self.each)
        found = np.empty((len(rows), self.context), self.streams[0].dtype)
        for index, blocks in enumerate(self.streams):
            mine = stream == index
            found[mine] = blocks[self._chosen[index][row[mine]]]
        return found


def even_blocks(paths: list[Path], context: int, vocabulary: int, seed: int) -> Blocks:
    """Equally many blocks of `context` tokens of each stream, one stream after the other.

    The shortest stream decides how many; those of the others are drawn from their whole.
    """
    streams = [read_blocks(path, context, vocabulary) for path in paths]
    count = min(map(len, streams))
    for path, stream in zip(paths, streams, strict=True):
        if len(stream) > count:
            share = f"{count / len(stream):.0%}"
            log.info("%s: using %s, to be even with the shortest corpus", named(path), share)
    return Blocks(streams, [drawn(len(stream), count, seed) for stream in streams])


class Batches:
    """Which blocks each step reads: every epoch in an order of its own, the last one maybe in part.

    A batch depends on the seed and the step alone, so that a resumed run needs no state of it.
    """

    def __init__(self, blocks: int, batch: int, epochs: float, seed: int):
        self.blocks, self.batch, self.seed = blocks, batch, seed
        self.visits = max(1, round(blocks * epochs))

    def __len__(self) -> int:
        return -(-self.visits // self.batch)

    def __getitem__(self, step: int) -> np.ndarray:
        """Indices of the blocks of a step; the last step may have fewer than the others."""
        visits = np.arange(step * self.batch, min((step + 1) * self.batch, self.visits))
        epochs, inside = np.divmod(visits, self.blocks)
        parts = [
            _order(self.blocks, self.seed, int(epoch))[inside[epochs == epoch]]
            for epoch in np.unique(epochs)
        ]
        return np.concatenate(parts)


@lru_cache(maxsize=2)  # a batch may lie in two epochs
def _order(blocks: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(blocks)
