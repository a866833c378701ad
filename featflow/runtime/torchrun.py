"""Several GPUs of a machine for one stage: torchrun starts the stage's command once a GPU.

`gpu: 4` in a rule's row of the profile asks for it (rules/common.smk puts that into FEATFLOW_GPUS).
The process that Snakemake started becomes torchrun, so that a signal reaches it; the processes that
it starts find their number in the environment. What they do together is in models/parallel.py.
"""

import os
import signal
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from featflow.config.errors import ConfigError, FeatflowError

VARIABLE = "FEATFLOW_GPUS"
"""GPUs by stage, where more than one is asked for: "finetune=2 train=4"."""

STAGES = ("train", "finetune")
"""Those that can use several GPUs."""

GRACE = 120
"""Seconds in which the processes write their state after a signal; then they are killed."""


def rank() -> int:
    """The number of this process among those that work together: 0 is the one that writes."""
    return int(os.environ["RANK"]) if _started() else 0


def world() -> int:
    """How many processes work together."""
    return int(os.environ["WORLD_SIZE"]) if _started() else 1


def _started() -> bool:
    """Whether torchrun has started this process (other tools set WORLD_SIZE, too)."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def request(resources: Mapping[str, Mapping[str, Any]]) -> str:
    """The variable's value.

    Args:
        resources: what the profile or the command line asks for, by rule and name.

    Raises:
        ConfigError: when a number of GPUs is none.
    """
    rows = {stage: resources[stage] for stage in STAGES if stage in resources}
    asked = {s: _number(s, row["gpu"]) for s, row in rows.items() if "gpu" in row}
    return " ".join(f"{stage}={count}" for stage, count in asked.items() if count > 1)


def _number(stage: str, found: Any) -> int:
    found = getattr(found, "raw", found)
    try:
        return int(found)
    except (TypeError, ValueError):
        raise ConfigError(f"set-resources: {stage}: gpu is {found!r}; give a number") from None


def asked(stage: str) -> int:
    """Processes that this one has to start for its stage; 1 where it is one of them itself."""
    if _started():
        return 1
    counts = dict(word.split("=") for word in os.environ.get(VARIABLE, "").split())
    return int(counts.get(stage, 1))


def spread(stage: str, arguments: list[str], count: int) -> None:
    """Run a stage's command in `count` processes, each with a GPU of its own (or none at all).

    Raises:
        FeatflowError: when one failed, or there are fewer GPUs than processes.
        SystemExit: after a signal, when all have saved their state and ended.
    """
    import torch
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    there = torch.cuda.device_count() if os.environ.get("FEATFLOW_DEVICE") != "cpu" else 0
    if 0 < there < count:
        raise FeatflowError(f"{stage}: {count} GPUs are asked for, and {there} can be seen here")
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))  # of the job, for all of them
    os.environ["OMP_NUM_THREADS"] = str(max(1, threads // count))
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={count}"]
    options += ["--virtual-local-rank", f"--shutdown-timeout={GRACE}"]
    options += ["--signals-to-handle=SIGUSR1"]  # not the two below: a second one would end the wait

    def once(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise SignalException(signal.Signals(number).name, signal.SIGTERM)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, once)
    try:
        with TemporaryDirectory(prefix="featflow-") as logs:  # its own would stay there, empty
            options.append(f"--log-dir={logs}")
            run.run(run.parse_args([*options, "-m", "--", "featflow", stage, *arguments]))
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        raise FeatflowError(
            f"{stage}: process {number + 1} of {count} failed first, with exit code "
            f"{failure.exitcode}; its own message is above"
        ) from None
    except SignalException:
        raise SystemExit(1) from None
