"""Every stage, once: what it is called, which jobs a study has of it, what each reads and writes.

A family of stages is a module here and a file of rules: stages/saes.py and rules/saes.smk. The
rules, `all`, hints, provenance checks, docs/formats.md and docs/stages.md are made of these.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from featflow.config.errors import ConfigError
from featflow.plan.names import parsed
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages import (
    analysis,
    data,
    features,
    figures,
    interpret,
    models,
    report,
    saes,
    spec,
)
from featflow.plan.stages.spec import Field, File, Stage

FAMILIES = (data, models, saes, features, analysis, interpret, figures, report)
STAGES = {stage.verb: stage for family in FAMILIES for stage in family.STAGES}
"""By verb, as data walk through them."""
FILES = {file.template: file for stage in STAGES.values() for file in stage.outputs}
"""Every file that some stage writes."""
KINDS = {stage.kind: stage for stage in STAGES.values() if stage.kind}
"""What makes a model, by its kind."""

__all__ = [
    "FAMILIES",
    "FILES",
    "KINDS",
    "STAGES",
    "Field",
    "File",
    "Stage",
    "leaves",
    "provenance_beside",
    "slice_of",
    "stage_of",
    "stages_of",
    "targets",
]


def stages_of(template: Template) -> list[Stage]:
    """What writes files of a template: several stages where a model is made by its kind's."""
    return [s for s in STAGES.values() if any(f.template == template for f in s.outputs)]


def stage_of(name: str, kinds: Mapping[str, str]) -> Stage | None:
    """The stage that makes a file; None for what is none of a study.

    Args:
        name: its path from results/ on.
        kinds: of the study's models.
    """
    found = parsed(name)
    if found is None:
        return None
    makers = stages_of(found.template)
    if len(makers) < 2:
        return next(iter(makers), None)
    return KINDS.get(kinds.get(found.names["model"], ""))


def provenance_beside(path: Path, name: str) -> Path | None:
    """The file beside this one that has its provenance; None where it has its own.

    Args:
        path: where it is.
        name: its path from results/ on.
    """
    found = parsed(name)
    beside = FILES[found.template].beside if found and found.template in FILES else ""
    return path.with_name(beside) if beside else None


def slice_of(slices: Slices, name: str) -> Slice | None:
    """The slice with which the config would make a file; None where it has no such target."""
    stage = stage_of(name, {model: m.kind for model, m in slices.study.models.items()})
    found = parsed(name)
    if stage is None or found is None:
        return None
    try:
        slices.check(found.names)
    except ConfigError:
        return None
    return stage.sliced(slices, found.names)


def targets(slices: Slices) -> Iterator[str]:
    """Every file of a study that some rule makes."""
    return spec.targets(STAGES.values(), slices)


def leaves(slices: Slices, formats: Collection[str]) -> list[str]:
    """The targets of a study's `all`.

    Args:
        slices: of the study.
        formats: of figures, those that can be drawn here.
    """
    return [
        target
        for stage in STAGES.values()
        if stage.leaves
        for target in stage.targets(slices, *stage.leaves, format=formats)
    ]
