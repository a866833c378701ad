"""What made an artifact, by its provenance, beside what the config would make it with now."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featflow.artifacts import producers
from featflow.artifacts.io import load_provenance
from featflow.config import ConfigError
from featflow.config.study import Study
from featflow.plan import paths
from featflow.plan.names import parsed
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES
from featflow.report.listing import BESIDE

STAGE = {
    **{template: stages[0] for template, stages in producers.STAGES.items()},
    paths.TOKENIZER: "tokenizer",
    paths.FLOW_COUNTS: "flow",
    paths.FLOW_EDGES: "edges",
    paths.FLOW_STRATA: "edges",
    paths.DASHBOARDS: "dashboards",
    paths.EXPLORER: "explorer",
    paths.REPORT: "report",
}
"""The stage that writes a file; what a model is made by depends on its kind."""

OF_A_MODEL = (paths.MODEL, paths.WEIGHTS, paths.TRAINING, paths.MERGE)
BY_KIND = {"base": "train"}
"""By kind of model, where the stage has another name."""

ABSENT = "–"


def stage_of(slices: Slices, name: str) -> str | None:
    """The stage that makes a file of the study; None where its config has none."""
    found = parsed(name)
    if found is None:
        return None
    if found.template in OF_A_MODEL:
        model = slices.study.models.get(found.names["model"])
        return BY_KIND.get(model.kind, model.kind) if model else None
    return STAGE[found.template]


def slice_of(slices: Slices, name: str, paper: Study | None = None) -> Slice | None:
    """The slice with which the config would make a file; None where it has no such target.

    Args:
        slices: of the file's study.
        name: its path from results/ on.
        paper: the study that the report compares settings with.
    """
    stage, found = stage_of(slices, name), parsed(name)
    if stage is None or found is None:
        return None
    if stage == "report":
        return slices.report(paper)
    names = dict(found.names)
    if stage in ("features", "metrics", "sae"):
        names = {key: names[key] for key in ("model", "sae")}
    wanted = [value for key, value in names.items() if key not in ("study", "format")]
    if stage == "corpus":
        wanted = [names["corpus"]]
    if stage == "activations":
        return _checked(slices, names) and slices.activations(
            names["model"], names["hook"], int(names["shard"])
        )
    return _checked(slices, names) and getattr(slices, stage)(*wanted)


def _checked(slices: Slices, names: Mapping[str, str]) -> Any:
    """True, or None where the study has not these names."""
    try:
        slices.check(dict(names))
    except ConfigError:
        return None
    return True


def provenance_of(path: Path, name: str) -> dict[str, Any] | None:
    """A file's provenance, or that of the file beside it that the same job wrote.

    Raises:
        ArtifactError: when one of them cannot be read.
    """
    if own := load_provenance(path):
        return own
    found = parsed(name)
    beside = found and BESIDE.get(found.template)
    return load_provenance(path.with_name(beside)) if beside else None


def current(slices: Slices, name: str, provenance: Mapping[str, Any], cfg: Slice) -> bool:
    """Whether a file was made with the settings and by the code revision that there are now."""
    stage = provenance["stage"]
    code = STAGES[stage].revision if stage in STAGES else None
    same = provenance["config"] == json.loads(cfg.dumps()) and stage == stage_of(slices, name)
    return same and code in (None, provenance["code"])


def differences(before: Any, now: Any, key: str = "") -> list[tuple[str, str, str]]:
    """The keys on which two slices (as JSON) differ: key, then its values as JSON."""
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        parts = [differences(before.get(k), now.get(k), f"{key}.{k}".lstrip(".")) for k in keys]
        return [each for part in parts for each in part]
    old, new = (
        ABSENT if value is None else json.dumps(value, ensure_ascii=False)
        for value in (before, now)
    )
    return [(key, old, new)]
