"""How a stage runs: its log, its progress, its threads. Nothing here changes a result."""

import gc
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger("featflow")
Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 30


def set_up_logging(label: str, file: Path | None = None) -> None:
    """Log to the terminal, and to a file where Snakemake names one.

    FEATFLOW_LOG_LEVEL sets the level (default INFO).

    Args:
        label: what each line begins with.
        file: the log file.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(file, mode="w", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(f"%(asctime)s {label}: %(message)s", "%H:%M:%S"))
    log.handlers = handlers
    log.propagate = False
    log.setLevel(os.environ.get("FEATFLOW_LOG_LEVEL", "INFO").upper())


def progress(
    items: Iterable[Item], what: str, total: int | None = None, done: int = 0
) -> Iterator[Item]:
    """Pass items on and show how far it is: a bar on a terminal, else a log line every 30 s.

    Args:
        items: what to iterate over.
        what: the unit, in the plural ("steps").
        total: how many items there are in all, where `items` has no length.
        done: how many of them an earlier run has done.
    """
    if total is None and hasattr(items, "__len__"):
        total = done + len(items)  # type: ignore[arg-type]
    if sys.stderr.isatty() and not any(isinstance(h, logging.FileHandler) for h in log.handlers):
        yield from tqdm(items, total=total, initial=done, unit=f" {what}", dynamic_ncols=True)
        return
    start = said = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES:
            said = now
            log.info(_line(done + count, total, count / (now - start), what))


def _line(done: int, total: int | None, rate: float, what: str) -> str:
    if total is None:
        return f"{done:,} {what}, {rate:,.1f} a second"
    left = time.strftime("%H:%M:%S", time.gmtime((total - done) / rate))
    return f"{done:,} of {total:,} {what} ({done / total:.0%}), {rate:,.1f} a second, {left} left"


@contextmanager
def importing() -> Iterator[None]:
    """Large imports without the collector, which takes a third of their time and finds nothing."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def checkpoints_root() -> Path:
    """Where all checkpoints are: outside every output.

    FEATFLOW_CHECKPOINTS moves it (default: .featflow/checkpoints in the working directory).
    """
    return Path(os.environ.get("FEATFLOW_CHECKPOINTS", ".featflow/checkpoints"))


def checkpoint_seconds() -> float:
    """Seconds between checkpoints: FEATFLOW_CHECKPOINT_SECONDS, 600 unless set."""
    return float(os.environ.get("FEATFLOW_CHECKPOINT_SECONDS", "600"))
