"""Snakemake itself is killed: the same command goes on, and nothing is left (more: torture.py)."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, SNAKEMAKE, copy_checkout, snakemake

pytestmark = pytest.mark.workflow

TARGET = "results/tiny/tokens/lua/train.safetensors"


def test_the_same_command_goes_on_after_a_kill(tmp_path: Path):
    folder = copy_checkout(tmp_path / "clone", ROOT / "tests/workflow/tiny.yaml")
    locks, records = folder / ".snakemake/locks", folder / ".snakemake/featflow/runs"
    with subprocess.Popen(
        [str(SNAKEMAKE), TARGET, "--profile", "local"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ},
    ) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("logs/tiny/corpus/*.log")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    assert list(locks.iterdir()) and list(records.iterdir())
    dry = snakemake(folder, "-n", TARGET, "--profile", "local")
    assert dry.returncode == 0 and "was killed: its locks" in dry.stderr
    result = snakemake(folder, TARGET, "--profile", "local")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / TARGET).is_file()
    assert not list(locks.glob("*")) and not list(records.iterdir())
