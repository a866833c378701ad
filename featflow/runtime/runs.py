"""A run of the workflow leaves nothing behind: neither when it ends, nor when it is killed.

Each run keeps a record while it lives: host, process and when that process began. One that is
killed (kill -9, a lost connection, a full login node) leaves its record and Snakemake's locks on
the folder; the next run finds that the process is gone and clears them, so that the same command
simply goes on. Its SLURM jobs live on: those that run are waited for (runtime/locking.py), those
that still wait in the queue find no record of their run and end without touching anything.
"""

import atexit
import base64
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from featflow.config.errors import FeatflowError
from featflow.plan.programs import program
from featflow.runtime.locking import NoLocks, lock, try_lock
from featflow.runtime.log import checkpoints_root

VARIABLE = "FEATFLOW_RUN"
"""The record of the run to which a job belongs."""

FINISHED = "finished"
"""The file beside the last state of a piece of work whose output is written (checkpoints.py)."""


class Superseded(FeatflowError):
    """A job of a run that is over."""


def begin(folder: Path = Path(".snakemake")) -> None:
    """Record this run, and clear up after those that were killed. Undone when the process ends.

    Not where the file system keeps no locks: there a killed run's have to be cleared by hand.
    """
    records = (folder / "featflow" / "runs").absolute()
    with suppress(NoLocks), lock(records.with_suffix(".lock")):
        _record(folder, records)


def _record(folder: Path, records: Path) -> None:
    _clear_up(folder / "locks", records)
    own = records / f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}.json"
    records.mkdir(exist_ok=True)
    own.write_text(json.dumps(_this_process()), encoding="utf-8")
    os.environ[VARIABLE] = str(own)
    atexit.register(_end, own, os.getpid(), folder.absolute(), checkpoints_root().absolute())


def check() -> None:
    """In a job: whether its run still lives.

    Raises:
        Superseded: when it is over; another may have taken its place, and made the outputs.
    """
    own = os.environ.get(VARIABLE)
    if own and not Path(own).exists():
        raise Superseded(
            f"{own}: this job's run was killed and has been taken over since (or is over); the job "
            "ends here and changes nothing"
        )


def _end(own: Path, process: int, folder: Path, checkpoints: Path) -> None:
    """A run that ends by itself leaves no record, and no last state of what Snakemake has noted."""
    if os.getpid() != process:
        return  # a fork of it
    with suppress(OSError):
        own.unlink()
    _sweep(own.parent, folder)
    for mark in checkpoints.glob(f"*/{FINISHED}"):
        with suppress(OSError):  # another run has deleted it in the meantime
            output = mark.read_text(encoding="utf-8")
            if (folder.parent / output).exists() and not _incomplete(folder, output):
                _forget(mark.parent)


def _sweep(records: Path, folder: Path) -> None:
    """Delete what killed jobs left half-written (artifacts/io.py), once nobody writes."""
    unfinished = any(path.is_file() for path in folder.glob("incomplete/**/*"))
    if unfinished or any(records.glob("*.json")):
        return
    for path in list((folder.parent / "results").rglob(".*.tmp")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _incomplete(folder: Path, output: str) -> bool:
    """Whether Snakemake would make an output again: it has not heard of its job's end.

    (The names are those of snakemake.persistence.file.FilePersistence.)
    """
    name = base64.urlsafe_b64encode(output.encode()).decode()
    parts = [name[i : i + 254] for i in range(0, len(name), 254)]
    return folder.joinpath("incomplete", *(f"@{part}" for part in parts[:-1]), parts[-1]).exists()


def _forget(state: Path) -> None:
    """Delete the last state of a piece of work, unless a process is at it."""
    if held := try_lock(state / "lock"):
        with held:
            for file in state.iterdir():
                file.unlink()
            state.rmdir()


def _clear_up(locks: Path, records: Path) -> None:
    """Delete the records of runs that are gone, and Snakemake's locks where only those had any."""
    lives = {path: _lives(_read(path)) for path in records.glob("*.json")}
    gone = [path for path, known in lives.items() if known is False]
    held = list(locks.glob("*.lock"))
    if held and len(gone) < len(lives):  # another may hold them: Snakemake will say what it thinks
        for path in (path for path, known in lives.items() if known is None):
            where = "a run on another machine may hold the locks; if it is gone, delete this file"
            print(f"{path}: {where}, then: {program('snakemake')} --unlock", file=sys.stderr)
        return
    if held and gone:
        for file in held:
            file.unlink(missing_ok=True)
        print(f"The last run here was killed: its locks on {locks} are cleared.", file=sys.stderr)
    for path in gone:
        path.unlink(missing_ok=True)


def _read(path: Path) -> dict | None:
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


def _this_process() -> dict[str, object]:
    own = {"host": _host(), "process": os.getpid(), "began": _began(os.getpid())}
    return {**own, "job": os.environ.get("SLURM_JOB_ID")}


def _host() -> str:
    """This machine, or this container of it: where a process's number means that process."""
    name = os.uname().nodename
    with suppress(OSError):
        name += f" {os.readlink('/proc/self/ns/pid')}"
    return name


def _lives(said: dict | None) -> bool | None:
    """Whether the process that a record means still runs (None: that cannot be seen from here)."""
    if said is None:
        return None
    if said["host"] != _host():
        return _job_runs(said["job"]) if said["job"] else None
    try:
        os.kill(said["process"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return _began(said["process"]) == said["began"]


def _job_runs(job: str) -> bool | None:
    """Whether a SLURM job, in which a run was started, still runs (None: SLURM does not say)."""
    if job == os.environ.get("SLURM_JOB_ID"):
        return False  # it is this one, requeued
    asked = ["squeue", "--noheader", "--format=%T", f"--jobs={job}"]
    with suppress(OSError, subprocess.TimeoutExpired):
        found = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        if found.returncode == 0:
            return found.stdout.strip() in ("RUNNING", "COMPLETING", "SUSPENDED")
        if "Invalid job id" in found.stderr:  # forgotten
            return False
    return None


def _began(process: int) -> str | None:
    """When a process began, in ticks of this boot (None: it is dead, or the system has no /proc).

    (A number alone may belong to another process by now.)
    """
    with suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return None if stat[0] == "Z" else f"{stat[19]} of {boot}"
    return None
