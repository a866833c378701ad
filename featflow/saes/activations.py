"""The SAEs' training data: a model's activations on windows of tokens, in shards.

One fixed sequence of blocks is the order of everything: the blocks of each corpus in a seeded
permutation, one block of each corpus in turn. Each block gives its windows; shard i is windows
[i·w, (i + 1)·w) of that sequence, w = shard_tokens // window. More tokens mean more shards, never
others, and every model of a study sees the same windows in the same order. Beside the activations a
shard says which tokens are rows of the SAE's data (data/windows.py), and how long each vector is.

Shapes: W windows, L tokens a block, n the width of the hook.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from featflow.artifacts.io import readable, settle
from featflow.artifacts.provenance import KEY, Provenance
from featflow.config.errors import FeatflowError
from featflow.data import tokenizer
from featflow.data import tokens as streams
from featflow.data.windows import are_rows, blocks, layout
from featflow.files import writable
from featflow.models.hooked import TOKENS_A_BATCH, HookedModel
from featflow.plan.slices import Windows
from featflow.plan.stages.saes import ActivationsSlice
from featflow.runtime.checkpoints import Checkpoints, Stop
from featflow.runtime.device import device
from featflow.runtime.log import log, progress


class Shortage(FeatflowError):
    """The corpora hold fewer tokens than the activations are to be made from."""


def block_order(counts: Sequence[int], seed: int) -> np.ndarray:
    """The sequence of all blocks: (Σ counts, 2) int64, each row a corpus and a block of it.

    Each corpus's blocks in a seeded permutation, one of each corpus in turn; a corpus that runs out
    leaves the others to continue.
    """
    turns = np.concatenate([np.arange(count) for count in counts])
    corpora = np.repeat(np.arange(len(counts)), counts)
    chosen = [np.random.default_rng([seed, i]).permutation(n) for i, n in enumerate(counts)]
    order = np.stack([corpora, np.concatenate(chosen)], axis=1)
    return order[np.lexsort((corpora, turns))].astype(np.int64)


class Blocks:
    """The fixed sequence of blocks of a study's corpora, and the windows in it."""

    def __init__(
        self, corpora: dict[str, np.ndarray], windows: Windows, seed: int, special: np.ndarray
    ):
        """Args: the token ids (N,) of each corpus, how windows are cut, the seed of the order, the
        ids of special tokens."""
        self._names = list(corpora)
        self._blocks = [blocks(ids, windows) for ids in corpora.values()]
        self._order = block_order([len(each) for each in self._blocks], seed)
        self.window = windows.window
        self.layout = layout(windows)
        self._windows, self._special = windows, special

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self._order) * self.layout.windows

    def require(self, count: int) -> None:
        """Check that there are `count` windows, and log the corpora that run out before.

        Raises:
            Shortage: when there are fewer.
        """
        if count > self.windows:
            raise Shortage(
                f"the training tokens of {', '.join(self._names)} give activations of "
                f"{self.windows * self.window:,} tokens, {count * self.window:,} are asked for; "
                "lower activations.tokens, or give the corpora more documents"
            )
        taken = np.bincount(self._order[: -(-count // self.layout.windows), 0])
        for name, each, used in zip(self._names, self._blocks, taken, strict=False):
            if used == len(each) and used < taken.max():
                log.info("corpus %s runs out after %d blocks; the others continue", name, used)

    def ids(self, start: int, stop: int) -> np.ndarray:
        """Blocks [start, stop) of the sequence: (stop − start, L)."""
        return np.stack([self._blocks[corpus][row] for corpus, row in self._order[start:stop]])

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Which tokens of windows [start, stop) of the sequence are rows: (W, window) bool."""
        per_block = self.layout.windows
        first = start // per_block
        ids = self.ids(first, -(-stop // per_block))
        found = are_rows(ids, self._windows, self._special).reshape(-1, self.window)
        return found[start - first * per_block : stop - first * per_block]

    def activations(self, model: HookedModel, start: int, stop: int) -> Iterator[Tensor]:
        """Windows [start, stop) of the sequence, in parts (W, window, n), bfloat16 on the CPU.

        The blocks of a forward pass are the same whatever is asked for, and so are the bits.
        """
        per_block, size = self.layout.windows, max(1, TOKENS_A_BATCH // self.layout.block)
        kept = self.layout.kept(self.window)
        for first in range(start // (per_block * size), -(-stop // (per_block * size))):
            head = first * size
            ids = torch.from_numpy(self.ids(head, head + size).astype(np.int64))
            found = model.activations(ids)[:, kept].reshape(-1, self.window, model.width)
            offset = head * per_block
            yield found[max(start - offset, 0) : stop - offset].to(torch.bfloat16).cpu()


def shard_range(shard: int, shard_tokens: int, tokens: int, window: int) -> tuple[int, int]:
    """The windows [start, stop) of a shard that holds `tokens` tokens."""
    start = shard * (shard_tokens // window)
    return start, start + tokens // window


class Shard(NamedTuple):
    """Windows of activations."""

    activations: Tensor
    """(W, window, n) bfloat16."""
    norms: Tensor
    """(W, window) float32: ‖x‖ of each."""
    rows: Tensor
    """(W, window) bool: whether the token is a row of the SAE's data."""


def whole(activations: Tensor) -> Shard:
    """A shard of which every token is a row: windows (W, window, n) bfloat16."""
    rows = torch.ones(activations.shape[:2], dtype=torch.bool)
    return Shard(activations, norms_of(activations), rows)


def norms_of(activations: Tensor) -> Tensor:
    """‖x‖ of activations (…, n): (…,) float32."""
    return activations.float().norm(dim=-1)


def write_shard(
    path: Path,
    parts: Callable[[int], Iterator[Tensor]],
    rows: np.ndarray,
    width: int,
    provenance: Provenance,
    checkpoints: Checkpoints,
) -> None:
    """Write a shard as safetensors, its activations one part after the other: memory for one part.

    (safetensors itself offers no way but to hold the whole tensor, twice.) A temporary file beside
    `path` grows; a checkpoint says how many of its windows are safe on the disk.

    Args:
        path: the shard.
        parts: given a number of windows, those behind them, in parts (W, window, n).
        rows: which tokens of all windows are rows (W, window).
        width: n.
        provenance: written into the file.
        checkpoints: of this very work.

    Raises:
        WriteError: when the disk is full.
        Stop: when a signal asked for the end; what is written stays.
    """
    temporary = path.with_name(f".{path.name}.{provenance.id()}.partial")
    try:
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for other in path.parent.glob(f".{path.name}.*.partial"):
                if other != temporary:  # of a shard with other settings, never to be finished
                    other.unlink()
            temporary.touch()
            with open(temporary, "r+b") as file:
                layout = _Layout(rows.shape, width, provenance)
                done = layout.taken_up(file, checkpoints)
                for part in parts(done):
                    file.write(part.contiguous().view(torch.int16).numpy().data)
                    layout.write_norms(file, done, norms_of(part))
                    done += len(part)
                    if checkpoints.due():
                        file.flush()
                        os.fsync(file.fileno())
                        checkpoints.save(done, {}, {})
                if done != len(rows):
                    raise ValueError(f"{path}: the parts do not add up to {len(rows)} windows")
                file.write(rows.data)
            settle(temporary, path)
    except Stop:
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _Layout:
    """Where the tensors of a shard lie in its file: norms, activations, rows."""

    def __init__(self, shape: tuple[int, ...], width: int, provenance: Provenance):
        """Args: W and window; n; what the file says of itself."""
        tokens = int(np.prod(shape))
        self._a_window = 2 * shape[1] * width
        self._norms, end = 4 * tokens, (4 + 2 * width) * tokens
        fields = {
            "__metadata__": {KEY: provenance.dumps()},
            "norms": {"dtype": "F32", "shape": shape, "data_offsets": [0, self._norms]},
            "activations": {
                "dtype": "BF16", "shape": [*shape, width], "data_offsets": [self._norms, end],
            },
            "rows": {"dtype": "BOOL", "shape": shape, "data_offsets": [end, end + tokens]},
        }  # fmt: skip
        head = json.dumps(fields).encode()
        head += b" " * (-len(head) % 8)
        self._head = struct.pack("<Q", len(head)) + head
        self._norms_a_window = 4 * shape[1]

    def taken_up(self, file: IO[bytes], checkpoints: Checkpoints) -> int:
        """How many windows of an earlier run the file holds; what is behind them is cut off."""
        begin = len(self._head) + self._norms
        found = checkpoints.latest()
        done = found.step if found else 0
        if file.seek(0, os.SEEK_END) < begin + done * self._a_window:
            done = 0
        if not done:
            file.seek(0)
            file.write(self._head)
        file.truncate(begin + done * self._a_window)
        file.seek(0, os.SEEK_END)
        return done

    def write_norms(self, file: IO[bytes], window: int, norms: Tensor) -> None:
        """Write norms (W, window) from this window on; the file stays where it is."""
        here = file.tell()
        file.seek(len(self._head) + window * self._norms_a_window)
        file.write(norms.numpy().data)
        file.seek(here)


def read_shard(path: Path) -> Shard:
    """A shard, mapped from its file.

    Raises:
        ArtifactError: when the file is missing, truncated or no shard.
    """
    with readable(path), safe_open(path, framework="pt") as file:
        if missing := sorted({*Shard._fields} - {*file.keys()}):
            raise ValueError(f"it has no tensor {', '.join(missing)}")
        shard = Shard(*(file.get_tensor(name) for name in Shard._fields))
        x = shard.activations
        if x.ndim != 3 or x.dtype != torch.bfloat16 or not len(x):
            raise ValueError(
                f"its activations are {x.dtype} {tuple(x.shape)}, not bfloat16 (W, L, n)"
            )
        if not shard.norms.shape == shard.rows.shape == x.shape[:2]:
            raise ValueError("its norms or rows are not of its windows")
        return shard


def load_blocks(
    names: list[str], tokens: list[Path], windows: Windows, seed: int, model: Path
) -> Blocks:
    """The sequence of blocks of these corpora, from their token files, in the same order.

    Raises:
        ArtifactError: when a file is missing or foreign, the model's tokenizer too.
    """
    ids = {name: streams.read(path).ids for name, path in zip(names, tokens, strict=True)}
    special = tokenizer.special_ids(tokenizer.load(model / "tokenizer.json"))
    return Blocks(ids, windows, seed, special)


def run(cfg: ActivationsSlice, *, model: Path, tokens: list[Path], output: Path) -> None:
    """Dump a shard of a model's activations.

    Args:
        cfg: the stage's slice.
        model: the model folder.
        tokens: the train tokens of each corpus, in the slice's order.
        output: the shard to write.

    Raises:
        Shortage: when the corpora hold too few tokens.
        HookError: when the model has no such hook.
    """
    provenance = Provenance("activations", cfg, [model, *tokens])
    sequence = load_blocks(cfg.corpora, tokens, cfg.windows, cfg.seed, model)
    start, stop = shard_range(cfg.shard, cfg.shard_tokens, cfg.tokens, cfg.windows.window)
    sequence.require(stop)
    hooked = HookedModel.load(model, cfg.hook, device())
    rows = sequence.rows(start, stop)

    def parts(done: int) -> Iterator[Tensor]:
        return progress(sequence.activations(hooked, start + done, stop), "batches")

    name = f"activations-{output.parents[1].name}-{output.parent.name}-{output.stem}"
    with Checkpoints(f"{name}-{provenance.id()}") as checkpoints:
        write_shard(output, parts, rows, hooked.width, provenance, checkpoints)
        checkpoints.clear()
    log.info(
        "%s: %d windows of %d tokens, %s of them rows",
        output.name,
        stop - start,
        cfg.windows.window,
        f"{rows.sum():,}",
    )
