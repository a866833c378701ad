"""Every artifact of the study: what made it, of what, and the target that makes it again."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from featflow.artifacts.io import load_provenance
from featflow.artifacts.provenance import digest as digest_of
from featflow.artifacts.reading import named
from featflow.plan.stages import STAGES, provenance_beside, stage_of
from featflow.plan.stages.report import ReportSlice


class Artifact(NamedTuple):
    """A row of the list."""

    target: str
    """Its path from results/."""
    stage: str
    size: int | None
    """Bytes; None for a file that is known only as an input of another."""
    digest: str
    """SHA-256."""
    origin: str
    """What the provenance is read from, where it is not the file itself."""
    provenance: dict[str, Any] | None

    @property
    def code(self) -> str:
        """The revision or the fingerprint of the code that made it."""
        if self.provenance is None:
            revision = STAGES[self.stage].revision
            return "" if revision is None else f"revision {revision}"
        code = self.provenance["code"]
        return f"revision {code}" if isinstance(code, int) else f"code {code}"

    @property
    def command(self) -> str:
        """What makes it again, if it is out of date."""
        return f"snakemake --profile local {shlex.quote(self.target)}"

    @property
    def config(self) -> str:
        """The slice of the config that its stage read, as JSON."""
        return json.dumps((self.provenance or {}).get("config", {}), indent=2, ensure_ascii=False)


def artifacts(cfg: ReportSlice, files: list[Path], digests: Mapping[str, str]) -> list[Artifact]:
    """The report's inputs, and every file that they were made of, from the first stage on.

    Args:
        files: the report's inputs.
        digests: SHA-256 of each, by its path from results/.
    """
    found = {named(file): _artifact(cfg, file, digests[named(file)]) for file in files}
    for artifact in list(found.values()):
        for target, digest in (artifact.provenance or {}).get("inputs", {}).items():
            stage = _stage(cfg, target)
            if stage is not None and target not in found:
                found[target] = Artifact(target, stage, None, digest, "", None)
    order = list(STAGES)
    return sorted(found.values(), key=lambda a: (order.index(a.stage), a.target))


def _artifact(cfg: ReportSlice, file: Path, digest: str) -> Artifact:
    provenance, origin = load_provenance(file), ""
    if provenance is None:
        beside = provenance_beside(file, named(file))
        if beside is not None and beside.is_file():
            digest_of(beside)  # it may be none of the inputs, and so not be checked yet
            provenance, origin = load_provenance(beside), beside.name
    stage = provenance["stage"] if provenance else _stage(cfg, named(file)) or ""
    return Artifact(named(file), stage, file.stat().st_size, digest, origin, provenance)


def _stage(cfg: ReportSlice, target: str) -> str | None:
    """The stage that makes a file; None for what is no target (a folder, a file of the user's)."""
    stage = stage_of(target, {name: model.kind for name, model in cfg.models.items()})
    return stage and stage.verb
