"""What a benchmark gives: rows of a table, each a measurement beside a limit or a peer."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """featflow's figure beside another's, from the same run on the same input."""

    what: str
    """What was measured, with its sizes: "SAE step, n 256, m 4,096, float32"."""
    beside: str
    """The limit or the peer: "its five matrix products alone", "SAELens, float32"."""
    ours: float
    theirs: float
    unit: str
    """Of both: "tokens/s" (more is better), "s" or "GiB" (less is better)."""
    aim: float | None = None
    """The ratio that was aimed at (None: the row is for information)."""
    note: str = ""
    """What bounds it, what differs between the two."""

    @property
    def ratio(self) -> float:
        """How many times as fast (or small) featflow is."""
        more_is_better = self.unit.endswith("/s")
        return self.ours / self.theirs if more_is_better else self.theirs / self.ours

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is what was aimed at; None where nothing was."""
        return None if self.aim is None else self.ratio >= self.aim

    def __str__(self) -> str:
        aim = f"   aim {self.aim:g} ×" if self.aim is not None else ""
        figures = f"{self.ours:>12,.3g} {self.theirs:>12,.3g} {self.unit}"
        start = f"{self.what:<52} {self.beside:<36} {figures:<36}"
        return f"{start} {self.ratio:6.2f} ×{aim}  {self.note}".rstrip()


def interleaved(
    runs: Mapping[str, Run], seconds: float, least: int = 3, sync: Run = lambda: None
) -> dict[str, list[float]]:
    """Seconds of each call of each contestant, who take turns, so that whatever else the machine
    does falls on all alike. A first, untimed round warms up.

    Args:
        runs: the contestants.
        seconds: about how long the timed rounds take together.
        least: rounds at least.
        sync: called before each clock reading (for a GPU: torch.cuda.synchronize).
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < least:
        for name, run in runs.items():
            sync()
            start = time.perf_counter()
            run()
            sync()
            times[name].append(time.perf_counter() - start)
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's times."""
    return {name: statistics.median(each) for name, each in times.items()}


def show(rows: list[Row]) -> None:
    """Print a line a row."""
    for row in rows:
        print(row)


def main(measure: Callable[[float], list[Row]], doc: str | None, seconds: float) -> None:
    """The command line of a benchmark.

    Args:
        measure: gives the rows within about so many seconds.
        doc: the module's docstring, for --help.
        seconds: how long it takes unless --seconds says otherwise.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=seconds, help=f"in all ({seconds:g})")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    given = parser.parse_args()
    rows = measure(given.seconds)
    show(rows)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
