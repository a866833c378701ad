"""What an SAE is trained on: windows of activations, shard by shard, in a seeded order.

Shapes: W windows, n the width of the hook.
"""

import itertools
import math
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from featflow.artifacts.io import readable
from featflow.artifacts.provenance import named
from featflow.config.errors import FeatflowError
from featflow.config.saes import Activations
from featflow.models.hooked import HookedModel
from featflow.saes.activations import Blocks, Shard, norms_of, read_shard, shard_range

WINDOWS_AT_ONCE = 4096
"""Windows whose rows are looked up at once: bounds the memory."""


class NoRows(FeatflowError):
    """Nothing is left to train on."""


class Shards(Protocol):
    """The activations, whether they lie on the disk or are made when asked for."""

    counts: list[int]
    """Windows of each shard."""

    def shard(self, index: int) -> Shard:
        """A shard."""
        ...


class StoredShards:
    """Shards on the disk, mapped into memory."""

    def __init__(self, paths: list[Path]):
        """Args: the files, in order.

        Raises:
            ArtifactError: when a file is missing, truncated, or of another width than the first.
        """
        self._shards = [read_shard(path) for path in paths]
        expected = tuple(self._shards[0].activations.shape[1:])
        for path, shard in zip(paths, self._shards, strict=True):
            with readable(path):
                if (found := tuple(shard.activations.shape[1:])) != expected:
                    raise ValueError(
                        f"its windows have {found} numbers; those of {named(paths[0])} have "
                        f"{expected}"
                    )
        self.counts = [len(shard.rows) for shard in self._shards]

    def shard(self, index: int) -> Shard:
        """A shard."""
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

    def _make(self, index: int) -> Shard:
        start, stop = self._ranges[index]
        shape = stop - start, self._sequence.window
        made = Shard(
            torch.empty(*shape, self._model.width, dtype=torch.bfloat16),
            torch.empty(shape),
            torch.from_numpy(self._sequence.rows(start, stop)),
        )
        row = 0
        for part in self._sequence.activations(self._model, start, stop):
            some = slice(row, row + len(part))
            made.activations[some], made.norms[some] = part, norms_of(part)
            row += len(part)
        return made


class Position(NamedTuple):
    """Where a stream of batches goes on."""

    visit: int = 0
    """Shards visited before this one."""
    row: int = 0
    """Rows of this one that batches have had."""


START = Position()


class Batch(NamedTuple):
    """Rows (B, n), bfloat16, and where the stream goes on behind them."""

    rows: Tensor
    next: Position


def visits(counts: list[int], seed: int, start: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Shard after shard, without end: its index, and the order in which its windows are seen.

    Every pass over the shards has another order.
    """
    for visit in itertools.count(start):
        epoch, shard = divmod(visit, len(counts))
        yield shard, np.random.default_rng([seed, epoch, shard]).permutation(counts[shard])


def batches(
    shards: Shards,
    size: int,
    seed: int,
    start: Position = START,
    longest: float = math.inf,
    pinned: bool = False,
) -> Generator[Batch]:
    """Batches of rows, without end.

    Args:
        shards: where the windows are.
        size: rows a batch; a batch may span shards.
        seed: decides the order of the windows.
        start: where to begin, for a run that is resumed.
        longest: rows with a norm above this are left out.
        pinned: in memory from which a GPU copies by itself.

    Raises:
        NoRows: when a pass over all shards has no row.
    """
    batch: Tensor | None = None
    filled = empty = 0
    for visit, (index, order) in enumerate(visits(shards.counts, seed, start.visit), start.visit):
        shard, row = shards.shard(index), 0
        vectors = shard.activations.flatten(0, 1)
        skip = start.row if visit == start.visit else 0
        for windows in torch.from_numpy(order).split(WINDOWS_AT_ONCE):
            places = kept_rows(shard, longest, windows)
            done = min(max(skip - row, 0), len(places))
            while done < len(places):
                if batch is None:
                    shape = (size, vectors.shape[1])
                    batch, filled = torch.empty(shape, dtype=vectors.dtype, pin_memory=pinned), 0
                some = places[done : done + size - filled]
                torch.index_select(vectors, 0, some, out=batch[filled : filled + len(some)])
                done, filled = done + len(some), filled + len(some)
                if filled == size:
                    yield Batch(batch, Position(visit, row + done))
                    batch = None
            row += len(places)
        empty = 0 if row else empty + 1
        if empty == len(shards.counts):
            raise NoRows("no row is left to train on: all are special tokens, or outliers")


def kept_rows(shard: Shard, longest: float, order: Tensor) -> Tensor:
    """The rows of a shard's windows in this order, those with a norm above `longest` left out.

    Returns:
        Their places among all tokens of the shard: (R,) int64.
    """
    window = shard.rows.shape[1]
    too_long = (shard.norms > longest) & shard.norms.isfinite()  # bad numbers shall be met
    kept = (shard.rows & ~too_long)[order]
    places = order[:, None] * window + torch.arange(window)
    return places[kept]


def sample(shards: Shards, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """About `count` rows of the first shard, from whole windows.

    Returns:
        The vectors (N, n) float32, and their norms (N,).

    Raises:
        NoRows: when there is none.
    """
    shard = shards.shard(0)
    windows = min(len(shard.rows), -(-count // shard.rows.shape[1]))
    chosen = np.random.default_rng([seed]).choice(len(shard.rows), windows, replace=False)
    places = kept_rows(shard, math.inf, torch.from_numpy(np.sort(chosen)))
    if not len(places):
        raise NoRows(
            "no token of the windows is text: all are special, or the first of a block; set "
            "activations.special: keep, or a longer activations.window"
        )
    return shard.activations.flatten(0, 1)[places].float(), shard.norms.flatten()[places]
