"""Two runs in one folder: the second is refused with what to do, the first goes on to its end."""

import os
import signal
import subprocess
import time

import pytest

from featflow.artifacts.io import load_table
from featflow.plan import paths
from tests.bad_input.conftest import TINY
from tests.workflow.conftest import SNAKEMAKE, copy_checkout, snakemake

pytestmark = pytest.mark.workflow
TARGET = paths.CORPUS.at(study="tiny", corpus="lua", split="train")
LOG = "logs/tiny/corpus/lua.log"


def test_a_second_run_is_refused_and_the_first_goes_on(tmp_path):
    checkout = copy_checkout(tmp_path, TINY)
    command = [str(SNAKEMAKE), TARGET, "--profile", "local"]
    first = subprocess.Popen(
        command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (checkout / LOG).exists():  # its job has begun
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGSTOP)  # it shall not be done before the second begins
        second = snakemake(checkout, TARGET, "--profile", "local")
        os.killpg(first.pid, signal.SIGCONT)
        said = first.communicate(timeout=120)[0]
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    refusal = second.stdout + second.stderr
    assert second.returncode != 0
    assert "cannot be locked" in refusal and "--unlock" in refusal, refusal
    assert first.returncode == 0, said
    assert len(load_table(checkout / TARGET)) > 50
