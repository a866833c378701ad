"""`featflow menu`: every target that a study's config makes possible."""

from pathlib import PurePosixPath
from typing import Annotated

import tyro

from featflow.commands import workflow
from featflow.commands.terminal import CONFIG, ConfigPath, StudyName, chosen, coloured
from featflow.config import FeatflowError
from featflow.config.errors import did_you_mean
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

COLOURS = {
    workflow.UP_TO_DATE: "green",
    workflow.OUT_OF_DATE: "yellow",
    workflow.NOT_MADE: "dim",
    workflow.ON_REQUEST: "dim",
}
"""By how a state begins."""


def menu(
    study: StudyName = None,
    /,
    stage: Annotated[
        str | None, tyro.conf.arg(metavar="STAGE", help_behavior_hint="(default: every stage)")
    ] = None,
    stale: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """List every target that a study makes possible, and whether it is up to date.

    A line a target, grouped by the stage that makes it. The states are Snakemake's own (`snakemake
    --summary`); `on request` is what no other target needs, such as a figure as .svg.

      featflow menu demo --stage figure
      snakemake --profile local results/demo/figures/flow.html

    Args:
        study: the study's name.
        stage: only the targets of this stage (corpus, sae, figure, ...).
        stale: only what `snakemake` would make now: not made yet, or out of date.
        config: the file that describes the studies.
    """
    checked, name = chosen(study, config)
    if stage is not None and stage not in STAGES:
        raise FeatflowError(f"--stage: no stage named {stage!r}; {did_you_mean(stage, STAGES)}")
    slices = Slices.of(checked, name)
    found = workflow.targets(checked, name, on_request(slices))
    shown = [t for t in found if (stage in (None, t.stage)) and (t.pending or not stale)]
    none = f"study {name}: nothing of what was asked for is {'stale' if stale else 'possible'}"
    print("\n".join(lines(shown)) if shown else none)


def on_request(slices: Slices) -> list[str]:
    """Targets of the config that a study's leaves may not need."""
    study, at = slices.study, {"study": slices.name}
    return [
        *(paths.TOKENS.at(**at, corpus=c, split=s) for c in study.corpora for s in paths.SPLITS),
        *(
            paths.FIGURE.at(**at, figure=f, format=form)
            for f in study.drawn
            for form in paths.FORMATS
        ),
        *(paths.MATCHES.at(**at, a=str(p.a), b=str(p.b)) for p in slices.lineage.pairs()),
    ]


def lines(targets: list[workflow.Target]) -> list[str]:
    """A heading a stage, then a line a target: its path, and its state behind it."""
    stages = list(dict.fromkeys([*STAGES, *(t.stage for t in targets)]))
    width = max(len(target.path) for target in targets)
    found = []
    for stage in stages:
        of_stage = [target for target in targets if target.stage == stage]
        if of_stage:
            summary = f": {STAGES[stage].summary}" if stage in STAGES else ""
            found += ["", coloured(f"# {stage}{summary}", "bold")]
        found += [
            f"{target.path.ljust(width)}  {_coloured(target.state)}"
            for target in sorted(of_stage, key=_handle_first)
        ]
    return found[1:]


def _handle_first(target: workflow.Target) -> tuple[PurePosixPath, bool]:
    """By folder; in it the file that stands for it (config.json, cfg.json) first."""
    path = PurePosixPath(target.path)
    return path.parent, path.name not in ("config.json", "cfg.json")


def _coloured(state: str) -> str:
    return coloured(state, next(c for begin, c in COLOURS.items() if state.startswith(begin)))
