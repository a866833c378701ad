"""The SHA-256 of every artifact, recorded by the stage that wrote it.

`results/{study}/.sha256/{path below the study}.sha256` holds a line in the format of `sha256sum`,
so that it can be checked without featflow:

    find results/demo/.sha256 -type f -exec cat {} + | sha256sum --check --quiet

The record gets its name before the file does. A process that dies in between leaves a record of
what is not there (or of another file than the old one that is): it looks broken, and it is, since
its job has not ended and Snakemake runs it again. The other way round, a whole file could stay
without a record, and nobody would notice when a byte of it flips. What has no record is accepted:
it is of an older version, or was brought from elsewhere.
"""

import hashlib
import re
from pathlib import Path

from featflow.artifacts.reading import readable
from featflow.files import replace_text
from featflow.plan.names import TEMPLATES

FOLDER, ENDING = ".sha256", ".sha256"
DIFFERS = "it is not what its stage wrote (SHA-256 differs)"
STUDY = re.compile(r"[a-z][a-z0-9]*")
FAMILIES = frozenset(template.split("/")[2] for template in TEMPLATES)
"""The folders of a study."""


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Other threads run meanwhile."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_of(path: Path) -> Path | None:
    """Where the digest of an artifact is recorded; None for what is none.

    That is a file below a folder of results/{study}/; checkpoints, temporary files and what lies in
    temporary folders are none.
    """
    parts = Path(path).parts
    for i in reversed(range(len(parts) - 3)):
        study, family, *below = parts[i + 1 :]
        if parts[i] == "results" and STUDY.fullmatch(study) and family in FAMILIES:
            hidden = any(part.startswith(".") for part in below)
            place = Path(*parts[: i + 2], FOLDER, family, *below)
            return None if hidden else place.with_name(place.name + ENDING)
    return None


def artifact_of(record: Path) -> Path:
    """The file that a record is about."""
    at = record.parts.index(FOLDER)
    return Path(*record.parts[:at], *record.parts[at + 1 :]).with_name(
        record.name.removesuffix(ENDING)
    )


def record(path: Path, content: Path) -> None:
    """Record that `path` is to hold what the file `content` holds, if it is an artifact."""
    place = record_of(path)
    if place is None:
        return
    study = place.parts.index(FOLDER) - 1
    name = "/".join(artifact_of(place).parts[study - 1 :])
    replace_text(place, f"{sha256(content)}  {name}\n")


def recorded(path: Path) -> str | None:
    """The SHA-256 that its stage recorded; None for what has no record.

    A record that is itself damaged gives what is no digest: it fits no file.
    """
    place = record_of(path)
    if place is None or not place.is_file():
        return None
    return place.read_text(encoding="utf-8", errors="replace").split(" ")[0]


def check(path: Path, digest: str) -> None:
    """Compare the SHA-256 of an artifact with what its stage recorded, if it did.

    Raises:
        ArtifactError: when they differ, with the target to rebuild.
    """
    wanted = recorded(path)
    with readable(path):
        if wanted is not None and wanted != digest:
            raise ValueError(DIFFERS)
