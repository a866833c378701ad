"""Stages in processes of their own, and what each takes: seconds, CPU time, memory.

A server imports the libraries once and forks a child for every call, so that a stage of a tenth of
a second can be measured beside some six seconds of imports, and every call begins with the same
memory. Needs Linux.

Memory is what the kernel cannot take back: anonymous pages and shared ones (RssAnon + RssShmem),
sampled every few milliseconds. Pages of mapped files are left out: they are the disk's cache.
"""

import importlib
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

PRELOAD = (
    "pandas",
    "pyarrow.parquet",
    "scipy.sparse",
    "scipy.stats",
    "tyro",
    "torch",
    "transformers.models.mistral.modeling_mistral",
    "transformer_lens.model_bridge",
    "featflow.cli",
    "featflow.plan.slices",
)
"""What the server imports: not what the stages are made of, which may start threads."""

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "OMP_WAIT_POLICY": "PASSIVE",
    "FEATFLOW_LOG_LEVEL": "WARNING",
}

HEAP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "MALLOC_TRIM_THRESHOLD_": "262144",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""A heap that gives back to the kernel what is freed: peaks that can be compared."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}

SCRATCH = {"FEATFLOW_SCRATCH_BYTES": str(2**22)}
"""Small arrays go where large ones would, into files (featflow/runtime/scratch.py)."""

PERIOD = 0.003
"""Seconds between two samples of a process's memory."""


class Failed(Exception):
    """A call ended with an error; the message is its last words."""


class Measured(NamedTuple):
    """What a call took."""

    seconds: float
    cpu: float
    """Seconds of all its threads."""
    peak: int
    """Bytes of memory that are no file's, at most."""
    start: int
    """The same before the call: what the imports hold."""
    result: Any
    """What the function returned."""


def prepare(settings: dict[str, str] | None = None) -> None:
    """Start the server, with these variables in its environment; a process has one server."""
    before = dict(os.environ)
    os.environ.update({**SETTINGS, **(settings or {})})
    try:
        forkserver.set_forkserver_preload(list(PRELOAD))
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


def call(function: Callable[..., Any], *arguments: Any, folder: Path, **named: Any) -> Measured:
    """Call a function in a new process, in a folder.

    Args:
        function: of a module that can be imported.
        arguments, named: what can be pickled.
        folder: the working directory; .log in it is what the call says.

    Raises:
        Failed: when it ends with an error.
    """
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_child, args=(theirs, partial(function, *arguments, **named), str(folder))
    )
    process.start()
    theirs.close()
    try:
        ours.recv()
        start = peak = memory(process.pid)
        began = time.perf_counter()
        ours.send("go")
        while not ours.poll(PERIOD):
            peak = max(peak, memory(process.pid))
        seconds = time.perf_counter() - began
        with suppress(EOFError):
            peak = max(peak, memory(process.pid))
            good, cpu, result = ours.recv()
            ours.send("done")
            if good:
                return Measured(seconds, cpu, peak, start, result)
            raise Failed(result)
        process.join()
        raise Failed(f"{function.__qualname__} was ended (exit code {process.exitcode})")
    finally:
        ours.close()
        process.join()


def stage(words: list[str], folder: Path) -> Measured:
    """Run `featflow` with these words, as the workflow's rules do.

    Raises:
        Failed: with the log's last lines.
    """
    return call(_featflow, words, folder=folder)


def memory(pid: int | None) -> int:
    """Bytes of a process's memory that are no file's; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = [line.split() for line in lines if line.startswith(("RssAnon", "RssShmem"))]
    return sum(1024 * int(words[1]) for words in found)


def _featflow(words: list[str]) -> None:
    importlib.import_module("featflow.cli").main(words)


def _child(connection: Connection, function: Callable[[], Any], folder: str) -> None:
    os.chdir(folder)
    log = os.open(".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    sys.stdout.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    connection.send("ready")
    connection.recv()
    try:
        before = _cpu()
        result = function()
        found = True, _cpu() - before, result
    except BaseException as error:
        sys.stderr.flush()
        said = Path(".log").read_text(errors="replace")[-2000:]
        found = False, 0.0, f"{type(error).__name__}: {error}\n{said}"
    connection.send(found)
    connection.recv()  # the process lives until its memory has been read for the last time


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
