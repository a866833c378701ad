"""A training step of the ReLU SAE against its matrix products, autograd and SAELens.

    .venv.peers/bin/python -m benchmarks.sae_step [--seconds 150] [--json FILE]

The contestants take turns in one process on one batch of 128 windows of 24 tokens, on all cores; a
time is the median. The bound is the step's five dense products (encode, decode, back through the
decoder, two weight gradients: 10 n m FLOP a token) and nothing else, in the same dtype. Where few
features fire, featflow's backward pass takes the active pairs alone, and so does less than the
bound's arithmetic: a ratio above 1 is no mistake. Its dense form, which early steps take, has rows
of its own. The loop's row is a whole `Training.run`, from a checkpoint to the next, at the demo's
sizes; the last row trains one SAE in both precisions. SAELens runs in the environment of the peers
(envs/peers.txt), and is left out elsewhere. On a GPU the same rows are measured there, and the time
of the paper's 15 M tokens.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in every stage; before torch is loaded

import torch

from benchmarks import rows, sae_contestants, sae_training
from benchmarks.rows import Row, medians
from benchmarks.sae_contestants import L0, Run, times
from featflow.runtime.device import device, seeded
from featflow.saes import one_layer

DEFAULT_SECONDS = 150
SIZES = {(256, 4096): 0.2, (1024, 16384): 0.55}
"""n and m, and the share of the time that their steps get."""
WINDOW, WINDOWS = sae_training.WINDOW, 128
PAPER_TOKENS = 15_000_000
HALF, SINGLE = "bfloat16", "float32"


def measure(seconds: float) -> list[Row]:
    """The rows, within about so many seconds."""
    seeded(0)
    found = []
    for (width, features), share in SIZES.items():
        found += steps(width, features, share * seconds)
    return [*found, sae_training.loop(0.12 * seconds), *sae_training.ends(0.08 * seconds)]


def steps(width: int, features: int, seconds: float) -> list[Row]:
    """Rows of single steps at one size."""
    x = torch.randn(WINDOWS * WINDOW, width, generator=torch.Generator().manual_seed(0))
    x = x.to(device())
    ours = {
        precision: sae_contestants.placed(x, features, precision) for precision in (SINGLE, HALF)
    }
    runs: dict[str, Run] = {}
    for precision, sae in ours.items():
        runs[precision] = sae_contestants.taking(sae, x, one_layer.SPARSE_BELOW[sae.dtype])
        runs[f"{precision}, dense form"] = sae_contestants.taking(sae, x, 0.0)
        runs[f"bound, {precision}"] = sae_contestants.bound(x, features, sae.dtype)
    runs["autograd"] = sae_contestants.autograd(ours[SINGLE], x)
    if (peer := sae_contestants.saelens(ours[SINGLE], x)) is not None:
        runs["SAELens"] = peer
    rates = {name: len(x) / time for name, time in medians(times(runs, seconds)).items()}
    what = f"SAE step, n {width:,}, m {features:,}, L0 {L0}"

    def row(mine: str, other: str, beside: str, aim: float | None = None, note: str = "") -> Row:
        unit = "tokens/s"
        return Row(f"{what}, {mine}", beside, rates[mine], rates[other], unit, aim, note)

    gpu = x.device.type == "cuda"
    less = "" if gpu else "the backward pass takes the active pairs alone: less work than the bound"
    found = []
    for precision, aim in ((SINGLE, None if gpu else 0.8), (HALF, 0.5 if gpu else None)):
        alone = f"its five dense products, {precision}"
        found.append(row(precision, f"bound, {precision}", alone, aim, less))
        if not gpu:
            found.append(row(f"{precision}, dense form", f"bound, {precision}", alone))
    found.append(row(SINGLE, "autograd", "autograd and torch's Adam, float32"))
    if "SAELens" in rates:
        found.append(row(SINGLE, "SAELens", "SAELens, float32"))
        aim = None if gpu else 4.0
        found.append(row(HALF, "SAELens", "SAELens, float32", aim, "master weights are float32"))
    if gpu and features == max(SIZES)[1]:
        told = "one minute; steps alone"
        spent = PAPER_TOKENS / rates[HALF]
        found.append(Row("the paper's SAE, 15 M tokens", told, spent, 60.0, "s", 1.0))
    return found


if __name__ == "__main__":
    rows.main(measure, __doc__, DEFAULT_SECONDS)
