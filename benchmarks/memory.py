"""Resident memory of every stage at the paper's sizes, and whether it grows with the tokens.

    .venv/bin/python -m benchmarks.memory [--seconds 300]

Each stage runs at the paper's widths (hidden 512, n = 1,024, m = 16,384, vocabulary 32,000, batches
of 64 × 256 tokens and of 128 windows of 24) on two reduced numbers of tokens; its peak is drawn as
a straight line to the paper's number. Memory is what the kernel cannot take back: mapped files are
left out (benchmarks/processes.py), and the heap gives back what is freed. Arrays go to scratch
files from 4 MiB on, as they would from 256 MiB on at the full size. Peaks that differ by less than
8 MiB count as equal: the line would be drawn through noise. Where the time is up, the stages that
are left are named and left out.
"""

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import processes, rows
from benchmarks.inputs import Size
from benchmarks.making import TEXT_BYTES
from benchmarks.rows import Row
from benchmarks.stages import STAGES

SECONDS = 300.0
LIMIT = 16.0
"""GiB."""
GIB = 2**30
FLAT = 2**23
"""Bytes by which peaks must differ to be a growth."""

PAPER = Size(
    hidden=512,
    width=1024,
    heads=16,
    vocabulary=32_000,
    context=256,
    features=16_384,
    firing=30,
)
CORPUS = 167_800_000
"""Training tokens of each of the base model's two corpora."""
PROBE = 1_500_000
"""Probe tokens of each of four corpora."""
EVALUATED = 200_000
"""Tokens of a corpus that models and SAEs are evaluated on."""


@dataclass(frozen=True)
class Trial:
    """A stage at two sizes, and the one that counts."""

    small: int
    """Tokens of each corpus."""
    large: int
    paper: int
    of: Mapping[str, Any] = field(default_factory=dict)
    """What else of the size is not `PAPER`'s."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the function that makes the inputs."""

    def size(self, tokens: int) -> Size:
        """The size with so many tokens."""
        return replace(PAPER, tokens=tokens, **self.of)


TWO = {"corpora": 2}
STEP = {"steps": 1, "batch": 64}
PASS = 3_456
"""Rows of windows of a pass of the LM. From two passes on (one is read while one is written) no
buffer fills any more, which would look like growth."""

TRIALS = {
    "sae": Trial(100_000, 300_000, 15_000_000, more={"visits": 3 * 128 * 24}),
    "correlation": Trial(25_000, 75_000, 2 * PROBE, TWO),
    "shares": Trial(60_000, 120_000, 2 * PROBE, TWO, {"bootstrap": 10}),
    "dashboards": Trial(25_000, 75_000, 2 * PROBE, TWO),
    "features": Trial(2 * PASS, 5 * PASS, 4 * PROBE),
    "transfer": Trial(2 * PASS, 4 * PASS, 4 * PROBE),
    "train": Trial(5_000_000, 15_000_000, CORPUS, TWO, STEP),
    "finetune": Trial(5_000_000, 15_000_000, CORPUS, TWO, STEP),
    "tokens": Trial(2_000_000, 4_000_000, CORPUS // TEXT_BYTES, more={"words": False}),
    "metrics": Trial(2 * PASS, 4 * PASS, 4 * EVALUATED),
    "evaluate": Trial(8_192, 24_576, 4 * EVALUATED),
    "sweep": Trial(8_192, 24_576, 2 * EVALUATED, {"points": 2}),
    "activations": Trial(50_000, 150_000, 5_000_000),
    "case": Trial(50_000, 150_000, 2 * PROBE, TWO),
    "interpret": Trial(50_000, 150_000, 2 * PROBE, TWO),
    "corpus": Trial(20_000_000, 40_000_000, CORPUS, more={"words": False}),
    "tokenizer": Trial(
        10_000_000, 30_000_000, CORPUS, {"vocabulary": 4096}, {"words": False, "sample": 10**5}
    ),
    "merge": Trial(0, 0, 0),
    "flow": Trial(5_000, 5_000, 5_000, {"models": 3}),
    "controls": Trial(5_000, 5_000, 5_000, {"models": 4}),
}
"""The heaviest first."""


def measure(seconds: float) -> list[Row]:
    """A row a stage, until the time is up. Two run side by side: memory is no matter of speed."""
    processes.prepare(processes.HEAP | processes.SCRATCH)
    end = time.perf_counter() + seconds

    def in_time(stage: str) -> Row | None:
        return row(stage, TRIALS[stage]) if time.perf_counter() < end else None

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(TRIALS, pool.map(in_time, TRIALS), strict=True))
    if left := [stage for stage, its_row in found.items() if its_row is None]:
        print(f"no time for {', '.join(left)}: --seconds gives more")
    return [its_row for its_row in found.values() if its_row is not None]


def row(stage: str, trial: Trial) -> Row:
    """What a stage holds at the paper's size."""
    sizes = sorted({trial.small, trial.large})
    held = [peak(stage, trial.size(tokens), trial.more) for tokens in sizes]
    corpora = trial.size(0).corpora
    more, tokens = held[-1] - held[0], corpora * (sizes[-1] - sizes[0])
    growth = more / tokens if more > FLAT else 0.0
    ours = held[-1] + growth * corpora * (trial.paper - sizes[-1])
    note = f"{held[-1] / GIB:.2f} GiB"
    if tokens:
        grown = f"{growth:+.1f} bytes a token" if growth else "flat from there"
        note += f" at {corpora * sizes[-1]:,} tokens, {grown} to {corpora * trial.paper:,}"
    return Row(
        what=f"resident memory of {stage}, at the paper's size",
        beside="the limit",
        ours=ours / GIB,
        theirs=LIMIT,
        unit="GiB",
        aim=1.0,
        note=note,
    )


def peak(stage: str, size: Size, more: Mapping[str, Any]) -> int:
    """Bytes at most, the imports' included."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="featflow-") as name:
        folder = Path(name)
        made = processes.call(STAGES[stage], size, folder=folder, **more)
        return processes.stage(made.result, folder).peak


if __name__ == "__main__":
    rows.main(measure, __doc__, SECONDS)
