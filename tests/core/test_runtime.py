"""Progress is said, and counts what an earlier run has done."""

import logging

import pytest

from featflow.core import runtime


@pytest.fixture
def said(monkeypatch):
    monkeypatch.setattr(runtime, "SECONDS_BETWEEN_LINES", 0)
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    monkeypatch.setattr(runtime.log, "handlers", [handler])
    level = runtime.log.level
    runtime.log.setLevel(logging.INFO)  # the logger caches what its level allows
    yield records
    runtime.log.setLevel(level)


def test_items_pass_unchanged_and_lines_count(said):
    assert list(runtime.progress([5, 6, 7, 8], "steps")) == [5, 6, 7, 8]
    assert [line.split(" steps")[0] for line in said] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert "(100%)" in said[-1] and "00:00:00 left" in said[-1]


def test_a_resumed_run_counts_from_where_it_was(said):
    list(runtime.progress(range(3, 5), "steps", done=3))
    assert [line.split(" steps")[0] for line in said] == ["4 of 5", "5 of 5"]


def test_an_unknown_total_is_left_out(said):
    list(runtime.progress(iter("ab"), "documents"))
    assert said[-1].startswith("2 documents, ")


def test_the_log_file_gets_what_the_terminal_gets(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runtime.log, "handlers", [])
    runtime.set_up_logging("sae", tmp_path / "logs" / "x.log")
    runtime.log.info("half way")
    assert "sae: half way" in capsys.readouterr().err
    assert "sae: half way" in (tmp_path / "logs" / "x.log").read_text()
    runtime.log.handlers.clear()
    runtime.log.propagate = True
