"""Time and memory of a job that was never run here, by its stage's law (`Cost` of plan/stages)."""

from typing import NamedTuple

from featflow.commands.sizes import Unknown
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES
from featflow.plan.stages.spec import Cost, Sizes


class Gpu(NamedTuple):
    """Peak FLOP/s, dense, by its maker."""

    bfloat16: float
    float32: float


GPUS = {
    "a100": Gpu(312e12, 19.5e12),
    "h100": Gpu(989e12, 67e12),
    "h200": Gpu(989e12, 67e12),
    "l40s": Gpu(362e12, 91.6e12),
    "v100": Gpu(15.7e12, 15.7e12),  # it has no bfloat16
}


def cost_of(stage: str) -> Cost:
    """The law of a stage; of a rule that is no stage's the least."""
    return STAGES[stage].cost if stage in STAGES else Cost()


def on_gpu(stage: str) -> bool:
    """Whether a stage computes on a GPU where there is one."""
    cost = cost_of(stage)
    return cost.bfloat16 is not None or cost.float32 is not None


def work(stage: str, cfg: Slice, sizes: Sizes) -> float:
    """The work of a job with a slice.

    Raises:
        Unknown: when it cannot be known before something else is there.
    """
    count = cost_of(stage).work
    return 1.0 if count is None else max(1.0, count(sizes, cfg))


def seconds(stage: str, work: float, threads: int, gpu: str | None = None) -> float:
    """How long a job takes, by its work alone.

    Args:
        stage: its stage.
        work: of `work`.
        threads: those that it has.
        gpu: a key of `GPUS`, for stages that use one.
    """
    cost = cost_of(stage)
    if gpu and cost.bfloat16 is not None:
        return cost.start + work / (cost.bfloat16 * GPUS[gpu].bfloat16)
    if gpu and cost.float32 is not None:
        return cost.start + work / (cost.float32 * GPUS[gpu].float32)
    if cost.rate is None:
        return cost.start
    return cost.start + work / (cost.rate * min(threads, cost.threads or threads))


def memory(stage: str, cfg: Slice | None, sizes: Sizes) -> float:
    """Bytes of main memory that a job needs at most (its start alone where no more is known)."""
    cost = cost_of(stage)
    try:
        return cost.memory + (cost.held(sizes, cfg) if cost.held and cfg is not None else 0)
    except Unknown:
        return cost.memory
