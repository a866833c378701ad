"""Pearson's r between two dictionaries: featflow, scipy's sparse product, dense torch, in one run.

    python benchmarks/correlation.py [--rounds 2]

Each starts from the same two CSR matrices with 30 features a token, their densities a power law as
those of real dictionaries, and ends with r (m, m) in float32. scipy multiplies Aᵀ·B and fills in
the rest with numpy; torch multiplies dense float32 slices of 2,048 tokens. Each runs in a process
of its own, on the cores that NUMBA_NUM_THREADS and OMP_NUM_THREADS leave it (scipy uses one); the
best round counts, since other processes only slow one down. Memory is the peak that is added to the
two matrices. Needs Linux.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array, csr_array

FIRING = 30
"""Features a token."""

SIZES = {(20_000, 4_096): ("featflow", "scipy", "torch"), (300_000, 16_384): ("featflow", "scipy")}
"""Tokens, features; who takes part. Dense torch would take minutes at the larger one."""


def dictionary(tokens: int, features: int, seed: int) -> csr_array:
    """Random activations (tokens, features)."""
    rng = np.random.default_rng(seed)
    weight = rng.permutation(1 / np.arange(1, features + 1) ** 0.7)
    counts = rng.poisson(FIRING, tokens)
    columns = rng.choice(features, counts.sum(), p=weight / weight.sum())
    rows = np.repeat(np.arange(tokens), counts)
    values = rng.random(len(rows), dtype=np.float32) + np.float32(0.1)
    return coo_array((values, (rows, columns)), shape=(tokens, features)).tocsr()


def with_featflow(a: csr_array, b: csr_array) -> np.ndarray:
    """featflow's."""
    from featflow.features.moments import pearson

    return pearson(a, b)[0]


def with_scipy(a: csr_array, b: csr_array) -> np.ndarray:
    """scipy's sparse product, in float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return finished((a.T.tocsr() @ b).toarray(), a, b)


def with_torch(a: csr_array, b: csr_array) -> np.ndarray:
    """torch's dense product, in float32."""
    import torch

    moments = torch.zeros(a.shape[1], b.shape[1])
    for start in range(0, a.shape[0], 2048):
        x, y = (torch.from_numpy(m[start : start + 2048].toarray()) for m in (a, b))
        moments.addmm_(x.T, y)
    return finished(moments.numpy(), a.astype(np.float64), b.astype(np.float64))


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


PEERS: dict[str, Callable[[csr_array, csr_array], np.ndarray]] = {
    "featflow": with_featflow,
    "scipy": with_scipy,
    "torch": with_torch,
}


def resident(key: str) -> float:
    """Memory of this process in GB: VmRSS (now) or VmHWM (peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1e6


def measured(peer: str, tokens: int, features: int, rounds: int) -> tuple[float, float, np.ndarray]:
    """Best seconds, added peak memory in GB, and a corner of r."""
    small = [dictionary(100, 50, seed) for seed in (0, 1)]
    PEERS[peer](*small)  # imports and compiles
    a, b = (dictionary(tokens, features, seed) for seed in (0, 1))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, times = resident("VmRSS"), []
    for _ in range(rounds):
        start = time.perf_counter()
        r = PEERS[peer](a, b)
        times.append(time.perf_counter() - start)
        corner = r[:200, :200].copy()
        del r
    return min(times), resident("VmHWM") - before, corner


def main() -> None:
    """Print a line for each peer and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    print(f"{'tokens':>8} {'features':>9} {'':<9} {'seconds':>8} {'ratio':>7} {'added GB':>9}")
    for (tokens, features), peers in SIZES.items():
        results = {}
        for peer in peers:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results[peer] = pool.apply(measured, (peer, tokens, features, args.rounds))
        best, _, expected = results["featflow"]
        for peer, (seconds, memory, corner) in results.items():
            np.testing.assert_allclose(corner, expected, atol=1e-4)
            line = f"{tokens:>8,} {features:>9,} {peer:<9} {seconds:>8.2f} {seconds / best:>6.1f}x"
            print(f"{line} {memory:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
