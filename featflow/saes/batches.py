"""What an SAE is trained on: windows of activations, shard by shard, in a seeded order.

Shapes: W windows, n the width of the hook.
"""

import itertools
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from featflow.core.artifacts import readable
from featflow.core.config.saes import Activations
from featflow.core.provenance import named
from featflow.models.hooked import HookedModel
from featflow.saes.activations import Blocks, read_shard, shard_range


class Shards(Protocol):
    """The activations, whether they lie on the disk or are made when asked for."""

    counts: list[int]
    """Windows of each shard."""

    def shard(self, index: int) -> Tensor:
        """A shard's activations (W, window, n), bfloat16."""
        ...


class StoredShards:
    """Shards on the disk, mapped into memory."""

    def __init__(self, paths: list[Path]):
        """Args: the files, in order.

        Raises:
            ArtifactError: when a file is missing, truncated, or of another width than the first.
        """
        self._shards = [read_shard(path) for path in paths]
        expected = tuple(self._shards[0].shape[1:])
        for path, shard in zip(paths, self._shards, strict=True):
            with readable(path):
                if (found := tuple(shard.shape[1:])) != expected:
                    raise ValueError(
                        f"its windows have {found} numbers; those of {named(paths[0])} have "
                        f"{expected}"
                    )
        self.counts = [len(shard) for shard in self._shards]

    def shard(self, index: int) -> Tensor:
        """A shard's activations (W, window, n)."""
        return self._shards[index]


class FreshShards:
    """The same shards, bit for bit, made by the model; one is held at a time."""

    def __init__(self, sequence: Blocks, model: HookedModel, settings: Activations, tokens: int):
        """Args: the sequence of blocks; the model; the study's settings; tokens that are needed.

        Raises:
            Shortage: when the corpora hold too few tokens.
        """
        self._sequence, self._model = sequence, model
        size, needed = settings.shard_tokens, min(settings.tokens, tokens)
        self._ranges = [
            shard_range(i, size, min(size, settings.tokens - i * size), sequence.window)
            for i in range(-(-needed // size))
        ]
        sequence.require(self._ranges[-1][1])
        self.counts = [stop - start for start, stop in self._ranges]
        self.shard = lru_cache(maxsize=1)(self._make)

    def _make(self, index: int) -> Tensor:
        start, stop = self._ranges[index]
        shard = torch.empty(
            stop - start, self._sequence.window, self._model.width, dtype=torch.bfloat16
        )
        row = 0
        for part in self._sequence.activations(self._model, start, stop):
            shard[row : row + len(part)] = part
            row += len(part)
        return shard


def visits(counts: list[int], seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Shard after shard, without end: its index, and the order in which its windows are seen.

    Every pass over the shards has another order.
    """
    for epoch in itertools.count():
        for shard, count in enumerate(counts):
            yield shard, np.random.default_rng([seed, epoch, shard]).permutation(count)


def batches(
    shards: Shards, size: int, seed: int, start: int = 0, pinned: bool = False
) -> Generator[Tensor]:
    """Batches (size · window, n) of bfloat16, without end.

    Args:
        shards: where the windows are.
        size: windows a batch; a batch may span shards.
        seed: decides the order.
        start: how many batches to leave out, for a run that is resumed.
        pinned: in memory from which a GPU copies by itself.
    """
    skip, filled = start * size, 0
    batch: Tensor | None = None
    for index, order in visits(shards.counts, seed):
        if skip >= len(order):
            skip -= len(order)
            continue
        shard, position, skip = shards.shard(index), skip, 0
        while position < len(order):
            if batch is None:
                shape = (size, *shard.shape[1:])
                batch, filled = torch.empty(shape, dtype=shard.dtype, pin_memory=pinned), 0
            rows = torch.from_numpy(order[position : position + size - filled])
            torch.index_select(shard, 0, rows, out=batch[filled : filled + len(rows)])
            position, filled = position + len(rows), filled + len(rows)
            if filled == size:
                yield batch.flatten(0, 1)
                batch = None


def sample(shards: Shards, count: int, seed: int) -> Tensor:
    """About `count` vectors (count, n) of the first shard, from whole windows, float32."""
    shard = shards.shard(0)
    windows = min(len(shard), -(-count // shard.shape[1]))
    rows = np.random.default_rng([seed]).choice(len(shard), windows, replace=False)
    return shard[torch.from_numpy(np.sort(rows))].float().flatten(0, 1)
