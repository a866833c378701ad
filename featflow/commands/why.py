"""`featflow why`: what Snakemake would rebuild for a target, why, and what that costs."""

from typing import Annotated

import tyro

from featflow.commands import planned
from featflow.commands.causes import causes, chain
from featflow.commands.estimates import COUNTED, Estimates
from featflow.commands.planned import Job
from featflow.commands.terminal import CONFIG, ConfigPath, chosen, coloured, columns, size, span
from featflow.config import FeatflowError
from featflow.plan.hints import hint
from featflow.plan.names import parsed
from featflow.plan.slicer import Slices

SHOWN = 6
"""Jobs of one kind that are named, at most."""

Target = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]


def why(target: Target, config: ConfigPath = CONFIG) -> None:
    """Say why Snakemake would rebuild a target, from the first causes on, and what that costs.

    The reasons are those of its own dry run; the cost is that of earlier runs, or an estimate
    (`featflow plan`). Nothing is built.

      featflow why results/demo/figures/flow.html

    Args:
        target: a file below results/.
        config: the file that describes the studies.
    """
    target = target.removeprefix("./")
    workflow, default = chosen(None, config)
    parts = target.split("/")
    study = parts[1] if len(parts) > 2 else default
    if parts[0] != "results" or study not in workflow.studies:
        studies = {name: Slices.of(workflow, name) for name in workflow.studies}
        raise FeatflowError(f"{target}: no such target; {hint(target, studies)}")
    if found := parsed(target):
        Slices.of(workflow, study).check(found.names)
    jobs = planned.jobs(workflow, study, target)
    if not jobs:
        print(f"{target}: up to date; Snakemake would do nothing")
        return
    print("\n".join([*told(target, jobs), "", *cost(jobs, Estimates(workflow))]))


def told(target: str, jobs: list[Job]) -> list[str]:
    """What is rebuilt, its first causes, and how one of them leads to the target.

    Args:
        target: the file that is asked for.
        jobs: what Snakemake would run for it, in order.
    """
    counted = ", ".join(f"{count} {stage}" for stage, count in planned.counted(jobs).items())
    many = f"{len(jobs)} jobs" if len(jobs) > 1 else "1 job"
    lines = [coloured(f"{target}: {many} would run ({counted})", "bold")]
    for cause in causes(jobs):
        lines += ["", f"{cause.what}: {_named(cause.jobs)}", *(f"    {w}" for w in cause.details)]
        steps = chain(cause.jobs[0], target, jobs)
        if len(steps) > 1:
            lines.append(f"    so: {' → '.join(job.label for job in steps)}")
    return lines


def _named(jobs: tuple[Job, ...]) -> str:
    more = f" and {len(jobs) - SHOWN} more" if len(jobs) > SHOWN else ""
    return ", ".join(job.label for job in jobs[:SHOWN]) + more


def cost(jobs: list[Job], estimates: Estimates) -> list[str]:
    """What the jobs take, a line a stage."""
    rows: list[tuple[str, ...]] = []
    total, unknown, counted = 0.0, 0, 0
    for stage, count in planned.counted(jobs).items():
        found = [estimates.of(job) for job in jobs if job.stage == stage]
        seconds = sum(each.seconds or 0.0 for each in found)
        total, unknown = total + seconds, unknown + sum(each.seconds is None for each in found)
        counted += sum(each.source == COUNTED for each in found)
        memory = f"up to {size(max(each.memory for each in found))} of memory"
        rows.append((stage, f"{count} jobs" if count > 1 else "1 job", span(seconds), memory))
    source = "from runs before"
    if counted:
        source = "estimated" if counted == len(jobs) else "from runs before, in part estimated"
    more = f", and {unknown} jobs whose time is not known" if unknown else ""
    return [f"cost: {span(total)} of jobs{more} ({source})", *columns(rows)]
