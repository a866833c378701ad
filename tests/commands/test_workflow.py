"""How Snakemake's own words are read, and that the commands say what it would do."""

import re
import shutil
import subprocess
import sys

import pytest

from featflow.commands import menu, workflow
from featflow.commands.check import job_lines
from featflow.config import FeatflowError, load
from tests.commands.conftest import CONFIG
from tests.workflow.conftest import copy_checkout

HEAD = "output_file\tdate\trule\tlog-file(s)\tstatus\tplan\n"


@pytest.mark.parametrize(
    ("row", "state", "pending"),
    [
        ("a\tMon\tcorpus\t-\tok\tno update", "up to date", False),
        ("a\tMon\tcorpus\t-\tok\tupdate pending", "out of date (what it is made from is)", True),
        ("a\tMon\tcorpus\t-\tparams changed\tupdate pending", "out of date (params changed)", True),
        ("a\t-\tfeatures_demo\t-\tmissing\tupdate pending", "not made", True),
        ("a\t-\tcorpus\t-\tmissing\tno update", "not made, and nothing needs it", False),
    ],
)
def test_a_row_of_the_summary(row, state, pending):
    target = workflow._target(workflow._rows(f"noise\n{HEAD}{row}\n")[0])
    assert (target.state, target.pending) == (state, pending)
    assert target.stage in ("corpus", "features")


def test_the_table_of_a_dry_run():
    earlier = "Job stats:\njob  count\n---  ---\nsae  9\ntotal  9\n\n"
    rows = "features_a  2\nfeatures_b  1\nsae  3\nall  1\ntotal  7\n\n"
    printed = f"{earlier}Job stats:\njob    count\n-----  ---\n{rows}Reasons:\n  forced 5\n"
    assert workflow._statistics(printed) == {"features": 3, "sae": 3}
    assert workflow._statistics("Nothing to be done\n") == {}


def test_jobs_in_lines():
    lines = job_lines({"sae": workflow.Jobs(2, 5), "corpus": workflow.Jobs(0, 4)})
    assert lines == [
        "          to run  up to date  in all",
        "  corpus       0           4       4",
        "  sae          2           3       5",
        "  total        2           7       9",
    ]


def test_menu_groups_by_stage_and_puts_the_folder_s_handle_first():
    found = menu.lines(
        [
            workflow.Target("results/a/figures/flow.html", "figure", "not made", True),
            workflow.Target("results/a/sae/x/main/a.parquet", "sae", "up to date", False),
            workflow.Target("results/a/sae/x/main/cfg.json", "sae", "up to date", False),
        ]
    )
    assert found == [
        "# sae: train a sparse autoencoder",
        "results/a/sae/x/main/cfg.json   up to date",
        "results/a/sae/x/main/a.parquet  up to date",
        "",
        "# figure: draw a figure",
        "results/a/figures/flow.html     not made",
    ]


def test_outside_of_the_clone(tmp_path, monkeypatch, shipped):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FeatflowError, match="no Snakefile here"):
        workflow.jobs(shipped, "demo")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("clone"), CONFIG)


def featflow(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "featflow", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.workflow
def test_check_of_the_paper(checkout):
    result = featflow(checkout, "check", "paper")
    assert result.returncode == 0, result.stderr
    jobs = dict(re.findall(r"^  (\w+) +(\d+) +0 +\2$", result.stdout, re.M))
    assert (jobs["activations"], jobs["sae"], jobs["correlation"]) == ("21", "14", "5")
    assert int(jobs["total"]) == sum(int(n) for stage, n in jobs.items() if stage != "total")
    assert "└─ tinystories" in result.stdout and "not counted" in result.stdout
    assert "\x1b" not in result.stdout and not (checkout / "results").exists()


@pytest.mark.workflow
def test_check_and_menu_of_another_file(checkout, tmp_path):
    other = tmp_path / "other.yaml"
    shutil.copy(CONFIG.parent / "tests/workflow/tiny.yaml", other)
    result = featflow(checkout, "menu", "--config", str(other), "--stage", "sae")
    assert result.returncode == 0, result.stderr
    assert "results/tiny/sae/merged/main/cfg.json" in result.stdout
    assert "results/demo" not in result.stdout


@pytest.mark.workflow
def test_menu_knows_what_is_there(checkout):
    asked = load(checkout / "workflow_config.yaml")
    found = {t.path: t for t in _targets(checkout, asked)}
    assert found["results/demo/sae/lua/main/cfg.json"].state == "not made"
    assert found["results/demo/figures/flow.pdf"].state == "on request"
    assert not found["results/demo/figures/flow.pdf"].pending
    stale = featflow(checkout, "menu", "--stale").stdout
    assert "flow.pdf" not in stale and "figures/flow.html" in stale


def _targets(checkout, asked):
    from featflow.plan.slicer import Slices

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout)
        slices = Slices("demo", asked.studies["demo"])
        return workflow.targets(asked, "demo", menu.on_request(slices))


@pytest.mark.workflow
def test_what_snakemake_cannot_plan_is_passed_on(checkout, tmp_path):
    text = CONFIG.read_text().replace("${FEATFLOW_CORPORA}", "/nowhere")
    other = tmp_path / "other.yaml"
    other.write_text(text)
    result = featflow(checkout, "menu", "desk", "--config", str(other))
    assert result.returncode == 1 and "Snakemake cannot plan study desk" in result.stderr
    assert "'/nowhere/babylm.jsonl.gz' matches no file" in result.stderr
    assert "Traceback" not in result.stderr
