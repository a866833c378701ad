"""Why Snakemake would run jobs, in plain words: its own reasons, sorted and compared, no others."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from featflow.commands import planned
from featflow.commands.origin import differences
from featflow.commands.planned import Job

CODE = re.compile(r"revision \d+|[0-9a-f]{12}(-[0-9a-f]{12})?")
FILES = re.compile(r"[0-9a-f]{16}")
"""How parameters look that stand for a stage's code, and for files outside of results/."""

SETTINGS, OF_CODE, SOURCES = (
    "its settings have changed",
    "its code has changed",
    ("files that it reads outside of results/ have changed"),
)
WORDS = {
    planned.MISSING: "not made yet",
    planned.INCOMPLETE: "an earlier run was stopped in the middle of it",
    planned.INPUT: "what it is made from was changed by hand, or by another run",
    planned.SET: "it is made from other files than before",
    planned.CODE: "the text of its rule has changed",
    planned.SOFTWARE: "its software environment has changed",
    planned.FORCED: "it is forced",
}
"""Reasons of a job itself; `UPSTREAM` is what follows from another."""

WITH_FILES = (planned.INPUT, planned.INCOMPLETE)


class Cause(NamedTuple):
    """Why some jobs would run by themselves."""

    what: str
    details: tuple[str, ...]
    jobs: tuple[Job, ...]


def causes(jobs: list[Job]) -> list[Cause]:
    """The first causes, each with the jobs that it is of; those that follow from others left out.

    Args:
        jobs: all that would run, in order.
    """
    found: dict[tuple[str, tuple[str, ...]], list[Job]] = {}
    for job in jobs:
        for what, details in _of(job):
            found.setdefault((what, details), []).append(job)
    return [Cause(what, details, tuple(group)) for (what, details), group in found.items()]


def _of(job: Job) -> Iterator[tuple[str, tuple[str, ...]]]:
    for phrase, rest in job.reasons.items():
        if phrase == planned.PARAMS:
            yield from changed(rest)
        elif phrase in WITH_FILES:
            yield WORDS[phrase], tuple(rest.split(", "))
        elif phrase in WORDS:
            yield WORDS[phrase], ()
    if not job.reasons:
        yield "Snakemake gives no reason", ()


def changed(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What has changed among a job's parameters, by what they stand for.

    Args:
        text: Snakemake's account of them, before and now.
    """
    sides = planned.parameters(text)
    if sides is None:
        yield "its parameters have changed", (text,)
        return
    before, now = sides
    slices = [_json(side) for side in sides]
    if any(slices):
        old, new = (found[0] if found else {} for found in slices)
        lines = (f"{key}: {a} → {b}" for key, a, b in differences(old, new))
        yield SETTINGS, tuple(lines)
    codes = [[value for value in side if CODE.fullmatch(value)] for side in sides]
    if any(codes):
        shown = " → ".join(", ".join(found) or "–" for found in codes)
        yield OF_CODE, (shown,)
    if any(FILES.fullmatch(value) for side in sides for value in side):
        yield SOURCES, ()
    others = [[v for v in side if not _known(v)] for side in (before, now)]
    if any(others) and not any(slices):
        yield "its parameters have changed", (f"{' '.join(others[0])} → {' '.join(others[1])}",)


def _known(value: str) -> bool:
    return bool(CODE.fullmatch(value) or FILES.fullmatch(value) or _json([value]))


def _json(values: list[str]) -> list[dict]:
    """The slices among parameters."""
    found = []
    for value in values:
        if value.startswith("{"):
            try:
                found.append(json.loads(value))
            except ValueError:
                continue
    return found


def chain(first: Job, target: str, jobs: list[Job]) -> list[Job]:
    """The shortest way from a job to the one that makes the target, each made from the one before.

    A target that no job makes is led to by nothing: empty.
    """
    makers = {output: job for job in jobs for output in job.outputs}
    last = makers.get(target)
    ways: dict[tuple[str, ...], list[Job]] = {last.outputs: [last]} if last else {}
    waiting = [last] if last else []
    while waiting:
        job = waiting.pop(0)
        if job.outputs == first.outputs:
            return ways[job.outputs]
        for maker in planned.needs(job, makers):
            if maker.outputs not in ways:
                ways[maker.outputs] = [maker, *ways[job.outputs]]
                waiting.append(maker)
    return []
