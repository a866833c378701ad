"""`featflow plan`: what a study will take, before it is run."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, NamedTuple

import tyro

from featflow.commands import check, disk, planned, rates
from featflow.commands.disk import Estimate as Disk
from featflow.commands.estimates import Estimate, Estimates
from featflow.commands.planned import Job
from featflow.commands.schedule import finish
from featflow.commands.terminal import (
    CONFIG,
    ConfigPath,
    StudyName,
    chosen,
    coloured,
    columns,
    size,
    span,
)
from featflow.config import FeatflowError, Workflow
from featflow.config.errors import did_you_mean
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

CLUSTER = 16
"""GPUs at one time: the limit of profiles/slurm."""

DISK = {
    "models": ("train", "pretrained", "finetune", "merge"),
    "figures": ("figure", "report"),
}
"""The stages that share a part of the disk estimate."""

Cores = Annotated[
    int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: this machine's)")
]
Gpu = Annotated[str | None, tyro.conf.arg(metavar="GPU", help_behavior_hint="(default: none)")]


class Row(NamedTuple):
    """What the jobs of a stage take together."""

    stage: str
    jobs: int
    pending: int
    seconds: float
    on_gpus: float
    """GPU-seconds."""
    memory: float
    """Bytes of the largest."""
    sources: tuple[str, ...]
    unknown: int
    """Jobs whose time is not known yet, and is not in the sums."""


def plan(
    study: StudyName = None,
    /,
    jobs: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    cores: Cores = None,
    gpu: Gpu = None,
    gpus: Annotated[int, tyro.conf.arg(metavar="N")] = CLUSTER,
    config: ConfigPath = CONFIG,
) -> None:
    """Say what a study takes: time, GPU-hours, memory and disk, by stage and in all.

    What was run here before is the measure: the job itself, or others of its stage, scaled by the
    work. Where there is none, the work alone is: floating-point operations and the rates of
    featflow/commands/rates.py. A warning says when the disk has too little room.

      featflow plan paper --gpu a100

    Args:
        study: the study's name.
        jobs: list every job, not only the stages.
        cores: of the machine that runs it.
        gpu: estimate for a cluster with this GPU (a100, h100, h200, l40s, v100): every job on a
            node of its own.
        gpus: how many of them are used at one time.
        config: the file that describes the studies.
    """
    if gpu is not None and gpu not in rates.GPUS:
        raise FeatflowError(f"--gpu: no rates for {gpu!r}; {did_you_mean(gpu, rates.GPUS)}")
    checked, name = chosen(study, config)
    cores = cores or os.cpu_count() or 1
    told = outlook(checked, name, cores, gpu, gpus)
    print(f"study {name}, {'on ' + gpu.upper() if gpu else f'on {cores} cores'}\n")
    print("\n".join(told.jobs if jobs else told.stages))
    print("\n".join(["", *told.summary, "", coloured("disk", "bold"), *told.room]))


class Outlook(NamedTuple):
    """What is said of a study, in lines."""

    stages: list[str]
    jobs: list[str]
    summary: list[str]
    disk: float
    """Bytes that it takes."""
    room: list[str]
    """Whether the disk has them."""


def outlook(
    checked: Workflow, name: str, cores: int, gpu: str | None = None, gpus: int = CLUSTER
) -> Outlook:
    """What a study takes.

    Args:
        checked: the config.
        name: the study's.
        cores: of the machine that runs it.
        gpu: a key of rates.GPUS: on a cluster with these.
        gpus: how many of them at one time.

    Raises:
        FeatflowError: when Snakemake cannot plan it.
    """
    words = ("--cores", str(cores))
    with ThreadPoolExecutor() as pool:
        asked = [(*words, "--forceall"), words]
        every, now = pool.map(lambda each: planned.jobs(checked, name, *each), asked)
    pending = {job.outputs for job in now}
    known = Estimates(checked, gpu)
    of = {job.outputs: known.of(job) for job in every}
    disks = disk.estimate(Slices.of(checked, name))
    found = rows(every, pending, of)
    return Outlook(
        table(found, disks),
        job_table(every, pending, of),
        summary(found, every, pending, of, cores, gpus if gpu else None),
        disks.total,
        check.disk_lines(disks, name)[len(disks.parts) + 1 :],  # behind its own table
    )


def rows(
    jobs: Iterable[Job], pending: set[tuple[str, ...]], of: dict[tuple[str, ...], Estimate]
) -> list[Row]:
    """The jobs by stage, in the workflow's order.

    Args:
        jobs: all jobs of the study.
        pending: the outputs of those that are to run now.
        of: the estimate of each, by its outputs.
    """
    stages: dict[str, list[Job]] = {stage: [] for stage in STAGES}
    for job in jobs:
        stages.setdefault(job.stage, []).append(job)
    found = []
    for stage, group in stages.items():
        times = [(job, of[job.outputs].seconds or 0.0) for job in group]
        if group:
            found.append(
                Row(
                    stage,
                    len(group),
                    sum(job.outputs in pending for job in group),
                    sum(seconds for _, seconds in times),
                    sum(seconds * job.gpus for job, seconds in times),
                    max(of[job.outputs].memory for job in group),
                    tuple(dict.fromkeys(of[job.outputs].source for job in group)),
                    sum(of[job.outputs].seconds is None for job in group),
                )
            )
    return found


def table(found: list[Row], disks: Disk) -> list[str]:
    """A line a stage, and their sum."""
    sizes = disk_of(found, disks)
    body = [
        (
            row.stage,
            str(row.jobs),
            str(row.pending),
            _time(row.seconds, row.unknown),
            hours(row.on_gpus),
            size(row.memory),
            size(sizes[row.stage]) if sizes[row.stage] else "",
            ", ".join(row.sources),
        )
        for row in found
    ]
    total = (
        "total",
        str(sum(r.jobs for r in found)),
        str(sum(r.pending for r in found)),
        _time(sum(r.seconds for r in found), sum(r.unknown for r in found)),
        hours(sum(r.on_gpus for r in found)),
        "",
        size(sum(sizes.values())),
        "",
    )
    head = ("", "jobs", "to run", "time", "GPU-hours", "memory", "disk", "estimated from")
    return _aligned([head, *body, total])


def job_table(
    jobs: Iterable[Job], pending: set[tuple[str, ...]], of: dict[tuple[str, ...], Estimate]
) -> list[str]:
    """A line a job."""
    body = []
    for job in jobs:
        estimate = of[job.outputs]
        seconds = estimate.seconds
        time = "?" if seconds is None else span(seconds)
        now = "yes" if job.outputs in pending else "no"
        on_gpus = hours((seconds or 0) * job.gpus)
        body.append((job.label, now, time, on_gpus, size(estimate.memory), estimate.source))
    return _aligned([("", "to run", "time", "GPU-hours", "memory", "estimated from"), *body])


def _aligned(lines: list[tuple[str, ...]]) -> list[str]:
    """Numbers to the right, the first and the last column to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    return columns(
        [
            tuple(
                c if i in (0, last) else c.rjust(w)
                for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in lines
        ]
    )


def disk_of(found: list[Row], disks: Disk) -> dict[str, float]:
    """Bytes by stage; what several stages write is shared out by their jobs."""
    sizes = dict.fromkeys((row.stage for row in found), 0.0)
    for part, count in disks.parts.items():
        of_part = [row for row in found if row.stage in DISK.get(part, (part,))]
        for row in of_part:
            sizes[row.stage] += count * row.jobs / sum(each.jobs for each in of_part)
    return sizes


def summary(
    found: list[Row],
    jobs: list[Job],
    pending: set[tuple[str, ...]],
    of: dict[tuple[str, ...], Estimate],
    cores: int,
    gpus: int | None,
) -> list[str]:
    """How long it takes from beginning to end: all of it, and what is to run now."""
    where = f"with {gpus} GPUs at a time" if gpus else f"with {cores} cores"
    lines = []
    for what, group in (
        ("all of it", jobs),
        ("what is to run now", [job for job in jobs if job.outputs in pending]),
    ):
        end = finish(group, of, None if gpus else cores, gpus)
        missing = sum(of[job.outputs].seconds is None for job in group)
        lines.append(f"{what}, {where}: {_time(end, missing)}" if group else f"{what}: nothing")
    chain = finish(jobs, of, None, None)
    lines.append(f"were nothing to wait for another's place: {span(chain)} (the longest chain)")
    if unknown := sum(row.unknown for row in found):
        lines.append(
            f"not counted: {unknown} jobs marked ?, whose size is known when their corpora or "
            "models are there"
        )
    return lines


def hours(seconds: float) -> str:
    """GPU-hours; empty for none."""
    return f"{seconds / 3600:.2f}" if seconds else ""


def _time(seconds: float, unknown: int) -> str:
    return "?" if unknown and not seconds else span(seconds) + (" + ?" if unknown else "")
