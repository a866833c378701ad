"""How long jobs take together, where some wait for others and for a place."""

import heapq

from featflow.commands import planned
from featflow.commands.estimates import Estimate
from featflow.commands.planned import Job


def finish(
    jobs: list[Job],
    of: dict[tuple[str, ...], Estimate],
    cores: int | None,
    gpus: int | None,
) -> float:
    """When the last job ends: each starts once what it needs is there, and a place is free.

    Args:
        jobs: in an order in which what is needed comes first.
        of: the estimates, by outputs.
        cores: that they share (None: each has its own).
        gpus: that jobs asking for one share (None: as many as are wanted).
    """
    makers = {output: job for job in jobs for output in job.outputs}
    waiting, ended = list(jobs), set[tuple[str, ...]]()
    running: list[tuple[float, tuple[str, ...], int, int]] = []
    now, cores_left, gpus_left = 0.0, cores or 10**9, gpus or 10**9
    while waiting or running:
        for job in list(waiting):
            threads, wanted = min(job.threads, cores or job.threads), job.gpus if gpus else 0
            ready = all(maker.outputs in ended for maker in planned.needs(job, makers))
            if ready and threads <= cores_left and wanted <= gpus_left:
                waiting.remove(job)
                cores_left, gpus_left = cores_left - threads, gpus_left - wanted
                seconds = of[job.outputs].seconds or 0.0
                heapq.heappush(running, (now + seconds, job.outputs, threads, wanted))
        now, outputs, threads, wanted = heapq.heappop(running)
        ended.add(outputs)
        cores_left, gpus_left = cores_left + threads, gpus_left + wanted
    return now
