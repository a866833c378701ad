"""What a measurement was made on, and when."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.programs import ROOT

PEERS = ("transformers", "sae-lens", "mergekit", "tokenizers", "scipy", "numba", "snakemake")
PAGES = ("docs/benchmarks.md", "docs/benchmarks.json")
"""What `make bench` writes: a change of these is none of the code."""


def column() -> str:
    """Which column of the aims is measured here: `gpu` where torch has one, else `cpu`."""
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def described() -> str:
    """Processor, cores, memory, GPU, Python and torch, in a line."""
    import torch

    parts = [
        _processor(),
        f"{len(os.sched_getaffinity(0))} cores",
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory",
        *([torch.cuda.get_device_name()] if torch.cuda.is_available() else ["no GPU"]),
        f"Python {platform.python_version()}",
        f"torch {torch.__version__} with {torch.get_num_threads()} threads",
    ]
    return ", ".join(parts)


def versions() -> str:
    """The peers that are installed, with their versions."""
    found = []
    for name in PEERS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} is not installed")
    return ", ".join(found)


def moment() -> str:
    """The day, and the commit of the code."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {commit()}"


def commit() -> str:
    """The commit of this checkout, and whether its code differs from that."""
    try:
        found = _git("rev-parse", "--short=10", "HEAD").strip()
        others = [f":!{page}" for page in PAGES]
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *others)
    except (OSError, subprocess.CalledProcessError):
        return "no commit known"
    return f"commit {found}{' with changes' if changed else ''}"


def busy() -> str:
    """What else the machine does: a warning, or nothing.

    A benchmark keeps a core or more for itself, so half of the cores is as much as may be taken.
    """
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load <= cores / 2:
        return ""
    return f"load {load:.1f} on {cores} cores when it began: figures are worse than they could be"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
