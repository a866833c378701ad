"""A run that is killed, diverges, or is started twice."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch

from featflow.artifacts.provenance import Provenance
from featflow.models import finetune, training
from featflow.runtime.checkpoints import Checkpoints
from tests.models.conftest import finetune_slice


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.fixture
def _every_step(monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")


def test_a_killed_process_resumes_to_the_bit(base, children, corpora, tmp_path):
    cfg = finetune_slice(["one"], epochs=3)
    code = (
        "import sys, time, torch; from pathlib import Path\n"
        "from featflow.plan.stages.models import FinetuneSlice\n"
        "from featflow.models import finetune, training\n"
        "torch.set_num_threads(1)\n"
        "advance = training._Run.advance\n"
        "def slow(self, ids): advance(self, ids); time.sleep(0.02)\n"
        "training._Run.advance = slow\n"
        "cfg = FinetuneSlice.model_validate_json(sys.argv[1])\n"
        "parent, tokens, output = map(Path, sys.argv[2:])\n"
        "finetune.run(cfg, parent=parent, tokens=[tokens], output=output)\n"
    )
    output = tmp_path / "one"
    arguments = [cfg.dumps(), str(base), str(corpora["one"]), str(output)]
    environment = {**os.environ, "FEATFLOW_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "checkpoints").glob("*/00000001*.safetensors")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert not output.exists()
    finetune.run(cfg, parent=base, tokens=[corpora["one"]], output=output)
    assert _bytes(output) == _bytes(children[0])


def test_a_run_that_diverges_names_the_step_and_what_to_try(base, corpora, tmp_path, monkeypatch):
    loss = training.next_token_loss

    def diverging(model, ids, dtype, calls=[]):  # noqa: B006 (a counter)
        calls.append(None)
        return loss(model, ids, dtype) * (torch.nan if len(calls) == 4 else 1)

    monkeypatch.setattr(training, "next_token_loss", diverging)
    with pytest.raises(training.TrainingError, match=r"became nan at step 4 of 16.*learning_rate"):
        finetune.run(
            finetune_slice(["one"]), parent=base, tokens=[corpora["one"]], output=tmp_path / "m"
        )
    assert not (tmp_path / "m").exists()


@pytest.mark.usefixtures("_every_step")
def test_the_last_good_checkpoint_survives_a_nan(base, corpora, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "ROWS", 1)  # the log alone would notice at the end
    loss = training.next_token_loss

    def diverging(model, ids, dtype, calls=[]):  # noqa: B006 (a counter)
        calls.append(None)
        return loss(model, ids, dtype) * (torch.nan if len(calls) == 4 else 1)

    monkeypatch.setattr(training, "next_token_loss", diverging)
    with pytest.raises(training.TrainingError, match=r"step 4 of 16.*000000003\.safetensors"):
        finetune.run(
            finetune_slice(["one"]), parent=base, tokens=[corpora["one"]], output=tmp_path / "m"
        )


def test_a_second_copy_waits_for_the_first(base, corpora, tmp_path):
    cfg, tokens = finetune_slice(["one"]), [corpora["one"]]
    identity = f"m-{Provenance('finetune', cfg, [base, *tokens]).id()}"
    given = {"parent": base, "tokens": tokens, "output": tmp_path / "m"}
    second = Thread(target=finetune.run, args=[cfg], kwargs=given, daemon=True)
    with Checkpoints(identity):
        second.start()
        second.join(1)
        assert second.is_alive() and not (tmp_path / "m").exists()
    second.join(60)
    assert (tmp_path / "m" / "config.json").is_file()


def test_a_job_started_again_after_its_end_trains_nothing(base, corpora, tmp_path, monkeypatch):
    """As where Snakemake was killed before it could note the end: it has deleted the outputs."""
    cfg, tokens, output = finetune_slice(["one"]), [corpora["one"]], tmp_path / "m"
    monkeypatch.setenv("FEATFLOW_RUN", "a run's record")
    finetune.run(cfg, parent=base, tokens=tokens, output=output)
    first = _bytes(output)
    shutil.rmtree(output)
    monkeypatch.setattr(training._Run, "advance", None)
    finetune.run(cfg, parent=base, tokens=tokens, output=output)
    assert _bytes(output) == first


def test_rows_are_few_and_their_losses_means(base, corpora, tmp_path, monkeypatch):
    cfg, tokens = finetune_slice(["one"]), [corpora["one"]]
    finetune.run(cfg, parent=base, tokens=tokens, output=tmp_path / "fine")
    monkeypatch.setattr(training, "ROWS", 5)
    finetune.run(cfg, parent=base, tokens=tokens, output=tmp_path / "coarse")
    fine = pd.read_parquet(tmp_path / "fine" / "training.parquet")
    coarse = pd.read_parquet(tmp_path / "coarse" / "training.parquet")
    assert coarse.step.tolist() == [4, 8, 12, 16]
    means = fine.loss.to_numpy().reshape(4, 4).mean(1)
    np.testing.assert_allclose(coarse.loss, means, rtol=1e-6)
    assert coarse.learning_rate.tolist() == fine.learning_rate[3::4].tolist()
