"""A training step of the ReLU SAE against the matrix-product bound, autograd and SAELens.

    PYTHONPATH=. .venv.peers/bin/python benchmarks/sae_step.py [--features 1024]
        [--threads 1] [--l0 30] [--seconds 30]

The contestants take turns step by step in one process, so that whatever else the machine does
falls on all alike; a time is the median. The bound is the five dense products (encode, decode,
back through the decoder, two weight gradients) and nothing else, in the same dtype. SAELens runs
in the environment of the peers (envs/peers.txt), and is left out elsewhere.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from featflow.core.config.saes import Relu
from featflow.saes.architectures import relu
from featflow.saes.architectures.relu import Autoencoder

WIDTH, TOKENS = 256, 128 * 24
PENALTY, RATE = 1e-3, 1e-7  # a rate so low that L0 stays where it is put

Run = Callable[[Tensor], object]


def placed(features: int, precision: str, l0: float, x: Tensor) -> Autoencoder:
    """An autoencoder of which `l0` features fire at a token of x."""
    settings = Relu(kind="relu", expansion=features // WIDTH, precision=precision)  # type: ignore
    sae = Autoencoder(settings, WIDTH, 0, torch.device("cpu"))
    pre = sae._centred(x) @ sae.encoder.T
    sae.bias.fill_(-float(torch.quantile(pre.flatten()[:4_000_000], 1 - l0 / features)))
    sae._copy_weights()
    return sae


def featflow_step(features: int, precision: str, l0: float, x: Tensor, sparse: bool) -> Run:
    sae = placed(features, precision, l0, x)

    def run(x: Tensor) -> None:
        kept = dict(relu.SPARSE_BELOW)
        relu.SPARSE_BELOW.update(dict.fromkeys(kept, 1.0 if sparse else 0.0))
        sae.step(x, RATE, PENALTY)
        relu.SPARSE_BELOW.update(kept)

    return run


def bound(features: int, dtype: torch.dtype) -> Run:
    """The five products, with everything allocated before."""
    x, error = (torch.randn(TOKENS, WIDTH).to(dtype) for _ in range(2))
    encoder, decoder = (torch.randn(features, WIDTH).to(dtype) for _ in range(2))
    codes, slopes = (torch.randn(TOKENS, features).to(dtype) for _ in range(2))
    back, up, down = torch.empty_like(x), torch.empty_like(encoder), torch.empty_like(decoder)

    def run(_: Tensor) -> None:
        torch.mm(x, encoder.T, out=codes)
        torch.mm(codes, decoder, out=back)
        torch.mm(error, decoder.T, out=slopes)
        torch.mm(slopes.T, x, out=up)
        torch.mm(codes.T, error, out=down)

    return run


def autograd(features: int, precision: str, l0: float, x: Tensor) -> Run:
    """The same step by autograd and torch's Adam (its step counter shared by all features)."""
    sae = placed(features, precision, l0, x)
    leaves = [weight.clone().requires_grad_() for weight in sae._weights.values()]
    encoder, decoder, bias, offset = leaves
    optimiser = torch.optim.Adam(leaves, lr=RATE, betas=(0.9, 0.9999))

    def run(x: Tensor) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            f = torch.relu((x - x.mean(1, keepdim=True) - offset) @ encoder.T + bias[:, 0])
            error = f @ decoder + offset - x
        loss = error.float().square().mean() + PENALTY * f.sum(1).float().mean()
        loss.backward()
        with torch.no_grad():
            gradient = decoder.grad
            assert gradient is not None
            gradient -= (gradient * decoder).sum(1, keepdim=True) * decoder
            optimiser.step()
            optimiser.zero_grad()
            decoder.div_(decoder.norm(dim=1, keepdim=True))
            (f > 0).any(0)

    return run


def saelens(features: int, precision: str, l0: float, x: Tensor) -> Run | None:
    """The step of SAELens's trainer: loss, firing counts, gradient clipping, Adam."""
    try:
        from sae_lens.saes.sae import TrainStepInput
        from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
    except ImportError:
        return None
    ours = placed(features, precision, l0, x)
    sae = StandardTrainingSAE(StandardTrainingSAEConfig(d_in=WIDTH, d_sae=features))
    folded = ours.folded(1.0)
    with torch.no_grad():
        for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
            getattr(sae, name).copy_(getattr(folded, name))
    optimiser = torch.optim.Adam(sae.parameters(), lr=RATE, betas=(0.9, 0.999))
    counts = torch.zeros(features)

    def run(x: Tensor) -> None:
        step = TrainStepInput(
            sae_in=x,
            coefficients={"l1": PENALTY},
            dead_neuron_mask=None,
            n_training_steps=1,
            is_logging_step=False,
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            found = sae.training_forward_pass(step_input=step)
            with torch.no_grad():
                counts.add_(found.feature_acts.bool().float().sum(0))
        found.loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return run


def compare(features: int, precision: str, l0: float, seconds: float) -> None:
    """Print a table: the median time of a step, tokens a second, and the ratio to the bound."""
    x = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    contestants: dict[str, Run | None] = {
        "dense products alone": bound(features, getattr(torch, precision)),
        "featflow, sparse": featflow_step(features, precision, l0, x, sparse=True),
        "featflow, dense": featflow_step(features, precision, l0, x, sparse=False),
        "autograd": autograd(features, precision, l0, x),
        "SAELens": saelens(features, precision, l0, x),
    }
    runs = {name: run for name, run in contestants.items() if run is not None}
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["autograd"]) < 4:
        for name, run in runs.items():
            start = time.perf_counter()
            run(x)
            times[name].append(time.perf_counter() - start)
    print(f"\nn {WIDTH}, m {features}, L0 {l0:g}, {precision}, {torch.get_num_threads()} thread(s)")
    medians = {name: statistics.median(each[1:]) for name, each in times.items()}
    base = medians["dense products alone"]
    for name, median in medians.items():
        rate = f"{TOKENS / median:>9,.0f} tokens/s"
        print(f"  {name:<22}{median * 1e3:8.1f} ms {rate}   {base / median:5.2f} × the bound")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, nargs="+", default=[1024, 2048])
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--l0", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=24, help="in all")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    each = given.seconds / (len(given.features) * len(given.precision))
    for features in given.features:
        for precision in given.precision:
            compare(features, precision, given.l0, each)


if __name__ == "__main__":
    main()
