"""What a path means: which template of plan/paths.py it follows, with which names in it."""

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

from featflow.plan import paths
from featflow.plan.paths import Template


class Named(NamedTuple):
    """A template, and what stands for its wildcards."""

    template: Template
    names: dict[str, str]


TEMPLATES = tuple(
    value for name, value in vars(paths).items() if isinstance(value, Template) and name != "STUDY"
)
HANDLES = (paths.MODEL, paths.SAE, paths.TOKENIZER, paths.DASHBOARDS, paths.EXPLORER)
"""Files that stand for their folder, in which a stage writes more than Snakemake is told of."""


def parsed(name: str) -> Named | None:
    """What a path from results/ on means (None: nothing of plan/paths.py)."""
    found = ((template, pattern(template).fullmatch(name)) for template in TEMPLATES)
    return next((Named(template, match.groupdict()) for template, match in found if match), None)


def target(name: str) -> str:
    """The target that makes a file: itself, or the file that stands for its folder."""
    if parsed(name) is None:
        folder = PurePosixPath(name).parent
        for handle in HANDLES:
            beside = str(folder / PurePosixPath(handle).name)
            if (found := parsed(beside)) and found.template is handle:
                return beside
    return name


@lru_cache
def pattern(template: Template) -> re.Pattern[str]:
    """A template as a regular expression, with a group for each wildcard."""
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(re.escape(p) if i % 2 == 0 else rf"(?P<{p}>[^/]+?)" for i, p in enumerate(parts))
    )
