"""Which of the report's inputs is what."""

from collections.abc import Iterable
from pathlib import Path

from featflow.figures.files import matching
from featflow.plan.paths import Template


def among(files: Iterable[Path], template: Template, name: str, **fixed: str) -> dict[str, Path]:
    """The files that a template describes, by one wildcard, others of it being fixed.

    `among(files, paths.SAE, "model", sae="main")` is {"lua": …/sae/lua/main/cfg.json, …}.
    """
    for key, value in fixed.items():
        template = Template(template.replace("{" + key + "}", value))
    return matching(files, template, name)
