"""docs/benchmarks.json, where measurements are kept, and docs/benchmarks.md, where people look.

The JSON has an object a column (`cpu`, `gpu`), in it one a benchmark. A run replaces what it
measured, and leaves the rest: a GPU's figures stay beside those of a CPU.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.rows import Row

TITLES = {
    "sae_step": "Training a sparse autoencoder",
    "feature_dump": "Feature dump",
    "correlation": "Correlation",
    "lm_training": "Training a language model",
    "merging": "Merge and sweep",
    "tokens": "Corpus and tokens",
    "dry_runs": "Dry runs",
    "memory": "Memory",
    "demo": "The demo",
}
"""Every benchmark, in the order of the page."""
COLUMNS = {"cpu": "On the CPU", "gpu": "On a GPU"}

INTRODUCTION = """# Benchmarks

Written by `make bench`; the raw figures are in [benchmarks.json](benchmarks.json). featflow and a
peer, or a limit of the hardware, take turns in one run on the same input; times are medians unless
a benchmark says otherwise (`.venv.peers/bin/python -m benchmarks.NAME --help`). A ratio says how
many times as fast as the other featflow is (for memory: how many times as small), so that more is
better.
"""


@dataclass
class Measured:
    """What a benchmark gave, and where and when."""

    moment: str
    machine: str
    peers: str
    seconds: float
    busy: str = ""
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failed: str = ""

    @property
    def origin(self) -> str:
        """When and on what, as sentences."""
        busy = f" **The machine was busy: {self.busy}.**" if self.busy else ""
        return f"{self.moment}. {self.machine}. {self.peers}.{busy}"


Columns = dict[str, dict[str, Measured]]


def dumps(columns: Columns) -> str:
    """The JSON."""
    found = {c: {n: asdict(m) for n, m in measured.items()} for c, measured in columns.items()}
    return json.dumps(found, indent=1) + "\n"


def loads(text: str) -> Columns:
    """What `dumps` gave."""
    return {
        column: {name: _measured(fields) for name, fields in measured.items()}
        for column, measured in json.loads(text).items()
    }


def _measured(fields: dict[str, Any]) -> Measured:
    return Measured(**{**fields, "rows": [Row(**row) for row in fields["rows"]]})


def updated(path: Path, column: str, measured: dict[str, Measured]) -> Columns:
    """What a file of measurements holds, with these in the place of earlier ones."""
    columns = loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    together = {**columns.get(column, {}), **measured}
    columns[column] = {name: together[name] for name in TITLES if name in together}
    return columns


def markdown(columns: Columns) -> str:
    """The page."""
    parts = [INTRODUCTION]
    for column, title in COLUMNS.items():
        found = columns.get(column)
        parts.append(f"## {title}\n")
        parts += _column(found) if found else ["Unmeasured: `make bench` ran on no such machine.\n"]
    return "\n".join(parts).rstrip() + "\n"


def _column(measured: dict[str, Measured]) -> list[str]:
    """The aims of all benchmarks in one table, then every benchmark with all its rows."""
    origins = {m.origin for m in measured.values()}
    one = origins.pop() if len(origins) == 1 else None
    parts = [f"{one}\n"] if one else []
    parts.append(_table(["what", "beside", "ratio", "aim", "reached"], _aims(measured)))
    for name, found in measured.items():
        parts.append(f"### {TITLES[name]}\n")
        command = f"`.venv.peers/bin/python -m benchmarks.{name}`"
        parts.append(f"{command}, {found.seconds:.0f} s.{'' if one else f' {found.origin}'}\n")
        if found.failed:
            parts.append(f"**Failed**: {_cell(found.failed)}\n")
        if found.rows:
            head = ["what", "beside", "featflow", "the other", "unit", "ratio", "aim", "note"]
            parts.append(_table(head, [_figures(row) for row in found.rows]))
        parts += [f"{_cell(remark)}\n" for remark in found.remarks]
    return parts


def _aims(measured: dict[str, Measured]) -> list[list[str]]:
    found = []
    for name, each in measured.items():
        if each.failed:
            found.append([TITLES[name], "", "", "", f"failed: {each.failed}"])
        for row in each.rows:
            if row.aim is not None:
                short = f"no, {1 - row.ratio / row.aim:.0%} short"
                reached = "yes" if row.reached else short
                found.append([row.what, row.beside, _ratio(row.ratio), f"{row.aim:g}", reached])
    return found


def _figures(row: Row) -> list[str]:
    aim = "" if row.aim is None else f"{row.aim:g}"
    figures = [_number(row.ours), _number(row.theirs), row.unit]
    return [row.what, row.beside, *figures, _ratio(row.ratio), aim, row.note]


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
