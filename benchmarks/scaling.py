"""How the cost of every stage grows: measured at three sizes of each thing, and fitted.

    .venv/bin/python -m benchmarks.scaling [--stages correlation sae] [--write]

Every stage (benchmarks/stages.py) runs on synthetic inputs at a small size, and at a middle and a
large value of each thing that its cost depends on. Its law (benchmarks/laws.py) is fitted to the
small and the large ones alone; the middle ones say whether it holds. Imports are done before; the
clock starts with the stage. --write puts the tables into docs/scaling.md, with what they predict
(benchmarks/predictions.py).
"""

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks import machine, processes
from benchmarks.laws import LAWS, Law
from benchmarks.stages import STAGES

PAGE = Path("docs/scaling.md")
ROUNDS = 2
"""Runs of each size; the fastest counts, since other processes only slow one down."""

UNITS = {"tokens": "token", "features": "feature", "models": "model", "points": "t"}
"""Along which memory and disk are told, a unit."""
LEAST = 25e6
"""Bytes by which memory must differ to be told: less is the allocator's, or a batch not full."""

CLOCKS = {"seconds": "seconds on the clock", "cpu": "CPU seconds of all threads together"}

Point = tuple[str, int]


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    seconds: float
    cpu: float
    peak: float
    """Bytes of memory that are no file's, beside the imports'."""
    disk: float
    """Bytes written."""


@dataclass(frozen=True)
class Fit:
    """A stage's law with its constants, and how far the middle sizes are from it."""

    start: float
    constants: dict[str, float]
    """Seconds for one of each term."""
    residuals: dict[str, float]
    """By axis: measured over predicted, less 1."""

    def seconds(self, law: Law, size) -> float:
        """What the law says of a size."""
        found = sum(c * law.terms[name](size) for name, c in self.constants.items())
        return self.start + float(found)


def measure(stage: str, law: Law, rounds: int = ROUNDS) -> dict[Point, Cost]:
    """A stage at all sizes of its law."""
    return {point: cost(stage, size, law, rounds) for point, size in law.points().items()}


def cost(stage: str, size, law: Law, rounds: int) -> Cost:
    """The best of some runs, each in a folder of its own."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="featflow-") as name:
            folder = Path(name)
            made = processes.call(STAGES[stage], size, folder=folder, **law.more)
            before = _bytes(folder)
            run = processes.stage(made.result, folder)
            disk = _bytes(folder) - before
            found.append(Cost(run.seconds, run.cpu, run.peak - run.start, disk))
    return Cost(*(min(getattr(each, key) for each in found) for key in Cost.__annotations__))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fit(law: Law, costs: dict[Point, Cost], clock: str = "seconds") -> Fit:
    """The constants, none negative, of least relative error at the small and large sizes."""
    sizes = law.points()
    taken = [point for point in sizes if point[1] != 1]
    seconds = np.array([getattr(costs[point], clock) for point in taken])
    columns = [np.ones(len(taken))]
    columns += [np.array([term(sizes[point]) for point in taken]) for term in law.terms.values()]
    scales = np.array([column.max() for column in columns])
    matrix = np.stack([c / s for c, s in zip(columns, scales, strict=True)], axis=1)
    found, _ = nnls(matrix / seconds[:, None], np.ones(len(taken)))
    start, *rest = found / scales
    fitted = Fit(float(start), dict(zip(law.terms, map(float, rest), strict=True)), {})
    middle = {axis: (axis, 1) for axis in law.axes}
    fitted.residuals.update(
        {
            axis: getattr(costs[point], clock) / fitted.seconds(law, sizes[point]) - 1
            for axis, point in middle.items()
        }
    )
    return fitted


def growth(law: Law, costs: dict[Point, Cost], what: str) -> dict[str, float]:
    """Bytes of memory or disk that one more token, feature, model or t takes."""
    sizes, found = law.points(), {}
    for axis in law.axes:
        if axis in UNITS:
            more = getattr(costs[axis, 2], what) - getattr(costs["", 0], what)
            count = getattr(sizes[axis, 2], axis) - getattr(law.base, axis)
            count *= law.base.corpora if axis == "tokens" else 1
            if more > (LEAST if what == "peak" else 0.01 * LEAST):
                found[axis] = more / count
    return found


def time_table(fits: dict[str, Fit]) -> str:
    """Constants and residuals of every stage."""
    lines = ["| stage | seconds | middle sizes |", "|---|---|---|"]
    for stage, found in fits.items():
        terms = [f"{_seconds(c)} × {name}" for name, c in found.constants.items() if c]
        off = ", ".join(f"{_axis(axis)} {100 * r:+.0f} %" for axis, r in found.residuals.items())
        lines.append(f"| {stage} | {' + '.join([f'{found.start:.2f} s', *terms])} | {off} |")
    return "\n".join(lines)


def memory_table(costs: dict[str, dict[Point, Cost]]) -> str:
    """Memory at the smallest size, and what memory and disk grow by."""
    lines = ["| stage | memory at the small size | grows by | disk grows by |", "|---|---|---|---|"]
    for stage, own in costs.items():
        told = [
            ", ".join(f"{_size(b)} a {UNITS[axis]}" for axis, b in found.items()) or "–"
            for found in (growth(LAWS[stage], own, what) for what in ("peak", "disk"))
        ]
        lines.append(f"| {stage} | {own['', 0].peak / 1e6:.0f} MB | {' | '.join(told)} |")
    return "\n".join(lines)


def _axis(axis: str) -> str:
    return {"features": "m", "hidden": "h, n", "firing": "L0", "points": "t"}.get(axis, axis)


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9), ("ps", 1e-12)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-15:.3g} fs"


def _size(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} B"


def written(page: str, parts: dict[str, str]) -> str:
    """A page with the parts between their markers put in anew.

    Raises:
        ValueError: when a marker is missing.
    """
    for name, text in parts.items():
        marks = f"<!-- {name} -->", f"<!-- /{name} -->"
        if any(page.count(mark) != 1 for mark in marks):
            raise ValueError(f"{PAGE} needs {marks[0]} and {marks[1]}, once each")
        before, rest = page.split(marks[0])
        page = f"{before}{marks[0]}\n{text}\n{marks[1]}{rest.split(marks[1])[1]}"
    return page


def tables(
    costs: dict[str, dict[Point, Cost]], fits: dict[str, Fit], clock: str, rounds: int
) -> dict[str, str]:
    """All that is written into the page, by the name of its mark."""
    from benchmarks import predictions

    cores = (os.cpu_count() or 1) if clock == "seconds" else 1
    best = "one run" if rounds == 1 else f"the fastest of {rounds} runs"
    return {
        "machine": f"{machine.described()}; {CLOCKS[clock]}, {best} of each size.",
        "time": time_table(fits),
        "memory": memory_table(costs),
        **predictions.tables(fits, cores),
    }


def main() -> None:
    """Measure, print, and with --write put the tables into the page."""

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stages", nargs="+", choices=list(LAWS), default=list(LAWS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each size ({ROUNDS})")
    parser.add_argument("--clock", choices=list(CLOCKS), default="seconds", help="to fit")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    given = parser.parse_args()
    if given.write and len(given.stages) < len(LAWS):
        parser.error("--write needs all stages")
    processes.prepare()
    costs, fits = {}, {}
    for stage in given.stages:
        costs[stage] = measure(stage, LAWS[stage], given.rounds)
        fits[stage] = fit(LAWS[stage], costs[stage], given.clock)
        print(time_table({stage: fits[stage]}).splitlines()[-1], flush=True)
    print("\n" + memory_table(costs))
    if given.json:
        plain = {s: {f"{a}.{i}": vars(c) for (a, i), c in own.items()} for s, own in costs.items()}
        given.json.write_text(json.dumps(plain, indent=1) + "\n")
    if given.write:
        PAGE.write_text(written(PAGE.read_text(), tables(costs, fits, given.clock, given.rounds)))


if __name__ == "__main__":
    main()
