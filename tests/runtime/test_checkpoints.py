"""Checkpoints: what is saved comes back, one process holds them, a signal ends the work well."""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from featflow.runtime import locking, runs
from featflow.runtime.checkpoints import Checkpoints, Stop


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path))
    monkeypatch.delenv(runs.VARIABLE, raising=False)


def _state(step: int) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(step)
    return {
        "weights": torch.randn(3, 4, generator=rng),
        "half": torch.randn(5, generator=rng).bfloat16(),
        "turned": torch.randn(2, 6, generator=rng).T,
        "steps": torch.tensor(float(step)),
        "rng": rng.get_state(),
    }


def step_of(checkpoints: Checkpoints) -> int:
    found = checkpoints.latest()
    assert found is not None
    return found.step


def test_the_newest_state_comes_back_bit_for_bit():
    with Checkpoints("a") as checkpoints:
        assert checkpoints.latest() is None
        for step in (1, 2, 10):
            checkpoints.save(step, _state(step), {"log": [[step, 0.1]]})
    with Checkpoints("a") as checkpoints:
        found = checkpoints.latest()
        assert found is not None
        assert (found.step, found.meta) == (10, {"log": [[10, 0.1]]})
        expected = _state(10)
        assert found.tensors.keys() == expected.keys()
        assert all(torch.equal(found.tensors[key], expected[key]) for key in expected)
        assert len(list(checkpoints.folder.glob("*.safetensors"))) == 2


def test_a_truncated_checkpoint_is_passed_over():
    with Checkpoints("a") as checkpoints:
        checkpoints.save(1, _state(1), {})
        checkpoints.save(2, _state(2), {})
        newest = checkpoints.newest()
        assert newest is not None
        newest.write_bytes(newest.read_bytes()[:-7])
        assert step_of(checkpoints) == 1


def test_nothing_is_left_after_success():
    with Checkpoints("a") as checkpoints:
        checkpoints.save(1, _state(1), {})
        (checkpoints.folder / ".000000002.safetensors.1.tmp").write_text("half-written")
        checkpoints.clear(Path("results/a.json"))
    assert not checkpoints.folder.exists()


def test_under_snakemake_the_last_state_stays_until_it_is_noted(monkeypatch):
    monkeypatch.setenv(runs.VARIABLE, "a run's record")
    with Checkpoints("a") as checkpoints:
        checkpoints.save(1, _state(1), {})
        checkpoints.save(2, _state(2), {})
        (checkpoints.folder / ".000000002.safetensors.1.tmp").write_text("half-written")
        checkpoints.clear(Path("results/a.json"))
    names = sorted(path.name for path in checkpoints.folder.iterdir())
    assert names == ["000000002.safetensors", runs.FINISHED, "lock"]
    with Checkpoints("a") as again:
        assert step_of(again) == 2
        again.clear()  # short work: nothing is worth keeping
    assert not checkpoints.folder.exists()


@pytest.fixture
def said(monkeypatch):
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    monkeypatch.setattr(locking.log, "handlers", [handler])
    level = locking.log.level
    locking.log.setLevel(logging.INFO)
    monkeypatch.setattr(locking, "SECONDS_BETWEEN_TRIES", 0.02)
    yield records
    locking.log.setLevel(level)


def test_a_second_copy_waits_says_for_whom_and_goes_on_from_there(said, monkeypatch):
    monkeypatch.setattr(locking, "SECONDS_BETWEEN_LINES", 0.1)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    found = []

    def second():
        with Checkpoints("a") as checkpoints:
            found.append(step_of(checkpoints))

    with Checkpoints("a") as first:
        with Checkpoints("b"):
            pass  # other work is not held up
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.35)
        first.save(1, _state(1), {})
        assert not found
    thread.join(5)
    assert found == [1]
    waiting = [line for line in said if "waiting for it" in line]
    assert 3 <= len(waiting) <= 5
    assert f"process {os.getpid()} on {os.uname().nodename} (SLURM job 17) is doing" in waiting[-1]


def test_a_lock_whose_holder_has_cleared_up_is_taken_anew(said):
    with Checkpoints("a"):
        thread = threading.Thread(target=lambda: Checkpoints("a").__enter__().__exit__())
        thread.start()
        time.sleep(0.1)
    thread.join(5)
    assert not thread.is_alive() and not (Checkpoints("a").folder).exists()


def test_a_file_system_without_locks_is_named(monkeypatch):
    def none(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locking.fcntl, "flock", none)
    with pytest.raises(locking.NoLocks, match=r"a/lock: .*flock.*FEATFLOW_CHECKPOINTS"):
        Checkpoints("a").__enter__()


def test_time_makes_a_checkpoint_due(monkeypatch):
    with Checkpoints("a") as checkpoints:
        assert not checkpoints.due()
        monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")
        assert checkpoints.due()


def test_a_signal_makes_one_due_and_saving_stops():
    before = signal.getsignal(signal.SIGTERM)
    with Checkpoints("a") as checkpoints:
        os.kill(os.getpid(), signal.SIGTERM)
        assert checkpoints.due()
        with pytest.raises(Stop, match="SIGTERM received: stopped after step 7"):
            checkpoints.save(7, _state(7), {})
    assert signal.getsignal(signal.SIGTERM) is before
    assert checkpoints.newest() is not None


@pytest.fixture
def _ctrl_c():
    """Python's own handler: a job in the background inherits none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_slurm_may_say_sigterm_twice_but_a_second_ctrl_c_is_obeyed(_ctrl_c):
    with Checkpoints("a") as checkpoints:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            time.sleep(0.05)  # another thread may take it, and the handler runs a moment later
        assert checkpoints.due()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


def test_a_killed_process_frees_the_lock(said):
    code = (
        "import time; from featflow.runtime.checkpoints import Checkpoints\n"
        "with Checkpoints('a') as c: print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        threading.Timer(0.2, process.kill).start()
        with Checkpoints("a") as checkpoints:
            assert checkpoints.latest() is None
            assert process.wait(10) == -signal.SIGKILL
    assert any(f"process {process.pid} on" in line for line in said)
