"""The peak of a stage's memory does not grow with the tokens that it reads, or makes.

Each stage runs as the workflow runs it, on T tokens and on some 4 T, in dictionaries and models so
small that holding all tokens in any form would show. Only memory that the kernel cannot take back
counts (benchmarks/processes.py). Beside every stage stand processes that do hold what it reads or
makes: the same check must fail for them.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import processes
from benchmarks.inputs import Size
from benchmarks.stages import STAGES
from tests.memory import holding

MILLION = 10**6

SMALL = Size(hidden=32, width=64, heads=2, features=256, vocabulary=300)

STREAMS = "results/*/tokens/**/*.safetensors"
DUMPS = "results/*/features/**/*.safetensors"
SHARDS = "results/*/activations/**/*.safetensors"
DOCUMENTS = "results/*/corpus/**/*.parquet"
MODEL = "between"


@dataclass(frozen=True)
class Trial:
    """A stage at two sizes."""

    small: Size
    large: Size
    held: tuple[str, ...]
    """What a stage might hold: files that it reads or makes, or what its model computes."""
    limit: int = 25 * MILLION
    """Bytes by which its peak may differ: buffers that are filled, or not."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the function that makes its inputs."""


def few(small: int, large: int, *held: str, **of: Any) -> Trial:
    """A stage that computes a model: on so many tokens, of streams that hold millions more."""
    sizes = (replace(SMALL, tokens=n, spare=500 * n, **of) for n in (small, large))
    return Trial(*sizes, held=held)


def dumped(**more: Any) -> Trial:
    """A stage that reads dumps."""
    sizes = (replace(SMALL, tokens=n, corpora=2, firing=64) for n in (25_000, 65_000))
    return Trial(*sizes, held=(DUMPS,), limit=25 * MILLION // 2, more=more)


def trained() -> Trial:
    """A few steps on streams of any length."""
    sizes = (replace(SMALL, tokens=n) for n in (10 * MILLION, 40 * MILLION))
    return Trial(*sizes, held=(STREAMS,), more={"steps": 4})


LETTERS = {"words": False}

TRIALS = {
    "corpus": Trial(
        *(Size(tokens=n) for n in (10 * MILLION, 40 * MILLION)),
        held=("files/*", DOCUMENTS),
        limit=35 * MILLION,  # three writers' row groups of 16 MB
        more=LETTERS,
    ),
    "tokenizer": Trial(
        *(Size(tokens=n) for n in (10 * MILLION, 40 * MILLION)),
        held=(DOCUMENTS,),
        more={**LETTERS, "sample": 100_000},
    ),
    "tokens": Trial(
        *(Size(tokens=n) for n in (5 * MILLION // 2, 9 * MILLION)),  # two batches are full
        held=(STREAMS,),
        limit=20 * MILLION,
        more=LETTERS,
    ),
    "train": trained(),
    "finetune": trained(),
    "sweep": few(10_000, 40_000, STREAMS, MODEL),
    "evaluate": few(10_000, 40_000, STREAMS, MODEL),
    "activations": few(20_000, 80_000, STREAMS, SHARDS, MODEL, width=512),
    "sae": Trial(
        *(replace(SMALL, tokens=n, width=256) for n in (70_000, 210_000)),
        held=(SHARDS,),
        more={"visits": 40_000},
    ),
    "metrics": few(10_000, 40_000, STREAMS, MODEL),
    "features": few(20_000, 80_000, STREAMS, DUMPS, MODEL, firing=80),
    "correlation": dumped(),
    "shares": dumped(),
    "transfer": few(10_000, 40_000, STREAMS, MODEL),
    "case": dumped(),
    "interpret": dumped(explained=3),
    "dashboards": dumped(),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _server() -> None:
    processes.prepare(processes.HEAP | processes.ONE_THREAD | processes.SCRATCH)


@pytest.fixture
def folders() -> Iterator[list[Path]]:
    """Two folders on a disk: files of a file system in memory would count as memory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="featflow-") as name:
        yield [Path(name, size) for size in ("small", "large")]


def grown(peaks: list[int]) -> int:
    """By how many bytes the second peak is above the first."""
    return peaks[1] - peaks[0]


@pytest.mark.parametrize("stage", TRIALS)
def test_memory_is_independent_of_tokens(stage: str, folders: list[Path]):
    trial, peaks, words = TRIALS[stage], [], []
    for folder, size in zip(folders, (trial.small, trial.large), strict=True):
        folder.mkdir()
        made = processes.call(STAGES[stage], size, folder=folder, **trial.more)
        words.append(made.result)
        peaks.append(processes.stage(made.result, folder).peak)
    for held in trial.held:
        assert grown(holders(held, words, folders)) > trial.limit, f"{held}: too few to be noticed"
    assert grown(peaks) < trial.limit, f"{stage} holds {grown(peaks) / MILLION:.0f} MB more"


def holders(held: str, words: list[list[str]], folders: list[Path]) -> list[int]:
    """The peaks of two processes that hold what the stage reads, makes or computes."""
    if held == MODEL:
        runs = zip(words, folders, strict=True)
        return [processes.call(holding.between, own, folder=f).peak for own, f in runs]
    return [processes.call(holding.files, held, folder=folder).peak for folder in folders]


def test_every_stage_that_reads_tokens_is_here():
    assert set(STAGES) - set(TRIALS) == {"merge", "flow", "controls"}
