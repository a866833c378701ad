"""Every benchmark of `make bench` is there, and the harness tells what became of it."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks.__main__ as bench
from benchmarks import machine, page
from benchmarks.rows import Row


@pytest.fixture(autouse=True)
def _pages(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # which some set on import
    monkeypatch.setattr(machine, "PAGES", [str(tmp_path / name) for name in ("b.md", "b.json")])


@pytest.mark.parametrize("name", bench.SECONDS)
def test_a_benchmark_measures_and_says_what(name):
    module = import_module(f"benchmarks.{name}")
    assert list(inspect.signature(module.measure).parameters) == ["seconds"]
    assert f"-m benchmarks.{name}" in module.__doc__
    assert "main(measure, __doc__, " in Path(module.__file__).read_text()


def test_the_page_knows_them_all_and_they_take_less_than_15_minutes():
    assert list(bench.SECONDS) == list(page.TITLES)
    assert sum(bench.SECONDS.values()) < 15 * 60


def test_what_fails_is_told_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    asked = []

    def said(words, limit):
        asked.append((words[2], float(words[4]), limit))
        if words[2] == "benchmarks.sae_step":
            raise RuntimeError("ValueError: no such thing")
        Path(words[-1]).write_text('[{"what": "w", "beside": "b", "ours": 1, "theirs": 2, ')
        with Path(words[-1]).open("a") as file:
            file.write('"unit": "s", "aim": 3, "note": ""}]')
        return f"{Row('w', 'b', 1, 2, 's', 3)}\nno peer here\n"

    monkeypatch.setattr(bench, "_said", said)
    assert bench.main(["--only", "tokens", "sae_step", "--seconds-factor", "0.5"]) == 1
    assert [(name, seconds) for name, seconds, _ in asked] == [
        ("benchmarks.sae_step", bench.SECONDS["sae_step"] / 2),
        ("benchmarks.tokens", bench.SECONDS["tokens"] / 2),
    ]
    found = page.loads((tmp_path / "b.json").read_text())[machine.column()]
    assert found["sae_step"].failed == "ValueError: no such thing"
    assert found["tokens"].rows == [Row("w", "b", 1, 2, "s", 3)]
    assert found["tokens"].remarks == ["no peer here"]
    assert "failed: ValueError" in (tmp_path / "b.md").read_text()
    assert "FAILED: ValueError" in capsys.readouterr().out


def test_no_write_leaves_the_page_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(
        bench, "_said", lambda words, limit: Path(words[-1]).write_text("[]") and ""
    )
    assert bench.main(["--only", "demo", "--no-write"]) == 0
    assert not list(tmp_path.iterdir())


def test_the_last_line_of_a_failed_process_is_the_reason():
    with pytest.raises(RuntimeError, match=r"No module named benchmarks\.nothing"):
        bench._said([bench.sys.executable, "-m", "benchmarks.nothing"], limit=60)


def test_a_process_that_takes_too_long_is_stopped_with_its_children():
    words = [bench.sys.executable, "-c", "import os; os.system('sleep 60')"]
    with pytest.raises(RuntimeError, match="stopped after 1 s"):
        bench._said(words, limit=1)


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (40.0, 0.0, 0.0))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(2))
    assert machine.busy().startswith("load 40.0 on 2 cores")
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (0.4, 40.0, 40.0))
    assert machine.busy() == ""


def test_the_machine_is_described_without_its_name():
    text = machine.described()
    assert "cores" in text and "GiB" in text and "torch" in text
    assert machine.platform.node() not in text
    assert "commit" in machine.moment()
