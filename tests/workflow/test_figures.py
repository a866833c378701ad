"""Figures in the workflow: Snakemake's own report, and a machine without a Chromium."""

import json
import re
import zipfile

import pytest

from featflow.plan import paths
from tests.workflow.conftest import dry_run, snakemake
from tests.workflow.test_tiny import edited

pytestmark = pytest.mark.workflow

NO_BROWSER = {"BROWSER_PATH": "/nowhere/chromium"}
FIGURES = "figures: {draw:"
WITH_SVG = "figures: {formats: [html, svg], draw:"


def test_snakemakes_report_has_what_a_reader_wants(tiny, tmp_path):
    result = snakemake(tiny, "--profile", "local", "--report", str(tmp_path / "report.zip"))
    assert result.returncode == 0, result.stderr
    assert "mimetype" not in result.stderr
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        page = archive.read("report/report.html").decode()
        files = [name.rsplit("/", 1)[1] for name in archive.namelist() if "/data/raw/" in name]
    models = ("base", "lua", "more", "merged")
    tables = ["edges.csv", "strata.csv", *(f"{m}.json" for m in models), *["metrics.json"] * 6]
    tables += ["random.json", "assignment.json"]
    assert sorted(files) == sorted([*tables, "flow.html", "sweep.html"])
    assert not re.search(r'<(?:script|link|img)[^>]*(?:src|href)="https?:', page)
    results, _ = json.JSONDecoder().raw_decode("{" + page.split("var results = {")[1])
    captions = {path: entry["caption"] for path, entry in results.items()}
    edges = captions[paths.FLOW_EDGES.at(study="tiny", sae="main")]
    assert "<strong>main</strong>" in edges and "ceiling" in edges
    assert "<strong>lua</strong>" in captions[paths.EVALUATE.at(study="tiny", model="lua")]
    assert all("{{" not in caption and caption for caption in captions.values())


def test_without_a_browser_images_are_left_out_of_all(tiny):
    svg = paths.FIGURE.at(study="tiny", figure="flow", format="svg")
    with edited(tiny, "workflow_config.yaml", FIGURES, WITH_SVG):
        result = snakemake(tiny, "-n", "--profile", "local", **NO_BROWSER)
        assert dry_run(tiny, "--profile", "local", **NO_BROWSER) == set()
        asked = {job.wildcards for job in dry_run(tiny, svg, "--profile", "local", **NO_BROWSER)}
    assert (result.stdout + result.stderr).count("featflow: figures as svg are left out") == 1
    assert asked == {"study=tiny, figure=flow, format=svg"}


def test_an_image_without_a_browser_fails_with_the_remedy(tiny):
    svg = paths.FIGURE.at(study="tiny", figure="sweep", format="svg")
    result = snakemake(tiny, svg, "--profile", "local", **NO_BROWSER)
    assert result.returncode != 0
    log = (tiny / "logs/tiny/figure/sweep.svg.log").read_text()
    assert "apt install chromium" in log and "formats: [html]" in log and "Traceback" not in log
    assert not [path for path in (tiny / svg).parent.iterdir() if ".svg" in path.name]


@pytest.mark.browser
def test_an_image_is_drawn_by_the_rule(tiny):
    svg = paths.FIGURE.at(study="tiny", figure="sweep", format="svg")
    result = snakemake(tiny, svg, "--profile", "local")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tiny / svg).read_text().startswith("<svg")
    (tiny / svg).unlink()
