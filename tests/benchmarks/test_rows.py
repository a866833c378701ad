"""What a benchmark gives, and that contestants take turns."""

import json
import sys

import pytest

from benchmarks import rows
from benchmarks.rows import Row


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "ratio"),
    [("tokens/s", 30, 10, 3), ("s", 2, 10, 5), ("GiB", 8, 4, 0.5)],
)
def test_a_ratio_above_one_is_better_whatever_the_unit(unit, ours, theirs, ratio):
    row = Row("what", "beside", ours, theirs, unit)
    assert row.ratio == ratio and row.reached is None
    assert Row("what", "beside", ours, theirs, unit, aim=ratio).reached
    assert Row("what", "beside", ours, theirs, unit, aim=ratio * 1.01).reached is False


def test_contestants_take_turns_after_a_round_that_is_not_timed():
    called: list[str] = []
    runs = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    times = rows.interleaved(runs, seconds=0, least=3)
    assert called == ["a", "b"] * 4
    assert {name: len(each) for name, each in times.items()} == {"a": 3, "b": 3}
    assert rows.medians({"a": [3.0, 1.0, 2.0]}) == {"a": 2.0}


def test_the_command_line_prints_rows_and_writes_them(tmp_path, monkeypatch, capsys):
    asked: list[float] = []
    row = Row("step, n 256", "a peer", 1234567, 100, "tokens/s", aim=4, note="bound by memory")

    def measure(seconds: float) -> list[Row]:
        asked.append(seconds)
        return [row]

    file = tmp_path / "rows.json"
    monkeypatch.setattr(sys, "argv", ["name", "--seconds", "0.5", "--json", str(file)])
    rows.main(measure, "What it is.", 40)
    assert asked == [0.5]
    assert [Row(**fields) for fields in json.loads(file.read_text())] == [row]
    assert capsys.readouterr().out == f"{row}\n"
    assert "12345" in f"{row}" and "bound by memory" in f"{row}" and "aim 4" in f"{row}"
