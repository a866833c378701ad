"""Progress is said, and counts what an earlier run has done."""

import logging

import pytest

from featflow.runtime import log


@pytest.fixture
def said(monkeypatch):
    monkeypatch.setattr(log, "SECONDS_BETWEEN_LINES", 0)
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    monkeypatch.setattr(log.log, "handlers", [handler])
    level = log.log.level
    log.log.setLevel(logging.INFO)  # the logger caches what its level allows
    yield records
    log.log.setLevel(level)


def test_items_pass_unchanged_and_lines_count(said):
    assert list(log.progress([5, 6, 7, 8], "steps")) == [5, 6, 7, 8]
    assert [line.split(" steps")[0] for line in said] == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]
    assert "(100%)" in said[-1] and "00:00:00 left" in said[-1]


def test_a_resumed_run_counts_from_where_it_was(said):
    list(log.progress(range(3, 5), "steps", done=3))
    assert [line.split(" steps")[0] for line in said] == ["4 of 5", "5 of 5"]


def test_an_unknown_total_is_left_out(said):
    list(log.progress(iter("ab"), "documents"))
    assert said[-1].startswith("2 documents, ")


def test_the_log_file_gets_what_the_terminal_gets(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(log.log, "handlers", [])
    log.set_up_logging("sae", tmp_path / "logs" / "x.log")
    log.log.info("half way")
    assert "sae: half way" in capsys.readouterr().err
    assert "sae: half way" in (tmp_path / "logs" / "x.log").read_text()
    log.log.handlers.clear()
    log.log.propagate = True
