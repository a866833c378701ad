"""What Snakemake says of a study: its targets, and the jobs it would run. Never a second engine.

Snakemake is run as `--summary` and as a dry run, of a snapshot of the config under the variable
that a cluster's jobs use (plan/snapshot.py), so that any config file can be asked about. Nothing is
locked and nothing is built.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from featflow.config import FeatflowError, Workflow
from featflow.plan.snapshot import VARIABLE

NOISE = ("Using profile", "Config file ", "Building DAG", "Assuming unrestricted")
"""How lines begin that Snakemake prints whatever happens."""

UP_TO_DATE, NOT_MADE, ON_REQUEST = "up to date", "not made", "on request"
OUT_OF_DATE = "out of date"


class Target(NamedTuple):
    """A file that the config makes possible."""

    path: str
    stage: str
    state: str
    """In words: one of the above; `out of date` with Snakemake's reason."""
    pending: bool
    """Whether Snakemake would make it now."""


class Jobs(NamedTuple):
    """How many jobs of a stage Snakemake would run now, and how many there are."""

    pending: int
    total: int


def targets(workflow: Workflow, study: str, more: Sequence[str] = ()) -> list[Target]:
    """Every output of the study's jobs, by `snakemake --summary`; then what `more` adds to them.

    Args:
        workflow: the checked config.
        study: which study.
        more: targets that no leaf of the study needs; those not made yet are `on request`.

    Raises:
        FeatflowError: when Snakemake cannot plan the study, with what it says.
    """
    asked = [("--summary",), *([("--summary", "all", *more)] if more else [])]
    printed = _snakemake(workflow, study, asked)
    found = {t.path: t for t in map(_target, _rows(printed[0]))}
    added = {t.path: t for t in map(_target, _rows(printed[-1])) if t.path not in found}
    order = {path: i for i, path in enumerate(more)}
    for target in sorted(added.values(), key=lambda t: order.get(t.path, len(order))):
        made = target.state != NOT_MADE
        found[target.path] = target if made else target._replace(state=ON_REQUEST, pending=False)
    return list(found.values())


def jobs(workflow: Workflow, study: str) -> dict[str, Jobs]:
    """Jobs by stage, by two dry runs: one as things are, one as if nothing were made yet.

    Raises:
        FeatflowError: when Snakemake cannot plan the study, with what it says.
    """
    dry = ("--dry-run", "--quiet", "rules", "host")
    now, all_of_them = map(_statistics, _snakemake(workflow, study, [dry, (*dry, "--forceall")]))
    return {stage: Jobs(now.get(stage, 0), total) for stage, total in all_of_them.items()}


def dry_run(workflow: Workflow, study: str, *asked: str) -> str:
    """What `snakemake --dry-run` prints.

    Args:
        workflow: the checked config.
        study: which study is the default.
        asked: targets, then options.

    Raises:
        FeatflowError: when Snakemake cannot plan it, with what it says.
    """
    return _snakemake(workflow, study, [(*asked, "--dry-run", "--quiet", "host")])[0]


def _snakemake(workflow: Workflow, study: str, calls: list[tuple[str, ...]]) -> list[str]:
    """What each call prints; the calls run side by side."""
    if not Path("Snakefile").is_file():
        raise FeatflowError(
            "no Snakefile here: run this in featflow's folder, beside the Snakefile"
        )
    with tempfile.TemporaryDirectory(prefix="featflow-") as folder, ThreadPoolExecutor() as pool:
        snapshot = Path(folder, "config.json")
        content = {**workflow.model_dump(mode="json"), "study": study}
        snapshot.write_text(json.dumps(content), encoding="utf-8")
        profile = ["--profile", "local"] if Path("local").is_dir() else []
        command = [sys.executable, "-m", "snakemake", *profile, "--nolock"]
        environment = {**os.environ, VARIABLE: str(snapshot), "PYTHONIOENCODING": "utf-8"}

        def call(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
            words = [*command, *arguments]
            return subprocess.run(
                words, env=environment, capture_output=True, encoding="utf-8", errors="replace"
            )

        done = list(pool.map(call, calls))
    for result in done:
        if result.returncode:
            raise FeatflowError(f"Snakemake cannot plan study {study}:\n{_message(result)}")
    return [result.stdout for result in done]


def _message(result: subprocess.CompletedProcess[str]) -> str:
    """What went wrong, without the lines around it."""
    lines = (result.stdout + result.stderr).splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith(NOISE)]
    cut = next((i for i, line in enumerate(kept) if line.startswith("Traceback")), len(kept))
    return "\n".join(kept[:cut] or kept)


def _rows(printed: str) -> list[dict[str, str]]:
    """The lines of `--summary` by their columns' names."""
    lines = [line.split("\t") for line in printed.splitlines()]
    head = next((i for i, cells in enumerate(lines) if cells[0] == "output_file"), None)
    if head is None:
        raise FeatflowError("Snakemake's --summary does not look as expected: another version?")
    return [dict(zip(lines[head], cells, strict=True)) for cells in lines[head + 1 :]]


def _target(row: dict[str, str]) -> Target:
    pending, status = row["plan"] != "no update", row["status"]
    if row["date"] == "-":
        state = NOT_MADE if pending else f"{NOT_MADE}, and nothing needs it"
    elif pending:  # with status ok, what it is made from is to be made anew
        state = f"{OUT_OF_DATE} ({'what it is made from is' if status == 'ok' else status})"
    else:
        state = UP_TO_DATE
    return Target(row["output_file"], stage_of(row["rule"]), state, pending)


def _statistics(printed: str) -> dict[str, int]:
    """The last table of a dry run, `all` and `total` left out; empty where all is done."""
    table = printed.rpartition("Job stats:")[2] if "Job stats:" in printed else ""
    found: dict[str, int] = {}
    for line in table.split("\n\n")[0].splitlines():
        cells = line.split()
        if len(cells) == 2 and cells[1].isdigit() and cells[0] not in ("all", "total"):
            stage = stage_of(cells[0])
            found[stage] = found.get(stage, 0) + int(cells[1])
    return found


def stage_of(rule: str) -> str:
    """The stage of a rule: `features` of `features_demo`."""
    return rule.split("_")[0]
