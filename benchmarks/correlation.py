"""Pearson's r between two dictionaries: featflow, scipy's sparse product, dense torch, in one run.

    .venv/bin/python -m benchmarks.correlation [--seconds 120] [--json FILE]

Each starts from the same two CSR matrices with 30 features a token, their densities a power law as
those of real dictionaries, and ends with r (m, m) in float32; their corners are compared. scipy
multiplies Aᵀ·B in float64 and fills in the rest with numpy; torch multiplies dense float32 slices.
featflow and scipy take turns in a process of their own, on the cores that NUMBA_NUM_THREADS leaves
them (scipy uses one); memory is the peak that is added to the two matrices, mapped files included.
Below 100 seconds all have a tenth of the tokens. A GPU is not used: its machine's processor is
measured. Needs Linux.
"""

import gc
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

from benchmarks import rows
from benchmarks.rows import Row

DEFAULT_SECONDS = 120
FIRING, TOKENS, FEATURES = 30, 3_000_000, 16_384
REPEATS = 10
"""How often the rows come again that are drawn: drawing them all would take longer than r."""
SLICE = 1024
"""Tokens of a dense product: each takes seconds."""
LARGE, FEW, FLOOR = 32_768, 100_000, 0.3
"""Features and tokens of the sparse form, and its floor."""
WHOLE = 100
"""Seconds from which on all tokens are measured."""

Pearson = Callable[[csr_array, csr_array], np.ndarray]


class Taken(NamedTuple):
    """What one run took."""

    seconds: float
    gib: float
    """Peak of the memory that it added."""


def dictionary(tokens: int, features: int, seed: int, repeats: int = 1) -> csr_array:
    """Random activations (tokens · repeats, features)."""
    rng = np.random.default_rng(seed)
    weight = rng.permutation(1 / np.arange(1, features + 1) ** 0.7)
    counts = rng.poisson(FIRING, tokens)
    columns = rng.choice(features, counts.sum(), p=weight / weight.sum())
    row = np.repeat(np.arange(tokens), counts)
    values = rng.random(len(row), dtype=np.float32) + np.float32(0.1)
    drawn = coo_array((values, (row, columns)), shape=(tokens, features)).tocsr()
    edges = np.concatenate([[0], np.cumsum(np.tile(np.diff(drawn.indptr), repeats))])
    arrays = np.tile(drawn.data, repeats), np.tile(drawn.indices, repeats), edges.astype(np.int32)
    return csr_array(arrays, shape=(tokens * repeats, features))


def with_featflow(a: csr_array, b: csr_array) -> np.ndarray:
    """featflow's."""
    from featflow.features.moments import pearson

    return pearson(a, b)[0]


def with_scipy(a: csr_array, b: csr_array) -> np.ndarray:
    """scipy's sparse product, in float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return finished((a.T.tocsr() @ b).toarray(), a, b)


def finished(r: np.ndarray, a: csr_array, b: csr_array) -> np.ndarray:
    """Moments made into r, in place."""
    tokens = a.shape[0]
    (mean_a, sd_a), (mean_b, sd_b) = (
        (m.mean(0), np.sqrt(m.power(2).mean(0) - m.mean(0) ** 2)) for m in (a, b)
    )
    r /= tokens
    for row, mean, sd in zip(r, mean_a, sd_a, strict=True):
        row -= mean * mean_b
        row /= sd * sd_b
    return r.astype(np.float32)


def dense_seconds(a: csr_array, b: csr_array) -> float:
    """torch's time for a token: one dense float32 product of a slice, after a small one."""
    import torch

    moments = torch.zeros(a.shape[1], b.shape[1])
    for tokens in (16, SLICE):
        start = time.perf_counter()
        x, y = (torch.from_numpy(m[:tokens].toarray()) for m in (a, b))
        moments.addmm_(x.T, y)
    return (time.perf_counter() - start) / SLICE


def resident(key: str) -> float:
    """Memory of this process in GiB: VmRSS (now) or VmHWM (peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**20


def taken(run: Callable[[], object]) -> tuple[Taken, object]:
    """What a run takes, and its result."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start = resident("VmRSS"), time.perf_counter()
    result = run()
    return Taken(time.perf_counter() - start, resident("VmHWM") - before), result


def compared(tokens: int) -> dict[str, list[Taken]]:
    """featflow on all tokens and on a quarter, and scipy, in turns."""
    for warmed in (with_featflow, with_scipy):
        warmed(dictionary(100, 50, 0), dictionary(100, 50, 1))  # imports and compiles
    both = [dictionary(tokens // REPEATS, FEATURES, seed, REPEATS) for seed in (0, 1)]
    quarter = [m[: tokens // 4] for m in both]
    order: list[tuple[str, Pearson, list[csr_array]]] = [
        ("quarter", with_featflow, quarter),
        ("featflow", with_featflow, both),
        ("scipy", with_scipy, both),
        ("featflow", with_featflow, both),
        ("quarter", with_featflow, quarter),
    ]
    found: dict[str, list[Taken]] = {}
    corners: dict[str, np.ndarray] = {}
    for name, contestant, given in order:
        cost, r = taken(lambda c=contestant, g=given: c(*g))  # type: ignore[misc]
        found.setdefault(name, []).append(cost)
        corners[name] = np.array(r[:200, :200])  # type: ignore[index]
        del r
    np.testing.assert_allclose(corners["scipy"], corners["featflow"], atol=1e-4)
    return {**found, "torch": [Taken(dense_seconds(*both) * tokens, 0.0)]}


def from_floor(features: int, tokens: int) -> tuple[Taken, int]:
    """r from a floor on, with the best partners of either side; how many pairs were kept.

    b's features are a's in another order, so that each has a partner.
    """
    from featflow.features.best_partners import PairsFromFloor
    from featflow.features.correlation import partners
    from featflow.features.scope import Source, rows_in_scope

    def run(a: csr_array, b: csr_array) -> int:
        count = a.shape[0]
        documents = np.arange(count) // 500
        source = Source(documents.astype(np.int32), documents, (documents % 2).astype(np.int8))
        with PairsFromFloor((a.shape[1], b.shape[1]), 1, FLOOR) as kept:
            scope = rows_in_scope({"x": count}, ["x"], ["x"])
            partners(a, b, scope, source, 10, (20, 5), keep=kept.keep())
            return int(kept.matrices()[0].nnz)

    a, b = permuted(dictionary(100, 50, 0)), dictionary(100, 50, 0)
    run(a, b)
    b = dictionary(tokens, features, 0)
    a = permuted(b)
    cost, pairs = taken(lambda: run(a, b))
    return cost, int(pairs)  # type: ignore[call-overload]


def permuted(a: csr_array) -> csr_array:
    """The same features in another order."""
    order = np.random.default_rng(5).permutation(a.shape[1]).astype(np.int32)
    found = csr_array((a.data, order[a.indices], a.indptr), shape=a.shape)
    found.sort_indices()
    return found


def measure(seconds: float) -> list[Row]:
    """The rows, within about so many seconds."""
    whole = seconds >= WHOLE
    tokens = TOKENS if whole else TOKENS // REPEATS
    found = apart(compared, tokens)
    ours, quarter = (
        statistics.median(t.seconds for t in found[n]) for n in ("featflow", "quarter")
    )
    theirs, gib = found["scipy"][0], max(t.gib for t in found["featflow"])
    what = f"correlation, {tokens:,} tokens, {FEATURES:,}², L0 {FIRING}"
    cost, pairs = apart(from_floor, LARGE, FEW)
    return [
        Row(
            what,
            "scipy, CSRᵀ·CSR",
            ours,
            theirs.seconds,
            "s",
            on_gpu(2, 20),
            note="scipy uses one core",
        ),
        Row(
            what,
            "torch, dense products",
            ours,
            found["torch"][0].seconds,
            "s",
            200,
            note=f"torch: {SLICE:,} tokens, its time × {tokens // SLICE:,} (it is linear in them)",
        ),
        Row(
            f"{what}: memory",
            "the limit",
            gib,
            4.0,
            "GiB",
            1,
            note=f"beside the dumps; scipy {theirs.gib:.1f} GiB",
        ),
        Row(
            f"{what}: a quarter's time",
            "a quarter of the tokens",
            ours / 4,
            quarter,
            "s",
            aim=0.9 if whole else None,  # of few tokens r itself takes most of the time
            note=f"linear in tokens: {ours:.2f} s, and {quarter:.2f} s for a quarter of them",
        ),
        Row(
            f"|r| ≥ {FLOOR:g}, {FEW:,} tokens, {LARGE:,}²: memory",
            "the full matrix",
            cost.gib,
            4 * LARGE**2 / 2**30,
            "GiB",
            note=f"{pairs:,} pairs and all best partners in {cost.seconds:.1f} s",
        ),
    ]


def on_gpu(cores: float, gpu: float) -> float:
    """An aim: on two cores, or on a machine with a GPU."""
    import torch

    return gpu if torch.cuda.is_available() else cores


def apart(function: Callable, *arguments: int):
    """Call a function in a process of its own, whose scratch files lie in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="featflow-", dir="/var/tmp") as folder:
        os.environ["FEATFLOW_CHECKPOINTS"] = folder
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(function, arguments)


if __name__ == "__main__":
    rows.main(measure, __doc__, DEFAULT_SECONDS)
