"""`featflow check`: a study looked at before it is built."""

import shutil
from pathlib import Path

from featflow.commands import disk, local, tree, workflow
from featflow.commands.terminal import (
    CONFIG,
    ConfigPath,
    StudyName,
    chosen,
    coloured,
    columns,
    size,
)
from featflow.core import paths
from featflow.core.config import ConfigError
from featflow.core.slicer import Slices
from featflow.core.stages import STAGES


def check(study: StudyName = None, /, config: ConfigPath = CONFIG) -> None:
    """Check the config, and show what a study is: lineage, corpora, pairs, jobs, disk.

    Everything wrong with the config is said in one message, and so is what the study names and
    this machine lacks: files, folders, environment variables. The jobs are counted by Snakemake's
    own dry run, the disk is an estimate (featflow/commands/disk.py has its formulas). Nothing is
    built.

      featflow check paper

    Args:
        study: the study's name.
        config: the file that describes the studies.
    """
    checked, name = chosen(study, config)
    slices = Slices(name, checked.studies[name])
    if missing := local.problems(name, slices.study):
        raise ConfigError("\n".join(missing))
    jobs = workflow.jobs(checked, name)
    sections = {
        "lineage": tree.tree(slices.study),
        "corpora": [*tree.corpora(slices.study), *tree.network(name, slices.study)],
        "pairs": tree.pairs(slices.study),
        "jobs": job_lines(jobs),
        "disk": disk_lines(disk.estimate(slices), name),
    }
    print(f"study {name} of {config}: nothing is wrong with it")
    for title, lines in sections.items():
        print("\n".join(["", coloured(title, "bold"), *lines]))


def job_lines(jobs: dict[str, workflow.Jobs]) -> list[str]:
    """The jobs of each stage: to run, up to date, in all."""
    order = [stage for stage in [*STAGES, *jobs] if stage in jobs]
    total = workflow.Jobs(*(sum(each) for each in zip(*jobs.values(), strict=True)))
    counted = [*((stage, jobs[stage]) for stage in dict.fromkeys(order)), ("total", total)]
    numbers = [(s, str(j.pending), str(j.total - j.pending), str(j.total)) for s, j in counted]
    rows = [("", "to run", "up to date", "in all"), *numbers]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    aligned = [
        (row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)))
        for row in rows
    ]
    return columns(aligned)


def disk_lines(estimate: disk.Estimate, study: str) -> list[str]:
    """The estimate by stage, beside what is there already and what is free."""
    there, free = used(Path(paths.STUDY.at(study=study))), free_bytes()
    rows = [(stage, size(count).rjust(8)) for stage, count in estimate.parts.items()]
    lines = columns([*rows, ("total", f"{size(estimate.total).rjust(8)} (an estimate)")])
    lines.append(f"  {size(there)} of it is there, {size(free)} are free")
    lines += [f"  not counted: {what}" for what in estimate.unknown]
    if estimate.total - there > free:
        remedy = "free some"
        if "activations" in estimate.parts:  # they are kept
            remedy += ", lower activations.tokens, or set activations.keep: false"
        lines.append(
            coloured(
                f"  warning: it does not fit: {size(estimate.total - there)} more are needed; "
                f"{remedy}",
                "yellow",
            )
        )
    return lines


def used(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def free_bytes() -> int:
    """Free space of the disk that holds results/, or will."""
    place = Path("results")
    return shutil.disk_usage(place if place.exists() else Path()).free
