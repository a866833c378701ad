"""What single benchmarks compare: the demo's build, dry runs, and a merge beside mergekit's."""

import os

import pandas as pd
import pytest

from benchmarks import demo, dry_runs, merging
from featflow.config.load import load

HEAD = "s\th:m:s\tmax_rss\n"


def job(logs, name: str, end: float, seconds: float) -> None:
    path = logs / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}{seconds}\t0:00:01\t100\n")
    os.utime(path, (end, end))


def test_the_demo_is_timed_from_its_first_start_to_its_last_end(tmp_path, monkeypatch):
    job(tmp_path, "merge/old", 1000, 10)  # of a build before, hours ago
    job(tmp_path, "corpus/lua", 9005, 5)
    job(tmp_path, "train/base", 9090, 80)  # nothing ran for 5 s before it
    job(tmp_path, "report/report", 9100, 4)
    monkeypatch.setattr(demo, "LOGS", tmp_path)
    monkeypatch.setattr(demo, "import_seconds", lambda modules: 1.0 + ("models" in modules))
    limit, floor = demo.measure(1)
    assert limit.ours == pytest.approx(100) and limit.theirs == 480 and limit.reached
    assert "3 jobs" in limit.what and "89 s, of which train 80, corpus 5, report 4" in limit.note
    assert floor.theirs == pytest.approx((1 + 2 + 1) / len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("jobs", [[], ["report/report"], ["corpus/lua", "report/report"]])
def test_a_demo_that_was_not_built_in_one_go_has_no_row(jobs, tmp_path, monkeypatch, capsys):
    for i, name in enumerate(jobs):
        job(tmp_path, name, 1000 * (i + 1), 4)
    monkeypatch.setattr(demo, "LOGS", tmp_path)
    assert demo.measure(1) == []
    assert "make demo" in capsys.readouterr().out


def test_an_import_takes_time():
    assert 0.05 < demo.import_seconds("featflow.plan.snapshot") < 60


def test_the_large_study_is_a_valid_one_of_a_hundred_models(tmp_path):
    import yaml

    folder = dry_runs.checkout(tmp_path)
    config = yaml.safe_load((folder / "workflow_config.yaml").read_text())
    study = load(config).studies["large"]
    assert len(study.models) == 100 and list(study.saes) == ["main", "seed", "wide"]
    assert {"Snakefile", "rules", "featflow", "local"} <= {path.name for path in folder.iterdir()}


def test_the_jobs_of_a_dry_run_are_read_from_its_last_table():
    table = "Job stats:\njob      count\n-----  -------\nall      1\nsae    300\ntotal  301\n"
    assert dry_runs.jobs(f"Job stats:\nsae 2\n\nrule x\n{table}\nThis was a dry-run.\n") == {
        "all": 1,
        "sae": 300,
        "total": 301,
    }


def test_a_sweep_gives_what_mergekit_and_trainer_give(tmp_path, monkeypatch):
    pytest.importorskip("mergekit")
    monkeypatch.setattr(merging, "HERE", 3)
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))
    inputs = merging.Inputs(tmp_path, 2048)
    merging.featflow(inputs, tmp_path / "sweep.parquet")
    ours, theirs = pd.read_parquet(tmp_path / "sweep.parquet"), merging.peer(inputs)
    merging.check(ours, theirs)
    assert ours.loss.nunique() == 6
    ours.loc[0, "loss"] += 0.1
    with pytest.raises(AssertionError):
        merging.check(ours, theirs)


def test_the_rows_of_a_sweep_are_for_as_many_t():
    here = {"featflow": 1.0 * merging.HERE, "products": 0.5}
    with_peer = merging.rows_of([20, 200], {**here, "peer": 2.0 * merging.HERE})
    assert [row.ratio for row in with_peer] == [10, 2, 0.5]
    assert with_peer[0].reached and "50%" in with_peer[1].note
    assert [row.ratio for row in merging.rows_of([20], here)] == [0.5]
