"""On a real SLURM: a small study, and what is left when something dies.

One module, since there can be one cluster. All runs go on at the same time, in one fixture.
"""

import re
import shutil
from collections.abc import Callable

import pytest
import yaml
from psutil import Process

from featflow.artifacts.io import load_provenance
from tests.slurm.cluster import Cluster, missing
from tests.slurm.cluster import run as command
from tests.slurm.runs import Run, copy, left_over, wait_until
from tests.workflow.conftest import ROOT, Job, copy_checkout, dry_run, snakemake

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.workflow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

TARGET = "results/killed/evaluate/base.json"
MADE = (
    TARGET,
    *(f"results/killed/models/base/{name}" for name in ("config.json", "training.parquet")),
    *(f"results/killed/models/base/{name}" for name in ("model.safetensors", "tokenizer.json")),
)
SEVERAL = ("killed", "cancelled", "timed_out", "orphaned", "edited")
"""What happens to a run of its own."""
THREADS = ("train=1", "evaluate=1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def planned() -> dict:
    """The profile's table."""
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    return yaml.safe_load(text)["__variables__"]["rules"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The tokens, and elsewhere the two-job target made from them without a disturbance."""
    config = ROOT / "tests/slurm/killed.yaml"
    folder = copy_checkout(tmp_path_factory.mktemp("prepared") / "run", config)
    tokens = [
        f"results/killed/tokens/english/{split}.safetensors" for split in ("train", "validation")
    ]
    assert snakemake(folder, *tokens, "--profile", "local").returncode == 0
    undisturbed = copy(folder, folder.parent / "undisturbed")
    result = snakemake(undisturbed, TARGET, "--profile", "local", "--set-threads", *THREADS)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, {name: (undisturbed / name).read_bytes() for name in MADE}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A checkout with the small study, and the jobs that a dry run promises."""
    folder = copy_checkout(tmp_path_factory.mktemp("small"), ROOT / "tests/slurm/small.yaml")
    return folder, dry_run(folder, "--profile", "slurm")


@pytest.fixture(scope="module")
def runs(cluster, prepared, begun):
    """All runs, to their end: the two-job target, each struck by something else, and `small`."""
    folder, _ = prepared
    arguments = (TARGET, "--set-threads", *THREADS)
    runs = {"node": Run(copy(folder, folder.parent / "node"), *arguments)}
    try:
        before = wait_until(runs["node"].trainer)
        cluster.restart_slurmd()
        assert before.is_running(), "slurmd's end is not the end of its jobs"
        cluster.lose_node()

        command("scontrol", "update", "partitionname=gpu", "state=down")
        for name in SEVERAL:
            runs[name] = Run(copy(folder, folder.parent / name), *arguments)
        wait_until(lambda: all(run.jobs("pending") for run in runs.values()))
        config = runs["edited"].folder / "workflow_config.yaml"
        config.write_text(config.read_text().replace("epochs: 4", "epochs: 1"))
        command("scontrol", "update", "partitionname=gpu", "state=up")
        runs["small"] = Run(begun[0])

        strikes = {
            "killed": lambda trainer: trainer.kill(),
            "cancelled": lambda _: cluster.scancel(*runs["cancelled"].jobs("running")),
            # or it would be done before SLURM looks, twice a minute; SLURM wakes it with SIGCONT
            "timed_out": lambda trainer: trainer.suspend(),
            "orphaned": lambda trainer: trainer.suspend(),  # so that the next one meets it
        }
        struck = strike_all(runs, strikes)
        cluster.end_soon(*runs["timed_out"].jobs("running"))
        runs["orphaned"].stop()
        runs["orphaned"].start()
        wait_until(lambda: "is doing this very work" in log_of(runs["orphaned"]))
        struck["orphaned"].resume()
        for run in runs.values():
            run.ends()
        yield runs
    finally:
        for run in runs.values():
            run.stop()


def strike_all(runs: dict[str, Run], strikes: dict[str, Callable]) -> dict[str, Process]:
    """Strike each run as soon as its training has written a checkpoint."""
    struck: dict[str, Process] = {}

    def all_struck() -> bool:
        for name in strikes.keys() - struck.keys():
            if trainer := runs[name].trainer():
                strikes[name](trainer)
                struck[name] = trainer
        return len(struck) == len(strikes)

    wait_until(all_struck)
    return struck


# ---- the small study


def of_job(job: dict[str, str]) -> Job:
    """The rule and wildcards in a SLURM job's comment."""
    rule, _, wildcards = job["Comment"].removeprefix("rule_").partition("_wildcards_")
    return Job(rule.split("_")[0], wildcards)


@pytest.fixture
def small(cluster, runs) -> list[dict[str, str]]:
    """The SLURM jobs of the small study."""
    assert runs["small"].process.returncode == 0, runs["small"].output
    return [job for job in cluster.jobs() if job["WorkDir"] == str(runs["small"].folder)]


def test_every_job_of_the_small_study_was_a_slurm_job(small, begun, planned):
    _, promised = begun
    assert {job.rule for job in promised} == set(planned), "every rule has a job"
    values = {Job(j.rule, "_".join(re.findall(r"=([^,]+)", j.wildcards))) for j in promised}
    assert {of_job(job) for job in small} == values
    assert len(small) == len(promised)
    assert {job["JobState"] for job in small} == {"COMPLETED"}
    assert {job["Restarts"] for job in small} == {"0"}


def test_every_job_had_the_resources_of_the_profile(small, planned):
    for job in small:
        asked = planned.get(of_job(job).rule)
        minutes = asked["runtime"]
        assert job["TimeLimit"] == f"{minutes // 60:02}:{minutes % 60:02}:00", job
        assert job["MinMemoryNode"] == f"{asked['mem_mb']}M"
        assert job["NumCPUs"] == str(asked.get("cpus", 1))
        assert job.get("TresPerJob") == ("gres:gpu:a100:1" if asked.get("gpu") else None)
        assert job["Requeue"] == "1"
        assert job["JobName"].startswith("featflow_")


def test_the_small_study_is_whole_and_nothing_else_is_left(small, begun):
    folder, _ = begun
    assert dry_run(folder, "--profile", "slurm") == set()
    assert left_over(folder) == []
    assert not list(folder.glob("logs/slurm/**/*.log")), "of jobs that failed"


# ---- what dies, and what is left


def log_of(run: Run) -> str:
    """What the last attempt to train has said."""
    log = run.folder / "logs/killed/train/base.log"
    return log.read_text() if log.exists() else ""  # Snakemake deletes it before the next attempt


@pytest.fixture(params=[*SEVERAL, "node"])
def run(request, runs) -> Run:
    return runs[request.param]


def test_the_same_command_finishes(run):
    assert run.process.returncode == 0, run.output


def test_the_artifacts_are_those_of_an_undisturbed_run(run, prepared):
    _, expected = prepared
    assert {name: (run.folder / name).read_bytes() for name in MADE} == expected


def test_nothing_is_left_over(run):
    assert left_over(run.folder) == []


def test_what_was_killed_was_taken_up_and_not_begun_again(run):
    log = log_of(run)
    steps = [int(step) for step in re.findall(r"resuming after step (\d+)", log)]
    assert len(steps) == (0 if run.folder.name == "edited" else 1), log
    assert all(step > 0 for step in steps)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("killed", ["FAILED", "COMPLETED"]),
        ("cancelled", ["CANCELLED", "COMPLETED"]),
        ("timed_out", ["TIMEOUT", "COMPLETED"]),
        ("orphaned", ["COMPLETED", "COMPLETED"]),
        ("edited", ["COMPLETED"]),
        ("node", ["COMPLETED"]),
    ],
)
def test_slurm_saw_what_happened(cluster, runs, name, states):
    found = [job for job in cluster.jobs() if job["WorkDir"] == str(runs[name].folder)]
    trained = sorted(
        (job for job in found if of_job(job).rule == "train"), key=lambda j: int(j["JobId"])
    )
    assert [job["JobState"] for job in trained] == states
    assert trained[-1]["Restarts"] == ("1" if name == "node" else "0")


@pytest.mark.parametrize("name", ["cancelled", "timed_out"])
def test_a_job_with_a_grace_period_saves_its_state(runs, name):
    logs = runs[name].folder.glob("logs/slurm/rule_train/**/*.log")
    assert any("SIGTERM received: stopped after step" in log.read_text() for log in logs)


def test_the_path_of_a_failed_jobs_log_is_printed(runs):
    run = runs["killed"]
    assert re.search(rf"{run.folder}/logs/slurm/rule_train/killed_base/\d+\.log", run.output)


def test_a_second_copy_waits_for_the_first_and_takes_what_it_made(runs):
    log = log_of(runs["orphaned"])
    assert re.search(r"process \d+ on \S+ \(SLURM job \d+\) is doing this very work", log)
    assert "resuming after step 836" in log, "the last state, so that it trained nothing"


def test_the_locks_of_a_killed_snakemake_are_cleared_and_said(runs):
    assert "was killed: its locks" in runs["orphaned"].output


def test_an_edit_while_jobs_wait_changes_nothing_that_runs(runs):
    folder = runs["edited"].folder
    assert "epochs: 1" in (folder / "workflow_config.yaml").read_text()
    said = load_provenance(folder / "results/killed/models/base/config.json")
    assert said is not None and said["config"]["training"]["epochs"] == 4


def test_and_the_next_run_follows_the_edit(runs):
    folder = runs["edited"].folder
    assert Job("train", "study=killed, model=base") in dry_run(folder, TARGET, "--profile", "slurm")


def test_a_job_whose_run_is_over_changes_nothing(runs):
    """As it is where a killed run's job still waits in the queue while the next run makes all."""
    folder = runs["killed"].folder
    plan = next((folder / ".snakemake/featflow").glob("*.json"))
    gone = {"FEATFLOW_PLAN": str(plan), "FEATFLOW_RUN": str(folder / "gone.json")}
    flags = ("--executor", "local", "--mode", "remote", "--force", "--nolock", "--cores", "1")
    before = {name: (folder / name).stat().st_mtime_ns for name in MADE}
    result = snakemake(folder, TARGET, *flags, **gone)
    assert result.returncode != 0 and "the job ends here" in result.stdout + result.stderr
    assert {name: (folder / name).stat().st_mtime_ns for name in MADE} == before
    shutil.rmtree(folder / ".snakemake/tmp", ignore_errors=True)
