"""How a stream of token ids becomes blocks that the LM reads, and rows that an SAE sees.

context: full: blocks of the LM's context length; windows of `window` tokens, side by side, from
position `window` on, so that each has true context before it.
context: truncated: a block is one window, read alone (Horn & Elliott 2024), which the LM never saw
in training.

special: drop: of the windows' tokens those are rows that are text: no token that the tokenizer
calls special (the one that begins a document, say), and not the first of a block. On these many
models have activations a hundred times as large as on text, whatever stands around them: attention
sinks (Xiao et al. 2023, arXiv 2309.17453; Sun et al. 2024, arXiv 2402.17762). keep: all are rows.
"""

from typing import NamedTuple

import numpy as np

from featflow.config.errors import FeatflowError
from featflow.plan.slices import Windows

AT_ONCE = 4096
"""Blocks whose rows are counted at once: bounds the memory."""


class Layout(NamedTuple):
    """A block's length, the position of its first window, and how many windows follow."""

    block: int
    first: int
    windows: int

    def kept(self, window: int) -> slice:
        """The positions of a block that belong to windows."""
        return slice(self.first, self.first + self.windows * window)


def layout(windows: Windows) -> Layout:
    """The layout of a block.

    Raises:
        ValueError: when no window fits behind the first `window` tokens.
    """
    size = windows.window
    if windows.context == "truncated":
        return Layout(size, 0, 1)
    count = windows.context_length // size - 1
    if count < 1:
        raise ValueError(
            f"activations.window: {size} tokens do not fit behind the first {size} of a block of "
            f"{windows.context_length}; use a smaller window, or context: truncated"
        )
    return Layout(windows.context_length, size, count)


def blocks(ids: np.ndarray, windows: Windows) -> np.ndarray:
    """Cut a stream (N,) into consecutive blocks (B, L); what is left over is dropped."""
    length = layout(windows).block
    whole = len(ids) // length
    return ids[: whole * length].reshape(whole, length)


def drawn(blocks: int, count: int, seed: int) -> np.ndarray:
    """Which `count` of a split's blocks are read (all, if there are no more): ascending, int64.

    They are the first ones of a permutation of all blocks that the seed decides: a random draw from
    the whole split, in which more blocks are those and others beside.
    """
    if count >= blocks:
        return np.arange(blocks)
    return np.sort(np.random.default_rng(seed).permutation(blocks)[:count])


class Rows:
    """The rows of an SAE's data in some blocks of a stream.

    Shapes: B blocks, L tokens a block, K tokens of a block that belong to windows.
    """

    def __init__(self, ids: np.ndarray, chosen: np.ndarray, windows: Windows, special: np.ndarray):
        """Args: the stream (N,); which of its blocks (B,); how rows are cut from them; the ids of
        special tokens."""
        self._blocks, self.chosen, self._windows = blocks(ids, windows), chosen, windows
        self.layout, self._special = layout(windows), special
        self.kept = self.layout.kept(windows.window)
        """The positions of a block that belong to windows."""

    def __len__(self) -> int:
        """B."""
        return len(self.chosen)

    def batches(self, tokens: int) -> list[range]:
        """The blocks of each forward pass of about `tokens` tokens: the same for whatever reads
        them, so that the same block always gives the same bits."""
        size = max(1, tokens // self.layout.block)
        return [range(i, min(i + size, len(self))) for i in range(0, len(self), size)]

    def ids(self, start: int, stop: int) -> np.ndarray:
        """The tokens of blocks start … stop − 1: (b, L)."""
        return self._blocks[self.chosen[start:stop]]

    def mask(self, start: int, stop: int) -> np.ndarray:
        """Which of their windows' tokens are rows: (b, K) bool."""
        return are_rows(self.ids(start, stop), self._windows, self._special)

    def text(self, start: int, stop: int) -> np.ndarray:
        """Which of them are text, whether or not other tokens are rows too: (b, K) bool."""
        dropping = self._windows.model_copy(update={"special": "drop"})
        return are_rows(self.ids(start, stop), dropping, self._special)

    def positions(self, start: int, stop: int) -> np.ndarray:
        """Where their rows lie in the stream: (T,) int64, ascending."""
        inside = np.arange(self.layout.block)[self.kept]
        places = self.chosen[start:stop, None] * self.layout.block + inside
        return places[self.mask(start, stop)]

    def require(self, corpus: str) -> "Rows":
        """These rows.

        Raises:
            FeatflowError: when there is none.
        """
        if not self.counts().any():
            raise FeatflowError(
                f"no token of {corpus}'s windows is text; give it more documents, or set "
                "activations.special: keep"
            )
        return self

    def counts(self) -> np.ndarray:
        """How many rows each block has: (B,) int64."""
        parts = [self.mask(start, start + AT_ONCE).sum(1) for start in range(0, len(self), AT_ONCE)]
        return np.concatenate([np.zeros(0, np.int64), *parts])


def are_rows(ids: np.ndarray, windows: Windows, special: np.ndarray) -> np.ndarray:
    """Which tokens of the windows of blocks (B, L) are rows: (B, K) bool.

    Args:
        ids: the blocks.
        windows: how rows are cut from them.
        special: the ids of special tokens.
    """
    shape = layout(windows)
    inside = ids[:, shape.kept(windows.window)]
    if windows.special == "keep":
        return np.ones(inside.shape, bool)
    mask = ~np.isin(inside, special)
    if shape.first == 0:
        mask[:, 0] = False
    return mask
