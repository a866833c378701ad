"""Whole trainings of SAEs, for the rows of benchmarks/sae_step.py."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.rows import Row, medians
from benchmarks.sae_contestants import PENALTY, RATE, bound, place, settings, times
from featflow.config.saes import Activations
from featflow.runtime.checkpoints import Checkpoints
from featflow.runtime.device import device, product_dtype
from featflow.saes.activations import Shard, whole
from featflow.saes.training import Training

WINDOW = 24
DEMO = (256, 1024, 32)
"""n, m and windows a batch of the demo's SAE."""


class Planted:
    """A shard x = codes · directions + noise, with few of its true features active at a time."""

    def __init__(self, windows: int, width: int, features: int, active: float):
        """Args: windows; n; features; how many of these are active at a token, on average."""
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(features, width, generator=generator)
        directions /= directions.norm(dim=1, keepdim=True)
        shape = (windows * WINDOW, features)
        sizes = 1 + torch.rand(shape, generator=generator)
        sizes *= torch.rand(shape, generator=generator) < active / features
        x = sizes @ directions
        x += 0.05 * torch.randn(x.shape, generator=generator)
        self._shard = whole(x.view(windows, WINDOW, width).bfloat16())
        self.counts = [windows]

    def shard(self, index: int) -> Shard:
        """The one shard."""
        return self._shard


@contextmanager
def checkpoints_elsewhere() -> Iterator[None]:
    """Checkpoints go to a temporary folder."""
    before = os.environ.get("FEATFLOW_CHECKPOINTS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEATFLOW_CHECKPOINTS"] = folder
        yield
    if before is None:
        del os.environ["FEATFLOW_CHECKPOINTS"]
    else:
        os.environ["FEATFLOW_CHECKPOINTS"] = before


def training(shards: Planted, width: int, features: int, batch: int, **more: object) -> Training:
    """A run of the demo's kind on these shards."""
    fixed = {"batch": batch, "betas": (0.9, 0.999), "decay": 0.2, "precision": "auto"}
    kind = settings(width, features, **{**fixed, **more})  # type: ignore[arg-type]
    return Training(kind, shards, 0, Activations(), device())


def loop(seconds: float) -> Row:
    """A whole run at the demo's sizes, L0 held, against its products alone."""
    width, features, windows = DEMO
    shards, count = Planted(8_000, width, 2 * width, 6.0), 300
    tokens = count * windows * WINDOW
    fixed = {"tokens": tokens, "learning_rate": RATE, "sparsity": {"l1": PENALTY}}
    run = training(shards, width, features, windows, **fixed)
    place(run.sae, run.sample)  # type: ignore[arg-type]
    dtype = product_dtype("auto", device())
    products = bound(run.sample[: windows * WINDOW], features, dtype)
    with checkpoints_elsewhere(), Checkpoints("loop") as checkpoints:
        checkpoints.save(0, *run.state)
        start = checkpoints.newest()

        def whole() -> None:
            run.run(checkpoints)
            for path in set(checkpoints.folder.glob("*.safetensors")) - {start}:
                path.unlink()

        def alone() -> None:
            for _ in range(count):
                products()

        found = medians(times({"loop": whole, "bound": alone}, seconds))
        checkpoints.clear()
    l0 = run.sae.penalty.l0  # type: ignore[attr-defined]
    return Row(
        f"SAE training loop, n {width:,}, m {features:,}, {windows} windows a batch, L0 {l0:.0f}",
        f"the steps' five dense products, {dtype}".replace("torch.", ""),
        tokens / found["loop"],
        tokens / found["bound"],
        "tokens/s",
        note=f"{count} steps with batches, checkpoint and record; small products have small bounds",
    )


def ends(seconds: float) -> list[Row]:
    """What a short training comes to with either kind of products, held against one another."""
    width, features, windows = DEMO
    shards = Planted(4_000, width, 2 * width, 6.0)
    x = shards.shard(0).activations[:500].float().flatten(0, 1).to(device())
    count = max(300, round(60 * seconds))
    fixed = {"tokens": count * windows * WINDOW, "learning_rate": 3e-3, "sparsity": {"l1": 0.007}}
    found = {}
    for precision in ("bfloat16", "float32"):
        run = training(shards, width, features, windows, **fixed, precision=precision)
        with checkpoints_elsewhere(), Checkpoints(precision) as checkpoints:
            run.run(checkpoints)
            checkpoints.clear()
        y = x * run.scale
        codes = torch.addmm(run.sae.bias.T, run.sae._centred(y), run.sae.encoder.T).relu()
        error = (run.sae.reconstruct(y) - y).square()
        fve = 1 - float(error.sum() / (y - y.mean(0)).square().sum())
        found[precision] = float(error.mean()), float((codes > 0).sum(1).double().mean()), fve
    what = f"trained SAE after {count:,} steps, n {width:,}, m {features:,}, bfloat16 products"
    note = "aim: within 1 %"
    return [
        Row(
            f"{what}: {name}",
            "float32 products",
            found["bfloat16"][i],
            found["float32"][i],
            name,
            None,
            note,
        )
        for i, name in enumerate(("mse", "l0", "fve"))
    ]
