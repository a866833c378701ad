"""Runs of Snakemake on the test cluster: started, watched, and struck down."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from tests.slurm.cluster import run as command
from tests.workflow.conftest import SNAKEMAKE

Found = TypeVar("Found")

QUICK = ("--slurm-init-seconds-before-status-checks", "4", "--latency-wait", "20")
"""The profile polls for a cluster whose jobs take hours."""

ENVIRONMENT = {"FEATFLOW_CHECKPOINT_SECONDS": "1", "OMP_THREAD_LIMIT": "2"}
"""A checkpoint a second; the profile's 8 cpus a job are not there."""


def wait_until(found: Callable[[], Found | None], seconds: float = 400) -> Found:
    """What `found` gives, once that is true.

    Raises:
        TimeoutError: when it never is.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    raise TimeoutError(f"{found.__qualname__}: not in {seconds} s")


class Run:
    """`snakemake --profile slurm` in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str):
        self.folder, self.arguments = folder, arguments
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Type the command (again)."""
        self.starts += 1
        with open(self.folder / f"output{self.starts}.txt", "w") as output:
            self.process = subprocess.Popen(
                [str(SNAKEMAKE), *self.arguments, "--profile", "slurm", *QUICK],
                cwd=self.folder,
                env={**os.environ, **ENVIRONMENT},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All that the commands have said."""
        files = sorted(self.folder.glob("output*.txt"))
        return "".join(file.read_text() for file in files)

    def ends(self, seconds: float = 900) -> int:
        """Wait for its end: the exit status."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """kill -9 of Snakemake, and of nothing else."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def jobs(self, state: str = "all") -> list[str]:
        """Its SLURM jobs, in the order in which they were submitted."""
        lines = command("squeue", "-h", f"--states={state}", "-o", "%i %Z").splitlines()
        return sorted(
            (line.split()[0] for line in lines if line.endswith(f" {self.folder}")), key=int
        )

    def trainer(self) -> psutil.Process | None:
        """The process that trains, once it has written a checkpoint."""
        if list(self.folder.glob(".featflow/checkpoints/*/0*.safetensors")):
            for process in psutil.process_iter(["cmdline", "cwd"]):
                command, folder = process.info["cmdline"] or [], process.info["cwd"]
                if folder == str(self.folder) and command[1:4] == ["-m", "featflow", "train"]:
                    return process
        return None


def copy(prepared: Path, to: Path) -> Path:
    """A folder of its own with all that is there so far."""
    shutil.copytree(prepared, to, symlinks=True)
    return to


def left_over(folder: Path) -> list[Path]:
    """What only a run needs, and must not stay."""
    patterns = (".featflow/checkpoints/*", "results/**/.*.tmp", ".snakemake/locks/*")
    runs = folder.glob(".snakemake/featflow/runs/*.json")
    return [*runs, *(path for pattern in patterns for path in folder.glob(pattern))]
