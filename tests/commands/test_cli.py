"""The command line as a user meets it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from featflow.cli import EVERYDAY
from featflow.config import FeatflowError
from featflow.plan.stages import STAGES


def featflow(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "featflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_has_two_groups_and_every_verb(arguments):
    result = featflow(*arguments)
    everyday, stages = result.stdout.split("\nstages ")
    assert result.returncode == 0
    assert all(f"\n  {verb} " in stages for verb in STAGES)
    assert all(f"\n  {verb} " in everyday for verb in EVERYDAY)
    assert (
        "snakemake --profile local" in everyday and max(map(len, result.stdout.split("\n"))) <= 90
    )


def test_a_misspelt_verb():
    result = featflow("trian")
    assert result.returncode == 2 and "did you mean 'train'" in result.stderr


@pytest.mark.parametrize("verb", ["corpus", "flow"])
def test_help_of_a_stage_has_its_flags(verb):
    text = featflow(verb, "--help").stdout
    assert "--cfg JSON" in text and "--log FILE" in text
    assert {"corpus": "--selection", "flow": "--chains"}[verb] in text
    assert "(default: )" not in featflow("sae", "--help").stdout


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("check", ["[STUDY]", "--config FILE", "featflow check paper"]),
        ("menu", ["[STUDY]", "--stage STAGE", "--stale", "featflow menu demo --stage figure"]),
        (
            "init",
            ["NAME", "--folders", "--model", "--paper", "--set-default", "featflow init mine"],
        ),
        ("table", ["[STUDY]"]),
        ("schema", ["--markdown"]),
    ],
)
def test_help_of_a_command(verb, flags):
    result = featflow(verb, "--help")
    assert result.returncode == 0 and [flag for flag in flags if flag not in result.stdout] == []
    assert "{None}" not in result.stdout and "Args:" not in result.stdout


@pytest.mark.parametrize("verb", EVERYDAY)
def test_a_command_is_its_module_s_function(verb):
    module = importlib.import_module(f"featflow.commands.{verb}")
    assert callable(getattr(module, verb))


def test_an_error_is_a_message_with_the_remedy_in_terminal_and_log(tmp_path):
    log = tmp_path / "logs" / "x.log"
    result = featflow(
        "tokens",
        "--log",
        str(log),
        "--cfg",
        '{"corpus": "en", "split": "train", "study": "one"}',
        "--documents",
        "results/one/corpus/en/train.parquet",
        "--tokenizer",
        "nowhere.json",
        "--output",
        str(tmp_path / "out"),
    )
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "no such file" in result.stderr and log.read_text() in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ('{"corpus": "en"', "--cfg: not valid JSON"),
        (
            '{"corpus": "en", "splt": "train", "study": "one"}',
            "--cfg.splt: unknown key; did you mean",
        ),
        ('{"corpus": "en", "study": "one"}', "--cfg.split: missing"),
    ],
)
def test_a_wrong_slice_is_explained(cfg, words):
    paths = ("--documents", "a", "--tokenizer", "b", "--output", "c")
    result = featflow("tokens", "--cfg", cfg, *paths)
    assert result.returncode == 1 and words in result.stderr and "Traceback" not in result.stderr


def test_a_table_that_nothing_can_make_is_not_asked_for(tmp_path):
    from featflow.commands.table import table

    path = tmp_path / "w.yaml"
    path.write_text(
        "study: a\nstudies:\n  a:\n    corpora: {lu: {kind: generated, language: lua}}\n"
        "    tokenizer: {kind: bpe, corpora: [lu]}\n"
        "    models: {root: {kind: base, corpora: [lu]}}\n    saes: {main: {kind: relu}}\n"
    )
    with pytest.raises(FeatflowError, match="study a has no flow: no SAE is on a model and on"):
        table(config=path)


@pytest.mark.parametrize("verb", ["table", "check", "menu"])
def test_an_unknown_study(verb):
    result = featflow(verb, "dmo")
    assert result.returncode == 1 and "did you mean 'demo'" in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""


def test_check_says_all_that_is_wrong_at_once(tmp_path):
    text = Path("workflow_config.yaml").read_text()
    path = tmp_path / "w.yaml"
    path.write_text(
        text.replace("threshold: 0.8", "threshold: 1.3").replace("kind: slerp", "kind: slrp")
    )
    result = featflow("check", "--config", str(path))
    assert result.returncode == 1 and result.stdout == ""
    assert "studies.paper.flow.threshold" in result.stderr
    assert "studies.paper.models.luastories.method.kind: found 'slrp'" in result.stderr


def test_check_names_what_the_machine_lacks():
    environment = {k: v for k, v in os.environ.items() if k != "FEATFLOW_CORPORA"}
    command = [sys.executable, "-m", "featflow", "check", "desk"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    for corpus in ("babylm", "tinystories"):
        assert f"studies.desk.corpora.{corpus}.paths.0: the environment var" in result.stderr


def test_menu_of_an_unknown_stage():
    result = featflow("menu", "--stage", "saes")
    assert (
        result.returncode == 1
        and "--stage: no stage named 'saes'; did you mean 'sae'" in result.stderr
    )


def test_a_log_without_a_file():
    result = featflow("sae", "--log")
    assert result.returncode == 2 and "--log needs a file" in result.stderr


def test_a_reader_that_has_had_enough():
    command = f"{sys.executable} -m featflow schema | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert result.stdout == "{\n" and result.stderr == ""


@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("print('lua → stories, r ≥ 0.8 – not', '├─ é')", "lua -> stories, r >= 0.8 - not |-"),
        ("print('lone', '\\udcff')", "lone ?"),
    ],
)
def test_a_terminal_that_lacks_characters(surroundings, code, shown):
    program = f"from featflow import cli; cli.print_anything(); exec({code!a})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **surroundings})
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("latin-1").startswith(shown)


def test_commands_print_on_an_ascii_terminal(tmp_path):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "featflow", "check", "démo", "--config", "nö.yaml"]
    result = subprocess.run(command, capture_output=True, env=environment)
    assert result.returncode == 1 and b"Traceback" not in result.stderr
    assert b"n??.yaml: no such file" in result.stderr
    command = [sys.executable, "-m", "featflow", "menu", "--help"]
    result = subprocess.run(command, capture_output=True, env=environment)
    assert result.returncode == 0 and b"featflow menu demo" in result.stdout


@pytest.mark.parametrize("verb", ["--help", "schema --markdown", "check dmo 2>&1"])
def test_a_reader_that_is_gone(verb):
    command = f"{sys.executable} -m featflow {verb} | head -c 0"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert result.stdout == "" and "Error" not in result.stderr, result.stderr


def test_examples_name_the_program_as_it_is_typed():
    environment = {k: v for k, v in os.environ.items() if k != "FEATFLOW_BIN"}
    command = [sys.executable, "-m", "featflow", "check", "--help"]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**environment, "PATH": "/usr/bin:/bin"}
    )
    typed = next(line for line in result.stdout.splitlines() if line.endswith("check paper"))
    assert subprocess.run([*typed.split()[:1], "--version"], capture_output=True).returncode == 0
