"""A lock on a file: held by one process, freed by the kernel when that dies, even by kill -9."""

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import IO

from featflow.config.errors import FeatflowError
from featflow.runtime.log import SECONDS_BETWEEN_LINES, log

SECONDS_BETWEEN_TRIES = 0.5
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


class NoLocks(FeatflowError):
    """The file system keeps no locks."""


def lock(path: Path) -> IO[str]:
    """Hold the lock on a file; where another process has it, wait, and say who has it.

    Returns:
        The open file, which names its holder; closing it frees the lock. Its name may be deleted
        while the lock is held.

    Raises:
        NoLocks: when the file system keeps no locks.
    """
    said = None
    while True:
        if file := try_lock(path):
            return file
        now = time.monotonic()
        if said is None or now - said >= SECONDS_BETWEEN_LINES:
            said = now
            log.info("%s is doing this very work: waiting for it (%s)", holder(path), path)
        time.sleep(SECONDS_BETWEEN_TRIES)


def holder(path: Path) -> str:
    """Who holds the lock, as its file says."""
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


def try_lock(path: Path) -> IO[str] | None:
    """The same, or None where another process has the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (it stays open as long as the lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in NO_LOCKS:
            raise NoLocks(
                f"{path}: its file system keeps no locks (Lustre does when mounted with -o flock); "
                "set FEATFLOW_CHECKPOINTS to a folder on a shared file system that does"
            ) from None
        if not isinstance(error, BlockingIOError):
            raise
        return None
    if not (path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())):
        file.close()  # its holder finished and deleted it between our open and our lock
        return None
    job = f" (SLURM job {number})" if (number := os.environ.get("SLURM_JOB_ID")) else ""
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename}{job}")
    file.flush()
    return file
