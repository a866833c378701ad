"""The demo's time, from the files that its last build has left in this checkout.

    .venv.peers/bin/python -m benchmarks.demo [--seconds 10] [--json FILE]

Snakemake writes the seconds of every job to logs/demo/**.tsv: from the start of the first job to
the end of the last is the demo's time, installation apart. Beside it the floor that no job gets
below: each starts Python and imports its libraries, measured here for one stage of each kind. Build
it with `rm -rf results/demo logs/demo && make demo` while nothing else runs.
"""

import os
import resource
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks.programs import ROOT, command, program
from benchmarks.rows import Row, main

DEFAULT_SECONDS = 10.0
LOGS = ROOT / "logs" / "demo"
LIMIT = 480.0
"""Seconds that were aimed at."""
PAUSE = 60.0
"""Seconds without a job, after which what follows is another build."""

KINDS = {
    "featflow.saes.activations, transformer_lens.model_bridge": (
        "activations",
        "features",
        "metrics",
        "transfer",
    ),
    "featflow.models.evaluate": (
        "train",
        "finetune",
        "random",
        "pretrained",
        "sweep",
        "merge",
        "evaluate",
        "sae",
    ),
    "featflow.features.correlation": ("correlation", "shares", "interpret", "dashboards"),
}
"""What a job imports at least, and whose jobs do."""
OTHERS = "featflow.data.corpus"


class Job(NamedTuple):
    """A job of a build: its rule, and when it ran, in seconds."""

    rule: str
    start: float
    end: float


def last_build(logs: Path) -> list[Job]:
    """The jobs of the newest build, by their start; none unless it began with the corpora and
    ended with the report."""
    jobs = []
    for path in logs.rglob("*.tsv"):
        names, values = (line.split("\t") for line in path.read_text().splitlines()[:2])
        end = path.stat().st_mtime
        seconds = float(dict(zip(names, values, strict=True))["s"])
        jobs.append(Job(path.relative_to(logs).parts[0], end - seconds, end))
    jobs.sort(key=lambda job: job.start)
    build: list[Job] = []
    for job in jobs:
        if build and job.start - max(before.end for before in build) > PAUSE:
            build = []
        build.append(job)
    whole = {"corpus", "report"} <= {job.rule for job in build}
    return build if whole else []


def import_seconds(modules: str) -> float:
    """CPU seconds of a process that starts featflow and imports these modules."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = f"import gc; gc.disable(); import featflow.cli, tyro, {modules}; import os; os._exit(0)"
    command(program("python"), "-c", code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports_of(build: list[Job]) -> float:
    """CPU seconds that the jobs' starts and imports take together."""
    kind = {rule: modules for modules, rules in KINDS.items() for rule in rules}
    counts = Counter(kind.get(job.rule, OTHERS) for job in build)
    return sum(count * import_seconds(modules) for modules, count in counts.items())


def by_rule(build: list[Job]) -> dict[str, float]:
    """Seconds of the jobs of each rule, the longest first."""
    seconds: dict[str, float] = {}
    for job in build:
        seconds[job.rule] = seconds.get(job.rule, 0) + job.end - job.start
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def measure(seconds: float) -> list[Row]:
    """The demo beside its limit, and beside its imports; no row where it was not built in one go.

    Args:
        seconds: not needed: it reads what a build has noted, and imports each thing once.
    """
    build = last_build(LOGS)
    if not build:
        print("The demo was not built here in one go: rm -rf results/demo logs/demo; make demo")
        return []
    cores = len(os.sched_getaffinity(0))
    wall = max(job.end for job in build) - build[0].start
    imports = imports_of(build)
    rules = [f"{rule} {spent:.0f}" for rule, spent in list(by_rule(build).items())[:8]]
    together = sum(by_rule(build).values())
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(build[-1].end))
    what = f"the demo, {len(build)} jobs, to its report"
    where = f"built {day} UTC; the jobs took {together:.0f} s, of which {', '.join(rules)}"
    floor = f"{imports:.0f} CPU seconds of imports in {len(build)} jobs: the floor"
    starts = f"its starts and imports, over {cores} cores"
    return [
        Row(what, "the limit", wall, LIMIT, "s", aim=1, note=where),
        Row(what, starts, wall, imports / cores, "s", note=floor),
    ]


if __name__ == "__main__":
    main(measure, __doc__, DEFAULT_SECONDS)
