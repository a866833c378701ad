"""A merge at 21 values of t, and the merge of one of them: featflow beside mergekit and Trainer.

    .venv.peers/bin/python -m benchmarks.merging [--seconds 60] [--json FILE]

Two models of the demo's size (vocabulary 2,048, hidden 128, MLP 256, one layer, context 128) are
merged by slerp, and each merge is evaluated on 50,000 tokens of each parent's corpus. featflow has
the stages `sweep` and `merge`. The other way is the usual one: for each t mergekit writes a model
folder, transformers opens it, and Trainer.evaluate gives loss and accuracy.

Compared twice: as commands, from the start of Python on, as people run them (`featflow sweep` and
`featflow merge`; for each t `mergekit-yaml` and a script around Trainer, 2 of the 21 measured); and
within a process that has imported everything, on the same three values of t, where losses and
accuracies of the two must agree. There the bound is the evaluation's float32 products alone.
"""

import importlib.util
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in every stage, before torch is loaded

import numpy as np
import pandas as pd
import torch

from benchmarks.by_trainer import evaluated
from benchmarks.parents import (
    CONTEXT,
    HEADS,
    HIDDEN,
    KV_HEADS,
    MLP,
    PARENTS,
    VOCABULARY,
    Inputs,
)
from benchmarks.programs import ROOT, command, program
from benchmarks.rows import Row, Run, interleaved, main, medians
from featflow.config.merging import Slerp
from featflow.models import merge, sweep
from featflow.plan.stages.models import MergeSlice, SweepSlice
from featflow.runtime.device import device

DEFAULT_SECONDS = 60.0
POINTS, HERE, TYPED = 21, 3, 2
"""Values of t: of a sweep; compared in a process; of the peer, as commands."""
TOKENS = 50_000
"""Of each parent's corpus."""


def slices(points: int) -> tuple[SweepSlice, MergeSlice]:
    """What the two stages are told."""
    common: dict[str, Any] = {
        "study": "benchmark",
        "model": "merged",
        "parents": PARENTS,
        "corpora": [[name] for name in PARENTS],
    }
    swept = SweepSlice(**common, method=Slerp(kind="slerp"), points=points, tokens=TOKENS)
    return swept, MergeSlice(**common, method=Slerp(kind="slerp", t=0.5))


def featflow(inputs: Inputs, output: Path) -> None:
    """The stages, in this process."""
    swept, merged = slices(HERE)
    sweep.run(swept, parents=inputs.parents, tokens=inputs.tokens, output=output)
    merge.run(merged, parents=inputs.parents, output=inputs.folder / "merged")


def featflow_typed(inputs: Inputs) -> None:
    """The stages, as commands."""
    swept, merged = slices(POINTS)
    parents, tokens = (list(map(str, paths)) for paths in (inputs.parents, inputs.tokens))
    given = ["--parents", *parents]
    sweep_given = [*given, "--tokens", *tokens, "--output", str(inputs.folder / "typed.parquet")]
    merge_given = [*given, "--output", str(inputs.folder / "typed")]
    stage = [program("python"), "-m", "featflow"]
    command(*stage, "sweep", "--cfg", swept.dumps(), *sweep_given, at=ROOT)
    command(*stage, "merge", "--cfg", merged.dumps(), *merge_given, at=ROOT)


def recipe(inputs: Inputs, t: float) -> dict[str, Any]:
    """A slerp in mergekit's words."""
    return {
        "merge_method": "slerp",
        "base_model": str(inputs.parents[0]),
        "models": [{"model": str(inputs.parents[1])}],
        "parameters": {"t": t},
        "dtype": "float32",
    }


def peer(inputs: Inputs) -> pd.DataFrame:
    """mergekit and Trainer in this process: the sweep's table."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    rows, output = [], inputs.folder / "peer"
    for t in np.linspace(0, 1, HERE):
        wanted = MergeConfiguration.model_validate(recipe(inputs, float(t)))
        options = MergeOptions(quiet=True, write_model_card=False, copy_tokenizer=False)
        run_merge(wanted, str(output), options)
        found = evaluated(output, inputs.tokens, CONTEXT)
        rows += [(t, name, *each) for name, each in zip(PARENTS, found, strict=True)]
    return pd.DataFrame(rows, columns=["t", "corpus", "loss", "accuracy"])


def peer_typed(inputs: Inputs) -> None:
    """The same as commands: `mergekit-yaml`, and a script around Trainer."""
    output, script = str(inputs.folder / "peer"), inputs.folder / "recipe.yaml"
    tokens = list(map(str, inputs.tokens))
    for t in np.linspace(0, 1, TYPED + 2)[1:-1]:
        script.write_text(repr(recipe(inputs, float(t))))  # a mapping of plain words is YAML, too
        options = ["--quiet", "--no-copy-tokenizer", "--no-write-model-card"]
        command(program("mergekit-yaml"), str(script), output, *options)
        command(program("python"), "-m", "benchmarks.by_trainer", output, *tokens, at=ROOT)


def products() -> Run:
    """The float32 products of an evaluation at one t on both corpora, and nothing else."""
    narrow = HIDDEN * KV_HEADS // HEADS
    shapes = [(HIDDEN, HIDDEN)] * 2 + [(HIDDEN, narrow)] * 2 + [(HIDDEN, MLP)] * 2
    shapes += [(MLP, HIDDEN), (HIDDEN, VOCABULARY)]
    weights = [torch.randn(wide, n, device=device()) for wide, n in shapes]
    rows = {wide: torch.randn(1024, wide, device=device()) for wide in (HIDDEN, MLP)}
    outputs = [torch.empty(1024, n, device=device()) for _, n in shapes]

    def run() -> None:
        for _ in range(2 * TOKENS // 1024):
            for weight, out in zip(weights, outputs, strict=True):
                torch.mm(rows[len(weight)], weight, out=out)

    return run


def check(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Raise AssertionError unless the peer's losses and accuracies are ours."""
    both = theirs.merge(ours, on=["t", "corpus"], suffixes=("_peer", ""))
    assert len(both) == len(theirs) == 2 * HERE
    np.testing.assert_allclose(both.loss, both.loss_peer, rtol=1e-3)
    np.testing.assert_allclose(both.accuracy, both.accuracy_peer, atol=1e-3)


def measure(seconds: float) -> list[Row]:
    """Both comparisons, within about so many seconds where these are enough for one round."""
    with tempfile.TemporaryDirectory() as name:
        inputs = Inputs(Path(name), TOKENS)
        os.environ["FEATFLOW_CHECKPOINTS"] = str(inputs.folder / "checkpoints")
        output = inputs.folder / "sweep.parquet"
        runs: dict[str, Run] = {
            "featflow": lambda: featflow(inputs, output),
            "products": products(),
        }
        if with_peer := importlib.util.find_spec("mergekit") is not None:
            featflow(inputs, output)
            check(pd.read_parquet(output), peer(inputs))
            runs["peer"] = lambda: peer(inputs)
        else:
            print("mergekit is not installed: left out")
        start = time.perf_counter()
        typed = [seconds_of(lambda: featflow_typed(inputs))]
        if with_peer:
            typed.append(seconds_of(lambda: peer_typed(inputs)) * POINTS / TYPED)
        left = seconds - (time.perf_counter() - start)
        each = medians(interleaved(runs, left, sync=sync))
    return rows_of(typed, each)


def rows_of(typed: list[float], each: dict[str, float]) -> list[Row]:
    """The rows; those of the peer only where it is there.

    Args:
        typed: seconds of a sweep of all t, by commands: featflow's, and the peer's.
        each: seconds of HERE values of t in a process, by contestant; of one for the products.
    """
    ours = each["featflow"] / HERE
    commands = [
        Row(
            what=f"merge and sweep of {POINTS} t, demo's size, as commands",
            beside="mergekit-yaml, and a script around Trainer.evaluate",
            ours=typed[0],
            theirs=theirs,
            unit="s",
            aim=5,
            note=f"from the start of Python; {TYPED} of the peer's {POINTS} t measured, and scaled",
        )
        for theirs in typed[1:]
    ]
    share = f"float32 products alone take {each['products'] / ours:.0%} of featflow's time"
    within = [
        Row(
            what="merge and sweep, a value of t, in one process",
            beside="mergekit and Trainer.evaluate",
            ours=ours,
            theirs=each["peer"] / HERE,
            unit="s",
            note=f"imports apart; {share}, so that no float32 evaluation can be much faster",
        )
        for _ in range("peer" in each)
    ]
    bound = Row(
        what="merge and sweep, a value of t, in one process",
        beside="its float32 products alone",
        ours=ours,
        theirs=each["products"],
        unit="s",
    )
    return [*commands, *within, bound]


def sync() -> None:
    """Wait for the GPU, if there is one."""
    if device().type == "cuda":
        torch.cuda.synchronize()


def seconds_of(run: Run) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(measure, __doc__, DEFAULT_SECONDS)
