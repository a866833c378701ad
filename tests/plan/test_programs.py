"""Commands in messages: what a user would have to type here."""

import subprocess
import sys
from pathlib import Path

import pytest

from featflow.plan import programs

HERE = Path(sys.executable).parent


@pytest.fixture
def path(monkeypatch):
    """path(folders): PATH, and nothing remembered of another one."""

    def set_to(*folders: Path) -> None:
        monkeypatch.delenv(programs.BIN, raising=False)
        monkeypatch.setenv("PATH", ":".join(map(str, folders)))

    return set_to


def stranger(folder: Path) -> Path:
    """A folder with another environment's snakemake."""
    folder.mkdir()
    (folder / "snakemake").write_text("#!/bin/sh\n")
    (folder / "snakemake").chmod(0o755)
    return folder


def test_a_program_that_path_leads_to_is_named_alone(path):
    path(HERE)
    assert programs.snakemake("x") == "snakemake --profile local x"


@pytest.mark.parametrize("shadowed", [False, True])
def test_another_one_or_none_on_path(path, tmp_path, monkeypatch, shadowed):
    path(*([stranger(tmp_path / "other")] if shadowed else []), "/usr/bin", "/bin")
    monkeypatch.chdir(tmp_path)
    assert programs.program("featflow") == f"{HERE}/featflow"
    (tmp_path / ".venv").symlink_to(HERE.parent)
    command = programs.program("snakemake")
    assert command == ".venv/bin/snakemake"
    shown = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert shown.returncode == 0 and shown.stdout.startswith("9.")


def test_what_was_typed_first_holds_inside_a_run(path, tmp_path, monkeypatch):
    """The Snakefile puts the environment on PATH, for the jobs alone (plan/snapshot.py)."""
    from featflow.plan.snapshot import use_this_checkout

    path()
    monkeypatch.setenv("PYTHONPATH", "")
    (tmp_path / ".venv").symlink_to(HERE.parent)
    monkeypatch.chdir(tmp_path)
    programs.remember()
    use_this_checkout(str(tmp_path))
    assert programs.program("featflow") == ".venv/bin/featflow"


def test_the_config_that_was_named_is_in_every_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    programs.remember([programs.CONFIG])
    assert programs.featflow("menu") == "featflow menu"
    programs.remember([tmp_path / "my own.yaml"])
    assert programs.featflow("menu") == "featflow menu --config 'my own.yaml'"
    assert programs.snakemake("a/b", "--forcerun", "a/b") == (
        "snakemake --profile local a/b --configfile 'my own.yaml' --forcerun a/b"
    )


def test_what_is_fetched_is_the_job_s_study(monkeypatch):
    assert programs.fetch() == "snakemake --profile local fetch"
    monkeypatch.setenv(programs.STUDY, "paper")
    assert programs.fetch() == "snakemake --profile local fetch --config study=paper"
