"""How a stream of token ids becomes blocks that the LM reads, and windows that an SAE sees.

context: full: blocks of the LM's context length; windows of `window` tokens, side by side, from
position `window` on, so that each has true context before it.
context: truncated: a block is one window, read alone (Horn & Elliott 2024), which the LM never saw
in training.
"""

from typing import NamedTuple

import numpy as np

from featflow.core.slices import Windows


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


def positions(count: int, windows: Windows) -> np.ndarray:
    """Where the kept tokens of the first `count` blocks lie in the stream, int64."""
    shape = layout(windows)
    inside = np.arange(shape.block)[shape.kept(windows.window)]
    return (np.arange(count)[:, None] * shape.block + inside[None, :]).reshape(-1)
