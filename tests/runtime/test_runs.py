"""What a run leaves: nothing when it ends; after a kill the next one clears it away."""

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from featflow.config.errors import ConfigError
from featflow.plan.requests import check, spread
from featflow.runtime import runs
from featflow.runtime.locking import NoLocks

RUN = "from featflow.runtime.runs import begin; begin(); print('begun', flush=True); input()"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(runs.VARIABLE, "")
    monkeypatch.setattr(atexit, "register", lambda *_: None)
    monkeypatch.delenv("FEATFLOW_CHECKPOINTS", raising=False)
    Path(".snakemake/locks").mkdir(parents=True)
    return tmp_path / ".snakemake"


@pytest.fixture
def begun():
    """Another process that has begun a run here."""
    found = []

    def start() -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        found.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        return process

    yield start
    for process in found:
        process.kill()
        process.communicate()


def locks(folder: Path) -> list[Path]:
    return sorted((folder / "locks").iterdir())


def take_locks(folder: Path) -> None:
    for name in ("0.input.lock", "0.output.lock"):
        (folder / "locks" / name).write_text("results/a\n")


def records(folder: Path) -> list[Path]:
    return sorted((folder / "featflow" / "runs").glob("*.json"))


def test_a_run_that_ends_leaves_no_record(folder, begun):
    process = begun()
    assert len(records(folder)) == 1
    process.communicate(b"\n")
    assert records(folder) == []


def test_the_locks_of_a_killed_run_are_cleared_and_said(folder, begun, capsys):
    process = begun()
    take_locks(folder)
    process.kill()
    process.wait()
    runs.begin()
    assert locks(folder) == []
    assert "was killed: its locks" in capsys.readouterr().err
    assert records(folder) == [Path(os.environ[runs.VARIABLE])]


def test_a_zombie_is_dead(folder, begun):
    process = begun()
    take_locks(folder)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    runs.begin()
    assert locks(folder) == []


def test_the_locks_of_a_live_run_are_not_touched(folder, begun, capsys):
    begun()
    take_locks(folder)
    runs.begin()
    assert len(locks(folder)) == 2 and len(records(folder)) == 2
    assert capsys.readouterr().err == ""


def test_one_live_run_keeps_the_locks_of_all(folder, begun):
    dead = begun()
    begun()
    take_locks(folder)
    dead.kill()
    dead.wait()
    runs.begin()
    assert len(locks(folder)) == 2 and len(records(folder)) == 3


@pytest.mark.parametrize("said", [{"host": "elsewhere"}, {"began": "long ago"}])
def test_another_machine_and_a_reused_number(folder, begun, said):
    """What runs elsewhere cannot be seen; a process of this number that began later is another."""
    process = begun()
    take_locks(folder)
    record = records(folder)[0]
    record.write_text(json.dumps({**json.loads(record.read_text()), **said}))
    runs.begin()
    assert len(locks(folder)) == (2 if "host" in said else 0)
    assert process.poll() is None


@pytest.mark.parametrize(
    ("says", "own", "cleared"),
    [
        ("echo RUNNING", "9", False),
        ("echo CANCELLED", "9", True),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "9", True),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "9", False),
        ("echo RUNNING", "8", True),  # requeued, on another node
    ],
)
def test_a_run_that_was_a_slurm_job_elsewhere(folder, monkeypatch, says, own, cleared):
    squeue = folder / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\n[ $3 = --jobs=8 ] || exit 1\n{says}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", own)
    take_locks(folder)
    record = folder / "featflow" / "runs" / "elsewhere.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"host": "node17", "process": 1, "began": "then", "job": "8"}))
    runs.begin()
    assert (locks(folder) == []) == (not record.exists()) == cleared


def test_locks_without_a_record_are_snakemakes_business(folder):
    take_locks(folder)
    runs.begin()
    assert len(locks(folder)) == 2


def test_a_run_on_another_login_node_is_named(folder, capsys):
    take_locks(folder)
    record = folder / "featflow" / "runs" / "elsewhere.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"host": "login2", "process": 1, "began": "then", "job": None}))
    runs.begin()
    assert len(locks(folder)) == 2 and record.exists()
    assert "elsewhere.json: a run on another machine" in capsys.readouterr().err


def test_without_file_locks_a_run_goes_on_unrecorded(folder, monkeypatch):
    def none(path):
        raise NoLocks("none here")

    monkeypatch.setattr(runs, "lock", none)
    runs.begin()
    assert os.environ[runs.VARIABLE] == "" and records(folder) == []
    runs.check()


def test_a_job_of_a_run_that_is_over_ends(folder):
    runs.begin()
    runs.check()
    Path(os.environ[runs.VARIABLE]).unlink()
    with pytest.raises(runs.Superseded, match="changes nothing"):
        runs.check()


LONG = "results/study/sae/" + "m" * 200 + "/main/cfg.json"


@pytest.mark.parametrize("output", ["results/a/models/base/config.json", LONG])
@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_last_state_goes_once_snakemake_has_noted_the_job(folder, output, noted, there):
    from snakemake.persistence.file import FilePersistence

    state = Path(".featflow/checkpoints/work")
    state.mkdir(parents=True)
    for name, text in ((runs.FINISHED, output), ("lock", ""), ("000000009.safetensors", "x")):
        (state / name).write_text(text)
    if there:
        Path(output).parent.mkdir(parents=True)
        Path(output).write_text("{}")
    if not noted:
        FilePersistence()._mark_incomplete(output, None)
    own = folder / "record"
    runs._end(own, os.getpid(), folder, Path(".featflow/checkpoints"))
    assert state.exists() == (not (noted and there))


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize("others", [False, True])
def test_half_written_files_go_once_nobody_writes(folder, unfinished, others):
    left = Path("results/a/models/.base.17.tmp/config.json")
    half = Path("results/a/sweep/.merged.parquet.18.tmp")
    kept = [Path("results/a/sweep/merged.parquet"), Path("results/a/.0.safetensors.id.partial")]
    for path in (left, half, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    runs.begin()
    own = Path(os.environ[runs.VARIABLE])
    if others:
        own.with_name("other.json").write_text("{}")
    if unfinished:
        (folder / "incomplete").mkdir()
        (folder / "incomplete" / "cmVzdWx0cy9h").write_text("")
    runs._end(own, os.getpid(), folder, Path(".featflow/checkpoints"))
    assert half.exists() == left.exists() == (unfinished or others)
    assert all(path.exists() for path in kept) and not own.exists()


def test_what_is_asked_for_features_goes_to_every_study():
    found = spread({"train": 1, "features": 2, "features_b": 3}, ["a", "b"])
    assert found == {"train": 1, "features_a": 2, "features_b": 3}


@pytest.mark.parametrize(
    ("resources", "threads", "words"),
    [
        ({"trian": {"gpu": 1}}, [], "no rule named 'trian'; did you mean 'train'"),
        ({}, ["sea"], "set-threads: no rule named 'sea'; did you mean 'sae'"),
        ({"sae": {"mem_gb": 1}}, [], "sae: no resource named 'mem_gb'; did you mean 'mem_mb'"),
    ],
)
def test_a_misspelt_request_is_said(resources, threads, words):
    check({"sae": {"gpu": 1}}, ["train"], ["train", "sae"])
    with pytest.raises(ConfigError, match=words):
        check(resources, threads, ["train", "sae"])
