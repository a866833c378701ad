"""Snakemake's reasons in plain words: read from a dry run, sorted, and led to the target."""

import json
import subprocess
import sys

import pytest

from featflow.commands import planned
from featflow.commands.causes import OF_CODE, SETTINGS, SOURCES, causes, chain, changed
from featflow.commands.origin import differences
from featflow.commands.planned import Job
from featflow.commands.why import told
from tests.commands.conftest import CONFIG
from tests.workflow.conftest import copy_checkout

BEFORE = json.dumps({"model": "lua", "training": {"learning_rate": 0.003, "note": "a; b, now: c"}})
NOW = json.dumps({"model": "lua", "training": {"learning_rate": 0.001, "note": "a; b, now: c"}})
UNION = "Union of exclusive params before and now across all output:"

DRY = f"""\
Building DAG of jobs...
Job stats:
job         count
--------  -------
finetune        1
total           2


[Fri Nov 20 12:39:06 2026]
rule evaluate:
    input: results/x/models/lua/config.json, results/x/tokens/lua/validation.safetensors
    output: results/x/evaluate/lua.json
    log: logs/x/evaluate/lua.log
    jobid: 0
    benchmark: logs/x/evaluate/lua.tsv
    reason: Missing output files: results/x/evaluate/lua.json; Input files updated by another job: results/x/models/lua/config.json
    wildcards: study=x, model=lua
    threads: 2
    resources: tmpdir=/tmp, gpu=1, runtime=60, mem_mb=16000
[Fri Nov 20 12:39:06 2026]
rule finetune:
    input: results/x/models/base/config.json
    output: results/x/models/lua/config.json, results/x/models/lua/model.safetensors
    jobid: 17
    reason: Params have changed since last execution: {UNION} before: {BEFORE!r},'revision 1' now: {NOW!r},'revision 2' 
    wildcards: study=x, model=lua
    resources: tmpdir=/tmp
localrule all:
    input: results/x/evaluate/lua.json
    jobid: 1
    reason: Rules with neither input nor output files are always executed.
    resources: tmpdir=<TBD>
Job stats:
job         count
total           2

Reasons:
    (check individual jobs above for details)
"""  # noqa: E501


def test_the_jobs_of_a_dry_run():
    evaluate, finetune = planned.read(DRY)
    assert (evaluate.stage, evaluate.names) == ("evaluate", {"model": "lua"})
    assert (evaluate.threads, evaluate.gpus) == (2, 1) and (finetune.threads, finetune.gpus) == (
        1,
        0,
    )
    assert evaluate.benchmark == "logs/x/evaluate/lua.tsv" and finetune.benchmark is None
    assert evaluate.inputs[1] == "results/x/tokens/lua/validation.safetensors"
    assert finetune.outputs[1] == "results/x/models/lua/model.safetensors"
    assert evaluate.reasons == {
        planned.MISSING: "results/x/evaluate/lua.json",
        planned.UPSTREAM: "results/x/models/lua/config.json",
    }
    assert [j.label for j in planned.in_order([evaluate, finetune])] == [
        "finetune lua",
        "evaluate lua",
    ]


def test_a_semicolon_in_a_parameter_ends_no_reason():
    _, finetune = planned.read(DRY)
    assert list(finetune.reasons) == [planned.PARAMS]
    assert list(changed(finetune.reasons[planned.PARAMS])) == [
        (SETTINGS, ("training.learning_rate: 0.003 → 0.001",)),
        (OF_CODE, ("revision 1 → revision 2",)),
    ]


@pytest.mark.parametrize(
    ("before", "now", "what"),
    [
        ("'revision 1'", "'revision 2'", OF_CODE),
        ("'0123456789ab'", "'0123456789ac'", OF_CODE),
        ("'0123456789ab-0123456789ab'", "'0123456789ab-0123456789ac'", OF_CODE),
        ("'0123456789abcdef'", "'0123456789abcdee'", SOURCES),
        ("['--sweep', 'a']", "<nothing exclusive>", "its parameters have changed"),
        ("an object without a", "literal form", "its parameters have changed"),
    ],
)
def test_what_a_parameter_stands_for(before, now, what):
    assert [w for w, _ in changed(f"{UNION} before: {before} now: {now}")] == [what]


def test_settings_that_come_go_and_differ():
    before = {"a": 1, "b": {"c": [1], "d": "x"}, "gone": True}
    now = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "new": {"e": 0.5}}
    assert differences(before, now) == [
        ("b.c", "[1]", "[1, 2]"),
        ("gone", "true", "–"),
        ("new", "–", '{"e": 0.5}'),
    ]


def job(name: str, *inputs: str, **reasons: str) -> Job:
    return Job("sae", {"model": name}, inputs, (name,), reasons or {planned.UPSTREAM: "x"})


def test_the_shortest_way_to_the_target_and_causes_alone():
    missing = {planned.MISSING: "b"}
    jobs = planned.in_order(
        [job("t", "c", "b"), job("c", "b"), job("b", "a"), job("a", **missing), job("u", **missing)]
    )
    assert [j.label for j in chain(jobs[0], "t", jobs)] == ["sae a", "sae b", "sae t"]
    assert chain(jobs[-1], "t", jobs) == []
    (cause,) = causes(jobs)
    assert cause.what == "not made yet" and [j.label for j in cause.jobs] == ["sae a", "sae u"]
    assert told("t", jobs)[-1] == "    so: sae a → sae b → sae t"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("clone"), CONFIG)


def why(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "featflow", "why", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.workflow
def test_what_is_not_made_yet(checkout):
    result = why(checkout, "./results/demo/evaluate/babypython.json")
    assert result.returncode == 0, result.stderr
    first = result.stdout.splitlines()[0]
    assert first.startswith("results/demo/evaluate/babypython.json: 13 jobs would run (4 corpus, ")
    assert "not made yet: corpus " in result.stdout and "evaluate babypython" in result.stdout
    assert "(estimated)" in result.stdout and not (checkout / "results").exists()


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("results/demo/evaluate/babypyton.json", "no model 'babypyton'; did you mean 'babypython'"),
        ("results/demo/flow/main/edgs.csv", "did you mean results/demo/flow/main/edges.csv?"),
        ("results/dmo/flow/main/edges.csv", "there is no study 'dmo'; did you mean 'demo'?"),
        ("flow", "`featflow menu` lists the targets"),
    ],
)
def test_a_misspelt_target(checkout, target, words):
    result = why(checkout, target)
    assert result.returncode == 1 and words in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) < 8
