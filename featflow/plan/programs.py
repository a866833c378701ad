"""How messages write a command, so that it works as typed.

A user's PATH may lack the environment that featflow runs in, or have another one's `snakemake`;
then the program is named with its folder (`.venv/bin/snakemake`). Inside a run PATH is changed
(plan/snapshot.py), and a config or a study may have been named: what a command needs is kept in the
environment, so that jobs know it too. What is written into artifacts stays plain, as their bytes
are the same on all machines (report/listing.py).
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

BIN, CONFIGS, STUDY = "FEATFLOW_BIN", "FEATFLOW_CONFIGS", "FEATFLOW_STUDY"
"""The programs' folder as it has to be typed (empty: they are on PATH), the config files that were
named instead of workflow_config.yaml, the study that a job is of."""

CONFIG = Path("workflow_config.yaml")


def snakemake(*words: str, profile: str = "local") -> str:
    """The command that lets Snakemake do something, such as `snakemake --profile local TARGET`.

    Args:
        words: targets, then options, as for a shell.
        profile: of this folder.
    """
    configs = shlex.split(os.environ.get(CONFIGS, ""))
    named = ["--configfile", *configs] if configs else []
    # An option that takes several words would take the targets too: it comes behind them.
    targets = [shlex.quote(word) for word in words]
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    named = [shlex.quote(word) for word in named]
    parts = [*targets[:first], *named, *targets[first:]]
    return " ".join([program("snakemake"), "--profile", profile, *parts])


def featflow(*words: str) -> str:
    """The command `featflow VERB …`; with the config file that was named."""
    configs = shlex.split(os.environ.get(CONFIGS, ""))
    named = ["--config", configs[-1]] if configs else []
    return " ".join([program("featflow"), *(shlex.quote(word) for word in (*words, *named))])


def fetch(study: str | None = None) -> str:
    """The command that fetches what a study (None: that of the job) has on the hub."""
    study = study or os.environ.get(STUDY)
    return snakemake("fetch", *(["--config", f"study={study}"] if study else []))


def program(name: str) -> str:
    """A program of this environment, as it has to be typed in the current folder."""
    return shlex.quote(os.environ.get(BIN, _folder()) + name)


def remember(configs: Iterable[Path | str] = ()) -> None:
    """Keep for later, and for the processes started from here, how commands are typed.

    Args:
        configs: the config files that the user has named.
    """
    os.environ.setdefault(BIN, _folder())
    named = [_short(Path(config)) for config in configs if Path(config) != CONFIG]
    if named:
        os.environ[CONFIGS] = shlex.join(named)


def _folder() -> str:
    """The folder of this interpreter's programs with a slash; empty where PATH leads to it."""
    own = Path(sys.executable).parent
    found = shutil.which("snakemake")
    if (found and Path(found).parent.samefile(own)) or not (own / "snakemake").exists():
        return ""
    linked = Path(".venv", "bin")  # as make setup makes it; the interpreter may be elsewhere
    return f"{linked if linked.exists() and linked.samefile(own) else _short(own)}/"


def _short(path: Path) -> str:
    """A path as it is typed: from the current folder on, where it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
