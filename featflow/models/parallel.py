"""Training in several processes at once, as torchrun starts them (runtime/torchrun.py).

Each holds the whole model and takes a share of every batch; torch's DistributedDataParallel
averages the gradients, so that all take the same step. The first process alone keeps checkpoints,
listens for signals and writes the outputs; the others follow it.
"""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from featflow.config.errors import FeatflowError
from featflow.runtime.checkpoints import Checkpoint, Checkpoints, Stop
from featflow.runtime.device import device
from featflow.runtime.torchrun import rank, world

PATIENCE = timedelta(days=30)
"""The first process may wait for another job's lock; torchrun notices who dies."""

NOTICED = 10.0
"""Seconds in which torchrun has surely seen that another process died (it looks every 0.1 s)."""


@contextmanager
def checkpoints(identity: str) -> Iterator[Checkpoints]:
    """The checkpoints of this work, whether one process does it or several."""
    if world() == 1:
        with Checkpoints(identity) as own:
            yield own
        return
    try:
        with _shared(identity) as own:
            yield own
    except RuntimeError:  # as it is raised where another process is gone
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(NOTICED)  # then torchrun ends this one, which has nothing to report
        raise


@contextmanager
def _shared(identity: str) -> Iterator[Checkpoints]:
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device().type == "cuda" else "gloo", timeout=PATIENCE
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # torchrun has it too, and sends SIGTERM to all
    if rank() == 0:
        with Checkpoints(identity) as first:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            yield Leader(first)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        yield Follower(identity)
    broadcast_int(0)  # the others wait until all is written
    distributed.destroy_process_group()


def broadcast_int(value: int) -> int:
    """What the first process says to all: none goes on before it has spoken."""
    said = torch.tensor([value])  # on the CPU: no GPU waits for it
    distributed.broadcast(said, 0)
    return int(said)


class Leader(Checkpoints):
    """The first process's: it decides, and tells the others."""

    def __init__(self, own: Checkpoints):
        self.own, self.folder = own, own.folder

    def latest(self) -> Checkpoint | None:
        """The newest readable checkpoint, which the others read, too."""
        found = self.own.latest()
        broadcast_int(found.step if found else -1)
        return found

    def due(self) -> bool:
        """Whether to save now."""
        return bool(broadcast_int(self.own.due()))

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write the state. Raises Stop after a signal, and the others end, too."""
        try:
            self.own.save(step, tensors, meta)
        except Stop:
            broadcast_int(1)
            raise
        broadcast_int(0)

    def clear(self, output: Any = None) -> None:
        """Delete what is no longer needed."""
        self.own.clear(output)


class Follower(Checkpoints):
    """Another process's: it reads what the first one has found, and writes nothing."""

    def latest(self) -> Checkpoint | None:
        """The checkpoint from which the first process goes on."""
        if (step := broadcast_int(0)) < 0:
            return None
        found = super().latest()
        if found is None or found.step != step:
            raise FeatflowError(f"{self.folder}: the state after step {step} cannot be read here")
        return found

    def due(self) -> bool:
        """Whether to save now."""
        return bool(broadcast_int(0))

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Wait until the first process has written the state; end where that stops, and says so."""
        if broadcast_int(0):
            raise SystemExit(1)


def share(batch: np.ndarray) -> tuple[np.ndarray, float]:
    """This process's rows of a batch (B, L), and what their mean loss counts in the batch's.

    A batch of fewer rows than processes leaves some without: those take one that counts nothing.
    """
    own = batch[rank() :: world()]
    return (own, len(own) / len(batch)) if len(own) else (batch[:1], 0.0)


def synchronised(module: torch.nn.Module) -> torch.nn.Module:
    """A module whose backward pass averages the gradients over all processes."""
    if world() == 1:
        return module
    return DistributedDataParallel(module, forward_sync_buffers=False)


def summed(value: Tensor) -> Tensor:
    """The sum of a scalar over all processes; a GPU makes it without being waited for."""
    if world() > 1:
        distributed.all_reduce(value)
    return value
