"""Checkpoints: what is saved comes back, one process holds them, a signal ends the work well."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from featflow.core.checkpoints import Checkpoints, Locked, Stop


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path))


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
        checkpoints.clear()
    assert not checkpoints.folder.exists()


def test_a_second_copy_is_refused_until_the_first_has_ended():
    with Checkpoints("a") as first:
        with pytest.raises(Locked, match=f"process {os.getpid()} on"):
            Checkpoints("a").__enter__()
        with Checkpoints("b"):
            pass
        first.save(1, _state(1), {})
    with Checkpoints("a") as second:
        assert step_of(second) == 1


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


def test_a_killed_process_frees_the_lock():
    code = (
        "import time; from featflow.core.checkpoints import Checkpoints\n"
        "with Checkpoints('a') as c: print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(Locked, match=f"process {process.pid} on"):
            Checkpoints("a").__enter__()
        process.kill()
        process.wait(10)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                with Checkpoints("a") as checkpoints:
                    assert checkpoints.latest() is None
                return
            except Locked:
                time.sleep(0.05)
    pytest.fail("the lock of a killed process was never freed")
