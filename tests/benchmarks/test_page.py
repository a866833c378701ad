"""From rows to docs/benchmarks.md and docs/benchmarks.json, and back."""

import json
from dataclasses import replace

import pytest

from benchmarks import page
from benchmarks.page import Measured
from benchmarks.rows import Row

HERE = Measured("2026-01-02, commit abc", "a processor, 2 cores, no GPU", "scipy 1", 12.3)
FAST = Row("tokens", "a | peer", 900, 1000, "tokens/s", aim=0.8, note="parquet\nread")
SLOW = Row("sweep", "mergekit", 4, 10, "s", aim=5)
INFORMATION = Row("sweep", "its products", 4, 1, "s")


@pytest.fixture
def measured():
    return {
        "tokens": replace(HERE, rows=[FAST]),
        "merging": replace(HERE, rows=[SLOW, INFORMATION], remarks=["left out: a peer"]),
    }


def table(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose head begins so, its head left out."""
    block = text[text.index(head) :].split("\n\n")[0]
    return [
        [c.strip() for c in line.replace("\\|", "¦").strip("|\n").split("|")]
        for line in block.splitlines()[2:]
    ]


def test_aims_say_what_is_reached_and_by_how_much_not(measured):
    text = page.markdown({"cpu": measured})
    assert table(text, "| what | beside | ratio | aim") == [
        ["tokens", "a ¦ peer", "0.90", "0.8", "yes"],
        ["sweep", "mergekit", "2.50", "5", "no, 50% short"],
    ]


def test_every_row_is_in_the_table_of_its_benchmark_with_its_raw_figures(measured):
    text = page.markdown({"cpu": measured})
    section = text[text.index("### Merge and sweep") :]
    assert table(section, "| what | beside | featflow") == [
        ["sweep", "mergekit", "4", "10", "s", "2.50", "5", ""],
        ["sweep", "its products", "4", "1", "s", "0.25", "", ""],
    ]
    assert "benchmarks.merging`, 12 s." in section and "left out: a peer" in section
    assert "| parquet read |" in text


def test_a_failure_is_told_in_both_tables(measured):
    measured["merging"] = replace(HERE, failed="ValueError: no | t")
    text = page.markdown({"cpu": measured})
    assert ["Merge and sweep", "", "", "", "failed: ValueError: no ¦ t"] in table(text, "| what")
    assert "**Failed**: ValueError: no \\| t" in text


def test_the_column_that_no_machine_measured_is_named(measured):
    assert page.markdown({"cpu": measured}).count("Unmeasured") == 1
    assert page.markdown({"gpu": measured}).count("Unmeasured") == 1
    assert page.markdown({"cpu": measured, "gpu": measured}).count("Unmeasured") == 0


def test_the_origin_stands_once_or_beside_what_is_from_elsewhere(measured):
    assert page.markdown({"cpu": measured}).count("a processor, 2 cores") == 1
    measured["tokens"].moment, measured["tokens"].busy = "2026-01-03, commit def", "load 9"
    text = page.markdown({"cpu": measured})
    assert text.count("a processor, 2 cores") == 2 and "2026-01-03, commit def" in text
    assert "busy: load 9" in text


def test_a_run_replaces_what_it_measured_and_nothing_else(measured, tmp_path):
    file = tmp_path / "benchmarks.json"
    file.write_text(page.dumps(page.updated(file, "cpu", measured)))
    assert page.loads(file.read_text()) == {"cpu": measured}
    again = {"tokens": replace(HERE, moment="later", rows=[replace(FAST, ours=1)])}
    for column in ("cpu", "gpu"):
        file.write_text(page.dumps(page.updated(file, column, again)))
    found = page.loads(file.read_text())
    assert found == {"cpu": {**measured, **again}, "gpu": again}
    assert list(found["cpu"]) == ["merging", "tokens"]  # in the page's order
    assert json.loads(file.read_text())["gpu"]["tokens"]["rows"][0]["ours"] == 1
