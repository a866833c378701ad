"""A copy of the checkout in which the tiny study is built once, and dry runs are read."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.workflow import forked

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


class Job(NamedTuple):
    """A rule and its wildcards, as a dry run prints them."""

    rule: str
    wildcards: str


def copy_checkout(to: Path, config: Path) -> Path:
    """What a clone has, with another config."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("featflow", "rules", "envs", "profiles"):
        shutil.copytree(ROOT / name, to / name, ignore=ignore)
    for link in ("local", "slurm"):
        (to / link).symlink_to(f"profiles/{link}")
    shutil.copy(ROOT / "Snakefile", to)
    shutil.copy(config, to / "workflow_config.yaml")
    return to


def snakemake(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the venv's snakemake, unactivated, as a user would."""
    return subprocess.run(
        [str(SNAKEMAKE), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def dry_run(folder: Path, *arguments: str, **environment: str) -> set[Job]:
    """The jobs that a dry run would run, the target `all` left out."""
    result = snakemake(folder, "-n", *arguments, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    text = result.stdout + result.stderr
    found = set()
    for block in re.split(r"\n(?=(?:local)?rule )", text):
        rule = re.match(r"(?:local)?rule (\w+):", block)
        if rule and rule[1] != "all":
            wildcards = re.search(r"wildcards: (.*)", block)
            found.add(Job(rule[1].split("_")[0], wildcards[1] if wildcards else ""))
    return found


def counts(jobs: set[Job]) -> Counter[str]:
    """How many jobs of each rule."""
    return Counter(job.rule for job in jobs)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A checkout in which the tiny study has been built to its last leaf: one for all workers."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / "built", root / "built.done"
    with open(root / "built.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            copy_checkout(folder, ROOT / "tests/workflow/tiny.yaml")
            with forked.server(root / "forked") as environment:
                result = snakemake(folder, "--profile", "local", **environment)
            assert result.returncode == 0, result.stdout + result.stderr
            done.touch()
    return folder


@pytest.fixture(scope="module")
def tiny(built, tmp_path_factory) -> Path:
    """A copy of it that a module's tests may edit."""
    return shutil.copytree(built, tmp_path_factory.mktemp("tiny") / "copy", symlinks=True)
