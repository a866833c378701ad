"""What the fitted laws predict for sizes that were not measured: every figure is an extrapolation.

On a GPU nothing was measured at all: seconds are FLOP over an assumed share of its peak, and the
assumption stands in the table's head.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import laws
from benchmarks.inputs import Size
from benchmarks.laws import LAWS

if TYPE_CHECKING:
    from benchmarks.scaling import Fit

BF16, SINGLE = 989e12, 67e12
"""FLOP/s of an H100 or H200, dense, by its maker: bfloat16 and float32."""
SHARES = {"bf16": 0.4, "float32": 0.4}
"""Of these peaks, assumed."""

PAPER = Size(
    hidden=512, width=1024, heads=16, vocabulary=32_000, context=256, features=16_384, firing=30
)
EPOCHS = 3

Work = Callable[[Size], float]


class Planned(NamedTuple):
    """A job of the paper's study."""

    what: str
    size: Size
    times: float = 1
    flop: Work | None = None
    """What a GPU computes; None: it stays on a CPU."""
    kind: str = "float32"


def _paper() -> dict[str, Planned]:
    corpus, probe = replace(PAPER, tokens=167_800_000), replace(PAPER, tokens=1_500_000, corpora=4)
    evaluated = replace(PAPER, tokens=200_000, corpora=4)

    def trained(s: Size) -> float:
        return 3 * laws.forward(s) * laws.tokens(s)

    def hooked(s: Size) -> float:
        return laws.forward(s, head=False) * laws.read(s)

    def encoded(s: Size) -> float:
        return laws.encoder(s) * laws.rows(s)

    return {
        "corpus": Planned("167.8 M tokens of text", corpus),
        "tokens": Planned("the same", corpus),
        "train": Planned(
            f"{EPOCHS} × 335.6 M tokens", replace(corpus, corpora=2), EPOCHS, trained, "bf16"
        ),
        "sweep": Planned(
            "21 t × 400,000 tokens",
            replace(evaluated, corpora=2, points=21),
            1,
            lambda s: s.points * laws.forward(s) * laws.tokens(s),
        ),
        "merge": Planned("2 models", PAPER),
        "evaluate": Planned(
            "800,000 tokens", evaluated, 1, lambda s: laws.forward(s) * laws.tokens(s)
        ),
        "activations": Planned("15 M tokens", replace(PAPER, tokens=15_000_000), 1, hooked),
        "sae": Planned(
            "15 M tokens",
            replace(PAPER, tokens=15_000_000),
            1,
            lambda s: 10 * laws.encoder(s) * laws.tokens(s),
            "bf16",
        ),
        "metrics": Planned(
            "800,000 tokens",
            evaluated,
            1,
            lambda s: 3 * laws.forward(s) * laws.read(s) + 4 * encoded(s),
        ),
        "features": Planned("6 M rows", probe, 1, lambda s: hooked(s) + 2 * encoded(s)),
        "correlation": Planned("6 M rows", probe),
        "shares": Planned("6 M rows, 1 pair of SAEs", replace(probe, models=1)),
        "transfer": Planned("6 M rows", probe, 1, lambda s: 2 * hooked(s) + 8 * encoded(s)),
        "flow": Planned("4 edges", replace(probe, models=4)),
        "controls": Planned("4 edges", replace(probe, models=4)),
        "case": Planned("4 models, 6 M rows", replace(probe, models=4)),
        "interpret": Planned("6 M rows", probe),
        "dashboards": Planned("4 models, 6 M rows", replace(probe, models=4)),
    }


def paper_table(fits: Mapping[str, "Fit"]) -> str:
    """A job of every stage of the paper's study."""
    shares = f"{100 * SHARES['bf16']:.0f} % of its bf16 or float32 peak"
    lines = [f"| stage | a job | this CPU | one H100, at {shares} |", "|---|---|---|---|"]
    for stage, job in _paper().items():
        cpu = job.times * fits[stage].seconds(LAWS[stage], job.size)
        gpu = "stays on the CPU"
        if job.flop is not None:
            gpu = f"{span(_on_gpu(job.times * job.flop(job.size), job.kind))} ({job.kind})"
        lines.append(f"| {stage} | {job.what} | {span(cpu)} | {gpu} |")
    return "\n".join(lines)


def _on_gpu(flop: float, kind: str) -> float:
    return flop / (SHARES[kind] * (BF16 if kind == "bf16" else SINGLE))


class Layer(NamedTuple):
    """What is read of a 7 B model."""

    name: str
    width: int
    """n."""


LAYERS = (Layer("residual", 4096), Layer("MLP", 14_336))
READ = 3.5e9
"""Parameters up to a hook in the middle of a 7 B model."""
FEATURES, FIRING, TOKENS = 131_072, 64, 1e9
"""m, an assumed L0, T."""
NODE = 64
"""Cores of a node, for what stays on CPUs."""


def large_table(fits: Mapping[str, "Fit"], cores: int) -> str:
    """One model's layer, its SAE, its dump, one pair of models."""
    lines = [
        "| stage | work | one H100 or one node | memory | disk |",
        "|---|---|---|---|---|",
    ]
    for layer in LAYERS:
        lines += [_row(f"{stage}, {layer.name}", *cells) for stage, cells in _on(layer).items()]
    lines += [_row(stage, *cells) for stage, cells in _compared(fits, cores).items()]
    return "\n".join(lines)


def _on(layer: Layer) -> dict[str, tuple[str, str, str, str]]:
    """Of a layer: what a GPU does."""
    nm, lm = layer.width * FEATURES, 2 * READ * TOKENS
    train, dump = 10 * nm * TOKENS, lm + 2 * nm * TOKENS
    weights = 2 * nm
    both = (("bf16", BF16), ("float32", SINGLE))

    def gpu(flop: float) -> str:
        return ", ".join(f"{span(_on_gpu(flop, kind))} {kind}" for kind, _ in both)

    return {
        "activations": (_flop(lm), gpu(lm), size(4 * 7e9), size(2 * layer.width * TOKENS)),
        "sae": (_flop(train), gpu(train), size(18 * weights), size(4 * weights)),
        "features": (
            _flop(dump),
            gpu(dump),
            size(4 * 7e9 + 4 * weights),
            size(TOKENS * (8 * FIRING + 16)),
        ),
    }


def _compared(fits: Mapping[str, "Fit"], cores: int) -> dict[str, tuple[str, str, str, str]]:
    """Of two dictionaries: what CPUs do, by the laws measured here on fewer cores."""
    probe = replace(PAPER, features=FEATURES, firing=FIRING, corpora=1, window=32, context=64)
    probe, found = replace(probe, tokens=int(TOKENS)), {}
    work = f"{TOKENS * FIRING**2:.1e} products, {FEATURES**2:.1e} pairs"
    for stage in ("correlation", "shares"):
        seconds = fits[stage].seconds(LAWS[stage], replace(probe, models=1)) * cores / NODE
        disk = size(4 * FEATURES**2) if stage == "correlation" else size(80 * FEATURES)
        found[stage] = (work, f"{span(seconds)} on {NODE} cores", "mapped", disk)
    return found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _flop(value: float) -> str:
    return f"{value:.1e} FLOP"


def span(seconds: float) -> str:
    """A time in the unit in which it is read."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(count: float) -> str:
    """Bytes in the unit in which they are read."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def tables(fits: Mapping[str, "Fit"], cores: int) -> dict[str, str]:
    """By the name of their marker in docs/scaling.md."""
    return {"paper": paper_table(fits), "large": large_table(fits, cores)}
