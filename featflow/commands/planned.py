"""The jobs of a dry run, as Snakemake prints them: what each reads and writes, and why it runs."""

import ast
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from featflow.commands.workflow import dry_run, stage_of
from featflow.config import Workflow

MISSING = "Missing output files"
INCOMPLETE = "Incomplete output files"
INPUT = "Updated input files"
UPSTREAM = "Input files updated by another job"
SET = "Set of input files has changed since last execution"
CODE = "Code has changed since last execution"
PARAMS = "Params have changed since last execution"
SOFTWARE = "Software environment definition has changed since last execution"
FORCED = "Forced execution"
PHRASES = (MISSING, INCOMPLETE, INPUT, UPSTREAM, SET, CODE, PARAMS, SOFTWARE, FORCED)
"""How the reasons begin (snakemake.jobs.Reason)."""


class Job(NamedTuple):
    """A job that Snakemake would run."""

    rule: str
    names: dict[str, str]
    """Its wildcards, without the study."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reasons: dict[str, str]
    """What follows each of the `PHRASES`."""
    benchmark: str | None = None
    threads: int = 1
    gpus: int = 0

    @property
    def stage(self) -> str:
        """The stage of its rule."""
        return stage_of(self.rule)

    @property
    def label(self) -> str:
        """What it is called: `sae lua/main`, `correlation base.main-lua.main`."""
        joint = "-" if self.stage == "correlation" else "." if self.stage == "figure" else "/"
        return " ".join([self.stage, joint.join(self.names.values())]).strip()


def jobs(workflow: Workflow, study: str, *asked: str) -> list[Job]:
    """The jobs of `snakemake --dry-run` with these words, what they need before what needs it.

    `all`, and what makes no file, are left out.

    Raises:
        FeatflowError: when Snakemake cannot plan them, with what it says.
    """
    return in_order(read(dry_run(workflow, study, *asked)))


def read(printed: str) -> list[Job]:
    """The jobs in what a dry run prints."""
    found = []
    for block in re.split(r"\n(?=(?:local)?rule \w+:\n)", printed)[1:]:
        lines = block.split("\n\n")[0].splitlines()
        rule = lines[0].split()[1].rstrip(":")
        fields = dict(re.findall(r"^    (\w+): (.*)$", "\n".join(lines[1:]), re.M))
        outputs = _files(fields.get("output", ""))
        if outputs:
            found.append(
                Job(
                    rule,
                    _names(fields.get("wildcards", "")),
                    _files(fields.get("input", "")),
                    outputs,
                    reasons(fields.get("reason", "")),
                    fields.get("benchmark"),
                    int(fields.get("threads", 1)),
                    int(re.findall(r"\bgpu=(\d+)|$", fields.get("resources", ""))[0] or 0),
                )
            )
    return found


def reasons(text: str) -> dict[str, str]:
    """The reasons of a job, by phrase: `{"Missing output files": "a, b"}`."""
    parts = re.split(rf"(?:^|; )({'|'.join(PHRASES)})(?:: )?", text)
    return {phrase: rest.strip() for phrase, rest in zip(parts[1::2], parts[2::2], strict=True)}


def parameters(text: str) -> tuple[list[str], list[str]] | None:
    """A job's parameters before and now, as far as they differ; None where that cannot be read."""
    both = text.partition(" before: ")[2]
    for found in re.finditer(" now: ", both):  # one of them may be within a parameter
        before, now = _values(both[: found.start()]), _values(both[found.end() :])
        if before is not None and now is not None:
            return before, now
    return None


def _values(text: str) -> list[str] | None:
    """Snakemake writes each as Python would, with a comma between them."""
    if text.strip() == "<nothing exclusive>":
        return []
    try:
        return [str(value) for value in ast.literal_eval(f"({text.strip()},)")]
    except (SyntaxError, ValueError):
        return None


def in_order(found: Sequence[Job]) -> list[Job]:
    """The jobs, each behind those that make what it reads."""
    makers = {output: job for job in found for output in job.outputs}
    placed: dict[tuple[str, ...], Job] = {}

    def place(job: Job) -> None:
        if job.outputs not in placed:
            for maker in needs(job, makers):
                place(maker)
            placed[job.outputs] = job

    for job in found:
        place(job)
    return list(placed.values())


def needs(job: Job, makers: dict[str, Job]) -> list[Job]:
    """The jobs that make what a job reads, each once.

    Args:
        makers: the job that makes each file.
    """
    return list({m.outputs: m for file in job.inputs if (m := makers.get(file))}.values())


def counted(found: Iterable[Job]) -> dict[str, int]:
    """How many jobs of each stage, in the order in which the stages first come."""
    numbers: dict[str, int] = {}
    for job in found:
        numbers[job.stage] = numbers.get(job.stage, 0) + 1
    return numbers


def _files(text: str) -> tuple[str, ...]:
    """Names with commas between them; what Snakemake adds in brackets is left out."""
    return tuple(re.sub(r" \([^)]*\)$", "", name) for name in text.split(", ") if name)


def _names(wildcards: str) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in wildcards.split(", ") if "=" in part)
    return {name: value for name, value in pairs if name != "study"}
