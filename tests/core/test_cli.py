"""The command line as a user meets it."""

import subprocess
import sys

import pytest

from featflow.core.stages import STAGES


def featflow(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "featflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_help_lists_every_stage():
    text = featflow("--help").stdout
    assert all(f"\n  {verb} " in text for verb in STAGES)


def test_a_misspelt_verb():
    result = featflow("trian")
    assert result.returncode == 2 and "did you mean 'train'" in result.stderr


@pytest.mark.parametrize("verb", ["corpus", "flow"])
def test_help_of_a_stage_has_its_flags(verb):
    text = featflow(verb, "--help").stdout
    assert "--cfg" in text and {"corpus": "--selection", "flow": "--edges"}[verb] in text


def test_an_error_is_a_message_with_the_remedy_in_terminal_and_log(tmp_path):
    log = tmp_path / "logs" / "x.log"
    result = featflow(
        *(
            "tokens",
            "--log",
            str(log),
            "--cfg",
            '{"corpus": "en", "split": "train", "study": "one"}',
        ),
        *("--documents", "results/one/corpus/en/train.parquet", "--tokenizer", "nowhere.json"),
        *("--output", str(tmp_path / "out")),
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


def test_table_of_an_unknown_study():
    result = featflow("table", "dmo")
    assert result.returncode == 1 and "did you mean 'demo'" in result.stderr
