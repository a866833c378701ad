"""What made an artifact, by its provenance, beside what the config would make it with now."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featflow.artifacts.io import load_provenance
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES, provenance_beside, stage_of

ABSENT = "–"


def provenance_of(path: Path, name: str) -> dict[str, Any] | None:
    """A file's provenance, or that of the file beside it that the same job wrote.

    Raises:
        ArtifactError: when one of them cannot be read.
    """
    if own := load_provenance(path):
        return own
    beside = provenance_beside(path, name)
    return load_provenance(beside) if beside else None


def current(slices: Slices, name: str, provenance: Mapping[str, Any], cfg: Slice) -> bool:
    """Whether a file was made with the settings and by the code revision that there are now."""
    stage, maker = provenance["stage"], stage_of(name, slices.model_kinds)
    verb = maker and maker.verb
    code = STAGES[stage].revision if stage in STAGES else None
    same = provenance["config"] == json.loads(cfg.dumps()) and stage == verb
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
