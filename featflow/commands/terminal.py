"""How the commands print: studies by name, sizes in words, colours on a terminal alone."""

import math
import os
import sys
from pathlib import Path
from typing import Annotated

import tyro

from featflow.config import FeatflowError, Workflow, load
from featflow.config.errors import did_you_mean
from featflow.plan import programs

CONFIG = programs.CONFIG

ConfigPath = Annotated[Path, tyro.conf.arg(metavar="FILE")]
StudyName = Annotated[
    str | None,
    tyro.conf.arg(metavar="[STUDY]", help_behavior_hint="(default: the config's `study`)"),
]

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def chosen(study: str | None, config: Path) -> tuple[Workflow, str]:
    """The checked config, and the study that is asked for: its own `study` where none is.

    Raises:
        ConfigError: with a line for everything that is wrong.
        FeatflowError: when there is no such study.
    """
    programs.remember([config])
    workflow = load(config)
    name = workflow.study if study is None else study
    if name not in workflow.studies:
        raise FeatflowError(
            f"{config}: no study named {name!r}; {did_you_mean(name, workflow.studies)}"
        )
    return workflow, name


def coloured(text: str, code: str) -> str:
    """The text in a colour of `CODES` on a terminal; plain in a pipe or under NO_COLOR."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{CODES[code]}m{text}\x1b[0m"


def size(count: float) -> str:
    """Bytes in words: `4.3 GB`, decimal as disks are sold."""
    power = min(4, max(0, int(math.log10(max(count, 1)) + 1e-4) // 3))
    number = count / 1000**power
    digits = 0 if power == 0 or number >= 9.95 else 1
    return f"{number:.{digits}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def columns(rows: list[tuple[str, ...]], indent: str = "  ") -> list[str]:
    """Rows as lines, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return [(indent + "  ".join(row)).rstrip() for row in padded]


def span(seconds: float) -> str:
    """A time in words: `4 s`, `6 min`, `3.2 h`, `2.1 days`."""
    for unit, length, until in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 48 * 3600)):
        if seconds < until:
            number = seconds / length
            digits = 1 if number < 9.95 and unit == "h" else 0
            return f"{number:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
