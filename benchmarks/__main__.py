"""Every benchmark, one after the other, and the page that tells what came out: `make bench`.

    .venv.peers/bin/python -m benchmarks [--only NAME …] [--seconds-factor 1] [--no-write]

Each runs in a process of its own for about as many seconds as it is given here, in all less than 15
minutes on two cores. docs/benchmarks.md and docs/benchmarks.json keep what was measured; --only
replaces the figures of the named ones alone. A benchmark that fails is told in the page, the others
go on, and the exit status is 1. Run it while the machine does nothing else.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, page
from benchmarks.page import Measured
from benchmarks.programs import ROOT
from benchmarks.rows import Row, show

SECONDS = {
    "sae_step": 40,
    "feature_dump": 25,
    "correlation": 110,
    "lm_training": 45,
    "merging": 40,
    "tokens": 25,
    "dry_runs": 15,
    "memory": 330,
    "demo": 10,
}
"""What each is given. It may take longer: inputs are made, and all contestants warm up."""
PATIENCE = 10
"""Times as long, and two minutes: then something is wrong."""


def main(arguments: list[str] | None = None) -> int:
    """Run benchmarks and write the page; the exit status."""
    given = _parser().parse_args(arguments)
    busy = machine.busy()
    if busy:
        print(f"The machine is busy: {busy}", flush=True)
    origin = Measured(machine.moment(), machine.described(), machine.versions(), 0.0, busy)
    start, measured = time.perf_counter(), {}
    for name in SECONDS:
        if name in (given.only or SECONDS):
            seconds = SECONDS[name] * given.seconds_factor
            print(f"\n{name}, about {seconds:.0f} s …", flush=True)
            found = measured[name] = run(name, seconds, replace(origin))
            show(found.rows)
            for line in [*found.remarks, *([f"FAILED: {found.failed}"] if found.failed else [])]:
                print(line, flush=True)
    print(f"\n{', '.join(measured)}: {time.perf_counter() - start:.0f} s in all")
    if given.write:
        write(machine.column(), measured)
    return 1 if any(found.failed for found in measured.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ", ".join(f"{name} ({seconds} s)" for name, seconds in SECONDS.items())
    more = {"choices": list(SECONDS), "metavar": "NAME"}
    parser.add_argument("--only", nargs="+", **more, help=f"some of: {names}")  # type: ignore[arg-type]
    parser.add_argument(
        "--seconds-factor",
        type=float,
        default=1.0,
        metavar="X",
        help="this many times the seconds: 0.2 for a quick look, 3 for steadier medians",
    )
    parser.add_argument(
        "--no-write", dest="write", action="store_false", help="leave docs/benchmarks.* as they are"
    )
    return parser


def run(name: str, seconds: float, found: Measured) -> Measured:
    """One benchmark in a process of its own: what it gives goes into `found`, or why it failed."""
    limit = PATIENCE * max(seconds, SECONDS[name]) + 120
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows.json")
        words = [sys.executable, "-m", f"benchmarks.{name}", "--seconds", str(seconds)]
        try:
            said = _said([*words, "--json", str(rows)], limit)
            found.rows = [Row(**fields) for fields in json.loads(rows.read_text())]
        except RuntimeError as error:
            found.failed = str(error)
        else:
            told = {"", *map(str, found.rows)}
            found.remarks = [line for line in said.splitlines() if line.strip() not in told]
    found.seconds = time.perf_counter() - start
    return found


def _said(words: list[str], limit: float) -> str:
    """What a process prints to stdout.

    Raises:
        RuntimeError: with its last line, when it fails or takes longer than `limit` seconds.
    """
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},  # as in every stage
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, errors = process.communicate(timeout=limit)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # its contestants, too
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise RuntimeError(f"stopped after {limit:.0f} s") from None
        raise
    if process.returncode:
        print(said + errors, file=sys.stderr, flush=True)
        lines = [line.strip() for line in (errors or said).splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"exit status {process.returncode}")
    return said


def write(column: str, measured: dict[str, Measured]) -> None:
    """Keep the measurements, and write the page anew."""
    text, raw = (ROOT / name for name in machine.PAGES)
    columns = page.updated(raw, column, measured)
    raw.write_text(page.dumps(columns), encoding="utf-8")
    text.write_text(page.markdown(columns), encoding="utf-8")
    print(f"wrote {' and '.join(machine.PAGES)}")


if __name__ == "__main__":
    sys.exit(main())
