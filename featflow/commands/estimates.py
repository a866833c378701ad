"""How long a job will take and how much memory it needs, from the best that is known of it:

1. its own benchmark file (Snakemake writes logs/{study}/{stage}/….tsv: seconds, peak memory). Where
   the artifact that is there was made with other settings, what is behind the start-up is scaled by
   the work then and now;
2. the benchmark files of the same stage, in any study: START, and this job's work × the sum of
   their (seconds − START) / the sum of their work;
3. the work alone and the rates of its stage (commands/rates.py).

A benchmark file says nothing of the machine: those of another GPU, or of a busier machine, count as
they are. With a GPU named, stages that use one are estimated by 3 alone.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from featflow.artifacts.io import ArtifactError
from featflow.commands import rates
from featflow.commands.origin import provenance_of
from featflow.commands.planned import Job
from featflow.commands.sizes import StudySizes, Unknown
from featflow.commands.widths import Shape
from featflow.config import FeatflowError, Workflow
from featflow.plan.names import parsed
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES, slice_of, stage_of, targets

OWN, STAGE, COUNTED = "this job's last run", "runs of its stage", "its work alone"
LOGS = Path("logs")
ENDINGS = (".safetensors", ".parquet", ".json")


class Benchmark(NamedTuple):
    """What Snakemake measured."""

    seconds: float
    memory: float
    """Bytes, at most."""


class Estimate(NamedTuple):
    """Of one job."""

    seconds: float | None
    """None: not known before something else is there."""
    memory: float
    source: str
    """`OWN`, `STAGE` or `COUNTED`."""


class Estimates:
    """Estimates of jobs of all studies of a config."""

    def __init__(self, workflow: Workflow, gpu: str | None = None, logs: Path | None = LOGS):
        """Args:
        workflow: the checked config.
        gpu: a key of rates.GPUS (None: where the benchmark files are from, or a CPU).
        logs: where the benchmark files are (None: none are looked at).
        """
        self.workflow, self.gpu, self.logs = workflow, gpu, logs
        self.sizes = {name: StudySizes(Slices.of(workflow, name)) for name in workflow.studies}
        self._rates: dict[str, tuple[float, float] | None] = {}

    def of(self, job: Job) -> Estimate:
        """The estimate of a job."""
        cfg, sizes = self._slice(job.outputs[0])
        amount = _amount(job.stage, cfg, sizes)
        memory = rates.memory(job.stage, cfg, sizes)
        by_gpu = self.gpu and rates.on_gpu(job.stage)
        measured = None if self.logs is None or by_gpu else self._own(job)
        if measured:
            then = self._then(job, sizes)
            grown = amount / then if amount and then else 1.0
            start = min(rates.cost_of(job.stage).start, measured.seconds)
            seconds = start + (measured.seconds - start) * grown
            return Estimate(seconds, max(measured.memory, memory if grown > 1 else 0), OWN)
        if amount is None:
            return Estimate(None, memory, COUNTED)
        if self.logs is not None and not by_gpu and (known := self._rate(job.stage)):
            rate, held = known
            return Estimate(
                rates.cost_of(job.stage).start + amount * rate, max(memory, held), STAGE
            )
        seconds = rates.seconds(job.stage, amount, job.threads, self.gpu)
        return Estimate(seconds, memory, COUNTED)

    def _slice(self, output: str) -> tuple[Slice | None, StudySizes]:
        found = parsed(output)
        sizes = self.sizes[found.names["study"]] if found else next(iter(self.sizes.values()))
        return slice_of(sizes.slices, output), sizes

    def _own(self, job: Job) -> Benchmark | None:
        assert self.logs is not None
        name = Path(job.benchmark or "")
        return read(self.logs / Path(*name.parts[1:])) if job.benchmark else None

    def _then(self, job: Job, sizes: StudySizes) -> float | None:
        """The work of the job that made what is there; None where that is not known."""
        for output in filter(lambda name: Path(name).is_file(), job.outputs):
            now = slice_of(sizes.slices, output)
            try:
                provenance = provenance_of(Path(output), output)
                if provenance and now and provenance["stage"] == job.stage:
                    cfg = type(now).model_validate(provenance["config"])
                    return _amount(job.stage, cfg, sizes)
            except (ArtifactError, ValidationError, KeyError):
                continue
        return None

    def _rate(self, stage: str) -> tuple[float, float] | None:
        """Seconds for a unit of work, and most memory, of all runs of a stage (None: no run)."""
        if stage not in self._rates:
            runs = [run for name in self.sizes for run in self._runs(name, stage)]
            start = rates.cost_of(stage).start
            behind = sum(max(run.seconds - start, 0.05 * run.seconds) for run, _ in runs)
            most = max((run.memory for run, _ in runs), default=0.0)
            amount = sum(amount for _, amount in runs)
            self._rates[stage] = (behind / amount, most) if runs else None
        return self._rates[stage]

    def _runs(self, study: str, stage: str) -> list[tuple[Benchmark, float]]:
        """The benchmark files of a stage in a study, with the work of each."""
        assert self.logs is not None
        found, sizes = [], self.sizes[study]
        for path in sorted((self.logs / study / stage).rglob("*.tsv")):
            names = path.relative_to(self.logs / study / stage).with_suffix("").parts
            amount = _amount(stage, _slice_named(sizes.slices, stage, names), sizes)
            if amount and (run := read(path)):
                found.append((run, amount))
        return found


def of_study(workflow: Workflow, study: str, cores: int, assumed: Shape | None = None) -> float:
    """Seconds that all jobs of a study take, one after the other on all cores, without a dry run.

    Args:
        workflow: the checked config.
        study: the study's name.
        cores: of the machine.
        assumed: the shape of a model that only the hub knows.
    """
    estimates, slices = Estimates(workflow), Slices.of(workflow, study)
    estimates.sizes[study].assumed = assumed
    jobs = {}
    for path in targets(slices):
        stage, cfg = stage_of(path, slices.model_kinds), slice_of(slices, path)
        if stage is not None and cfg is not None:
            jobs[stage.verb, cfg.dumps()] = Job(stage.verb, {}, (), (path,), {}, threads=cores)
    return sum(estimates.of(job).seconds or 0.0 for job in jobs.values())


def read(path: Path) -> Benchmark | None:
    """The means of a benchmark file; None where there is none that can be read."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        times = [float(row["s"]) for row in rows]
        sizes = [float(row["max_rss"]) for row in rows if row["max_rss"] not in ("NA", "-")]
    except (OSError, ValueError, KeyError):
        return None
    return Benchmark(sum(times) / len(times), 2**20 * max(sizes, default=0)) if times else None


def _slice_named(slices: Slices, stage: str, names: tuple[str, ...]) -> Slice | None:
    """The slice of a job by the names in its benchmark file's path; None where it has none now."""
    if stage not in STAGES:
        return None
    apart = [name for part in names for name in part.split("-")]
    count = len(STAGES[stage].wildcards)
    try:
        return STAGES[stage].slice(slices, *apart[:count])
    except (FeatflowError, AssertionError, LookupError, TypeError, ValueError):
        return None


def _amount(stage: str, cfg: Slice | None, sizes: StudySizes) -> float | None:
    try:
        return None if cfg is None else rates.work(stage, cfg, sizes)
    except (Unknown, FeatflowError, LookupError):
        return None
