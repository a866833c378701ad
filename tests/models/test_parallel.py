"""Two processes train as one does: on two CPUs here, by the way that several GPUs go."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from featflow.config.errors import ConfigError, FeatflowError
from featflow.models import finetune, parallel
from featflow.runtime import torchrun
from tests.models.conftest import finetune_slice

SETTINGS = {"batch": 9, "epochs": 3}  # 125 blocks: an odd share, and a last batch of 6


def command(cfg, parent: Path, tokens: Path, output: Path, log: Path) -> list[str]:
    """As the rule gives it."""
    files = ["--parent", str(parent), "--tokens", str(tokens), "--output", str(output)]
    return [
        sys.executable,
        "-m",
        "featflow",
        "finetune",
        "--log",
        str(log),
        "--cfg",
        cfg.dumps(),
        *files,
    ]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "FEATFLOW_GPUS": "finetune=2", "OMP_NUM_THREADS": "1", **more}


@pytest.fixture(scope="module")
def alone(base, corpora, tmp_path_factory) -> Path:
    """The model that one process makes."""
    output = tmp_path_factory.mktemp("alone") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_CHECKPOINTS", str(output.parent / "checkpoints"))
        patch.setenv("FEATFLOW_DEVICE", "cpu")
        cfg = finetune_slice(["one"], **SETTINGS)
        finetune.run(cfg, parent=base, tokens=[corpora["one"]], output=output)
    return output


def assert_alike(found: Path, wanted: Path) -> None:
    """Closer than bfloat16 could be: the sums' order alone differs."""
    tables = [pd.read_parquet(m / "training.parquet") for m in (found, wanted)]
    pd.testing.assert_frame_equal(*tables, rtol=2e-4)
    weights = [load_file(m / "model.safetensors") for m in (found, wanted)]
    for name, value in weights[1].items():
        np.testing.assert_allclose(weights[0][name], value, atol=2e-3, err_msg=name)


def test_a_run_stopped_and_resumed_by_two_processes_ends_as_one_does(
    base, corpora, tmp_path, alone
):
    cfg = finetune_slice(["one"], **SETTINGS)
    output, log = tmp_path / "m", tmp_path / "log"
    arguments = command(cfg, base, corpora["one"], output, log)
    checkpoints = tmp_path / "checkpoints"
    with subprocess.Popen(
        arguments,
        env=environment(FEATFLOW_CHECKPOINT_SECONDS="0.2"),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 90
        while not list(checkpoints.glob("*/*.safetensors")):
            assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # as SLURM may
        process.communicate(timeout=60)
    assert process.returncode == 1 and not output.exists()
    assert "SIGTERM received: stopped after step" in log.read_text()
    subprocess.run(arguments, env=environment(), check=True, timeout=90)
    assert "resuming after step" in log.read_text()
    assert log.read_text().count("parameters") == 1
    assert_alike(output, alone)
    assert not any(checkpoints.iterdir())


def test_a_process_that_fails_is_named_and_ends_the_others(base, corpora, tmp_path):
    cfg = finetune_slice(["one"], **SETTINGS)
    arguments = command(cfg, base, corpora["one"], tmp_path / "m", tmp_path / "log")
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('RANK') == '1':\n"
        "    import numpy as np\n"
        "    take = np.divmod\n"
        "    def divmod(*args): take(*args); os._exit(7)\n"
        "    np.divmod = divmod\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    own = environment(PYTHONPATH=path, TMPDIR=str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    found = subprocess.run(arguments, env=own, capture_output=True, text=True, timeout=90)
    assert found.returncode == 1 and not (tmp_path / "m").exists()
    assert "finetune: process 2 of 2 failed first, with exit code 7" in found.stderr
    assert not list((tmp_path / "tmp").iterdir())
    assert "fault of featflow" not in found.stderr  # the other one has lost it, and is silent


@given(st.integers(1, 9), st.integers(1, 6))
def test_shares_are_a_batch_and_count_as_much_as_their_rows(rows, processes):
    batch = np.arange(rows * 3).reshape(rows, 3)
    found, counted, mean = [], 0.0, 0.0
    with pytest.MonkeyPatch.context() as patch:
        for number in range(processes):
            patch.setattr(parallel, "rank", lambda number=number: number)
            patch.setattr(parallel, "world", lambda: processes)
            own, part = parallel.share(batch)
            assert len(own)
            counted, mean = counted + part, mean + part * own.mean()
            found += own.tolist() if part else []
    assert sorted(found) == batch.tolist()
    assert counted == pytest.approx(1) and mean == pytest.approx(batch.mean())


def test_what_the_profile_asks_for_reaches_the_stage(monkeypatch):
    asked = {"train": {"gpu": "4", "mem_mb": 1}, "finetune": {"gpu": 1}, "sae": {"gpu": 2}}
    monkeypatch.setenv(torchrun.VARIABLE, torchrun.request(asked))
    assert [torchrun.asked(stage) for stage in ("train", "finetune", "sae")] == [4, 1, 1]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")  # in one of the four
    assert torchrun.asked("train") == 1
    with pytest.raises(ConfigError, match="set-resources: train: gpu is 'many'"):
        torchrun.request({"train": {"gpu": "many"}})


def test_more_gpus_than_there_are_is_an_error(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("FEATFLOW_DEVICE")
    with pytest.raises(FeatflowError, match="4 GPUs are asked for, and 2 can be seen"):
        torchrun.spread("train", [], 4)
