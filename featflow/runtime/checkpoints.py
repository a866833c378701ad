"""Checkpoints of a long computation, so that a killed or preempted job goes on where it was.

    with Checkpoints(f"{output.name}-{provenance.id()}") as checkpoints:   # locked from here on
        start = 0
        if found := checkpoints.latest():        # None on a first run
            restore(found.tensors, found.meta)   # tensors lie on the CPU
            start = found.step
        for step in range(start + 1, steps + 1):
            ...one step...
            if checkpoints.due():                # time is up, or SIGTERM came
                checkpoints.save(step, tensors, meta)   # raises Stop after a SIGTERM
        checkpoints.save(steps, tensors, meta)   # the last state: only the outputs are missing
        ...write the outputs...
        checkpoints.clear(handle)                # the output that is written last

`step` counts the steps that are done. `tensors` is a flat mapping of names to torch tensors (any
device, any dtype, no two sharing memory, a generator's `get_state()` too), `meta` anything that
JSON can hold. A checkpoint is one safetensors file in `runtime.log.checkpoints_root()`/identity,
written to a temporary name and renamed; the newest two are kept, and an unreadable one is passed
over for the one before it.

Under Snakemake `clear` keeps the last state until the run has ended and Snakemake has recorded the
job (runtime/runs.py): where Snakemake is killed in between, it deletes the outputs and starts the
job again, which then has only to write them again.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, NamedTuple, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from featflow.artifacts.io import written
from featflow.config.errors import FeatflowError
from featflow.files import writable
from featflow.runtime.locking import lock
from featflow.runtime.log import checkpoint_seconds, checkpoints_root, log
from featflow.runtime.runs import FINISHED, VARIABLE

KEPT = 2
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop(FeatflowError):
    """A signal asked for an end, and the state is in a checkpoint: the same command resumes."""


class Checkpoint(NamedTuple):
    """What was saved after `step` steps."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one piece of work, held by one process at a time."""

    def __init__(self, identity: str):
        """Args: identity: names exactly this work: its settings, inputs and code revision."""
        self.folder = checkpoints_root() / identity
        self._lock: IO[str] | None = None
        self._signal: str | None = None
        self._handlers: dict[int, Any] = {}
        self._saved = time.monotonic()

    def __enter__(self) -> Self:
        """Take the lock, waiting for whoever does this very work, and listen for signals.

        Raises:
            NoLocks: when the file system of the checkpoints keeps no locks.
        """
        with writable(self.folder / "lock"):
            self._lock = lock(self.folder / "lock")
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._asked) for number in SIGNALS}
        self._saved = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._unhook()
        if self._lock is not None:
            if not self._files():
                (self.folder / "lock").unlink(missing_ok=True)
                with suppress(OSError):  # a newcomer may have made its lock in it already
                    self.folder.rmdir()
            self._lock.close()

    def latest(self) -> Checkpoint | None:
        """The newest readable checkpoint (None: there is none)."""
        for path in self._files():
            try:
                found = _read(path)
            except (SafetensorError, ValueError, OSError, KeyError) as error:
                log.warning("%s: unreadable checkpoint, passed over: %s", path, error)
                continue
            log.info("resuming after step %d from %s", found.step, path)
            return found
        return None

    def newest(self) -> Path | None:
        """The file of the newest checkpoint (None: there is none)."""
        return next(iter(self._files()), None)

    def told(self) -> str:
        """Where the last good state lies: for the message of a run that has gone wrong."""
        newest = self.newest()
        if newest is None:
            return "there is no good checkpoint yet"
        return f"the last good checkpoint is that after step {int(newest.stem)}, {newest}"

    def due(self) -> bool:
        """Whether to save now: `checkpoint_seconds()` have passed, or a signal asks for the end."""
        return self._signal is not None or time.monotonic() - self._saved >= checkpoint_seconds()

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write the state after `step` steps.

        Raises:
            Stop: after writing, when a signal asked for the end.
        """
        path = self.folder / f"{step:09d}.safetensors"
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with written(path) as temporary:
            save_file(state, temporary, metadata={"meta": json.dumps({"step": step, **meta})})
            _to_disk(temporary)
        for old in self._files()[KEPT:]:
            old.unlink()
        self._saved = time.monotonic()
        if self._signal is not None:
            raise Stop(
                f"{self._signal} received: stopped after step {step}; "
                f"the state is in {path}, and running the same again resumes from it"
            )

    def clear(self, output: Path | None = None) -> None:
        """Delete what is no longer needed, now that the outputs are written.

        Args:
            output: the one that is written last, where the last state is worth keeping until
                Snakemake has noted it (None: it is not, since the work is short).
        """
        last = self.newest() if output and VARIABLE in os.environ else None
        for path in self.folder.iterdir():  # what a killed process left half-written, too
            if path not in (last, self.folder / "lock"):
                path.unlink()
        if last is not None:
            (self.folder / FINISHED).write_text(str(output), encoding="utf-8")

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"), reverse=True)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self._signal is None:
            self._signal = signal.Signals(number).name
            log.info("%s received: stopping after this step", self._signal)
        if number == signal.SIGINT:
            self._unhook()  # a second Ctrl-C ends the process at once; SLURM may send SIGTERM twice

    def _unhook(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        meta = json.loads(file.metadata()["meta"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    return Checkpoint(meta.pop("step"), tensors, meta)


def _to_disk(path: Path) -> None:
    """Flush to the disk before the rename, so that a power cut leaves no empty file."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
