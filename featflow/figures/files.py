"""Which of a figure's or a report's input files is what: told by its path."""

import re
from collections.abc import Iterable
from pathlib import Path

from featflow.plan.names import pattern
from featflow.plan.paths import Template


def matching(
    files: Iterable[str | Path], template: Template, name: str, **fixed: str
) -> dict[str, Path]:
    """The files that a template describes, by the value of one of its wildcards.

    `matching(files, paths.EVALUATE, "model")` is {"lua": …/evaluate/lua.json, …};
    `matching(files, paths.SAE, "model", sae="main")` are those of one SAE.
    """
    for key, value in fixed.items():
        template = Template(template.replace("{" + key + "}", value))
    ending = re.compile(pattern(template).pattern + "$")
    found = ((ending.search(Path(file).as_posix()), Path(file)) for file in files)
    return {match[name]: file for match, file in found if match}
