"""Time and memory of a job that was never run here: from its work (commands/work.py) and rates.

    seconds = START + work / (RATE × threads)          on a CPU
    seconds = START + work / (share × the GPU's peak)  with --gpu, for stages that use one

The rates of a core are those of the studies demo and desk, run with other jobs on two cores of a
server CPU with AMX (training and SAEs compute in bfloat16, the rest in float32, corpora are mostly
generated); another machine may be two times faster or slower, and once it has run something, its
own benchmark files count instead (commands/estimates.py). The peaks of GPUs are their
makers', dense bfloat16 and float32; the shares of them are assumed.

Memory is START_MEMORY and what a stage holds: train, finetune: 20 bytes a parameter (weights,
gradients, moments, a copy); sae: its activations, and 40 n m; features, correlation, shares and
dashboards: the dumps three times; correlation: four matrices; tokens: 8 bytes a token.
"""

from typing import NamedTuple

from featflow.commands.disk import Unknown
from featflow.commands.work import Work
from featflow.plan import slices as kinds
from featflow.plan.slices import Slice

START = {
    **{"corpus": 0.4, "tokenizer": 0.5, "tokens": 0.6, "flow": 1.0, "figure": 1.0, "report": 2.0},
    **{"train": 6.0, "pretrained": 6.0, "finetune": 6.0, "sweep": 6.0, "evaluate": 5.5},
    **{"merge": 4.5, "activations": 6.0, "sae": 6.0, "metrics": 6.0, "features": 6.0},
    **{"correlation": 2.0, "shares": 2.0, "transfer": 6.0, "dashboards": 4.0, "random": 4.0},
    **{"controls": 2.0, "domains": 2.0, "edges": 1.0, "case": 3.0, "explorer": 1.0},
    **{"interpret": 10.0, "categories": 1.0},
}
"""Seconds of imports, and of opening what is read."""

RATE = {
    **{"corpus": 3e6, "tokenizer": 1.5e7, "tokens": 3e6, "merge": 1e8, "pretrained": 1e8},
    **{"train": 80e9, "finetune": 140e9, "sweep": 55e9, "evaluate": 65e9, "metrics": 55e9},
    **{"activations": 50e9, "sae": 220e9, "features": 48e9, "correlation": 2.5e8},
    **{"shares": 2.5e8, "transfer": 48e9, "dashboards": 2.5e8},
}
"""Work a second and core. Training takes all cores, and the second of two adds little."""

MOST_THREADS = {"corpus": 1, "merge": 1, "pretrained": 1}
"""Of stages that use no more."""


class Gpu(NamedTuple):
    """Peak FLOP/s."""

    bfloat16: float
    float32: float


GPUS = {
    "a100": Gpu(312e12, 19.5e12),
    "h100": Gpu(989e12, 67e12),
    "h200": Gpu(989e12, 67e12),
    "l40s": Gpu(362e12, 91.6e12),
    "v100": Gpu(15.7e12, 15.7e12),  # it has no bfloat16
}

BFLOAT16 = {"train": 0.2, "finetune": 0.2, "sae": 0.2}
FLOAT32 = {"sweep": 0.4, "evaluate": 0.4, "metrics": 0.4, "activations": 0.3, "features": 0.2}
FLOAT32["transfer"] = 0.2
"""The share of its peak that a stage reaches."""

START_MEMORY = {
    **{"corpus": 0.2e9, "tokenizer": 0.3e9, "tokens": 0.2e9, "flow": 0.2e9, "figure": 0.2e9},
    **{"report": 0.2e9, "correlation": 0.4e9, "shares": 0.4e9, "dashboards": 0.4e9},
    **dict.fromkeys(("controls", "domains", "edges", "case", "categories", "explorer"), 0.3e9),
}
TORCH_MEMORY = 0.6e9
"""Bytes, where torch and transformers are imported."""


def seconds(stage: str, work: float, threads: int, gpu: str | None = None) -> float:
    """How long a job takes, by its work alone.

    Args:
        stage: its stage.
        work: as commands/work.py counts it.
        threads: those that it has.
        gpu: a key of `GPUS`, for stages that use one.
    """
    start = START.get(stage, 1.0)
    if stage not in RATE:
        return start
    if gpu and stage in BFLOAT16:
        return start + work / (BFLOAT16[stage] * GPUS[gpu].bfloat16)
    if gpu and stage in FLOAT32:
        return start + work / (FLOAT32[stage] * GPUS[gpu].float32)
    return start + work / (RATE[stage] * min(threads, MOST_THREADS.get(stage, threads)))


def memory(stage: str, cfg: Slice | None, work: Work) -> float:
    """Bytes of main memory that a job needs at most (its start alone where no more is known)."""
    start = START_MEMORY.get(stage, TORCH_MEMORY)
    try:
        return start + (_held(cfg, work) if cfg is not None else 0)
    except Unknown:
        return start


def _held(cfg: Slice, work: Work) -> float:
    """Bytes of what a stage holds in memory, beside its libraries."""
    sizes = work.sizes
    if isinstance(cfg, kinds.TokensSlice):
        return 8 * work.tokens(cfg.corpus, cfg.split)
    if isinstance(cfg, kinds.TrainSlice | kinds.FinetuneSlice):
        return 5 * sizes.model(cfg.model)
    if isinstance(cfg, kinds.SweepSlice | kinds.MergeSlice):
        return (len(cfg.parents) + 1) * sizes.model(cfg.model)
    if isinstance(cfg, kinds.EvaluateSlice | kinds.ActivationsSlice | kinds.MetricsSlice):
        return sizes.model(cfg.model)
    if isinstance(cfg, kinds.SaeSlice):
        n = sizes.shape(cfg.model).width(cfg.settings.hook) or 0
        return 2 * n * cfg.activations.tokens + 40 * n * n * cfg.settings.expansion
    if isinstance(cfg, kinds.FeaturesSlice):
        return sizes.model(cfg.model) + 3 * work.dump_bytes(cfg.sae, cfg.corpora)
    if isinstance(cfg, kinds.CorrelationSlice):
        sides = [side.split(".") for side in (cfg.a, cfg.b)]
        m_a, m_b = map(sizes.features, sides)
        return 16 * m_a * m_b + 3 * sum(work.dump_bytes(sae, cfg.corpora) for _, sae in sides)
    if isinstance(cfg, kinds.SharesSlice):
        return 3 * sum(work.dump_bytes(sae, cfg.corpora) for sae in (*cfg.a, *cfg.b))
    if isinstance(cfg, kinds.DashboardsSlice):
        return 3 * len(cfg.models) * work.dump_bytes(cfg.sae, cfg.corpora)
    if isinstance(cfg, kinds.TransferSlice):
        return sizes.model(cfg.parent) + sizes.model(cfg.child)
    return 0
