"""Every file of a study beside the digest that its stage recorded, and what its provenance says."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from featflow.artifacts import digests
from featflow.artifacts.io import ArtifactError
from featflow.artifacts.producers import misnamed
from featflow.artifacts.provenance import listing_digest
from featflow.commands.origin import current, provenance_of
from featflow.plan import paths
from featflow.plan.names import HANDLES, parsed, target
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages import slice_of
from featflow.runtime.log import progress

MISSING, TRUNCATED = "missing: its stage wrote it, and it is gone", "truncated, or not whole"
CHANGED = "changed: its bytes are not those that its stage wrote"
FOREIGN, UNREADABLE = "foreign: {}", "it cannot be read, and has no digest"
"""What is broken."""

UNFINISHED = "unfinished, of a job that runs now or was killed"
STALE, OLDER = "made with other settings or code than now", "made from another {} than is there"
UNKNOWN, GONE = "not of this config", "not of this config, and gone: only its digest is left"
"""What is said beside: nothing is broken by it."""


ENDS: dict[str, bytes | tuple[bytes, ...]] = {
    ".parquet": b"PAR1",
    ".json": (b"}", b"}\n"),
    ".html": (b">", b">\n"),
    ".svg": (b">", b">\n"),
    ".csv": b"\n",
    ".js": b");\n",
}
"""How files end."""


class FoundFile(NamedTuple):
    """Something to say of a file."""

    name: str
    """Its path from results/ on."""
    what: str
    broken: bool


class Checked(NamedTuple):
    """What was looked at, and what was found."""

    files: int
    bytes: int
    without: int
    """Files without a digest that could be read."""
    found: list[FoundFile]


class File(NamedTuple):
    """A file of the study as it is."""

    path: Path
    name: str
    size: int
    sha256: str
    recorded: str | None
    provenance: dict[str, Any] | None
    readable: bool

    @property
    def meant(self) -> str:
        """The digest that it should have, as far as that is known."""
        return self.recorded or self.sha256


def verified(slices: Slices) -> Checked:
    """Look at every file of a study.

    Args:
        slices: of the study.
    """
    folder = Path(paths.STUDY.at(study=slices.name))
    hidden, visible = _listed(folder)
    records = [p for p in hidden if p.name.endswith(digests.ENDING) and digests.FOLDER in p.parts]
    unfinished = [p for p in hidden if p not in records]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the largest first, so that no one waits
        order = sorted(visible, key=lambda path: -path.stat().st_size)
        files = list(progress(pool.map(_read, order), "files", len(order)))
    by_name = {file.name: file for file in sorted(files, key=lambda file: file.name)}
    found = [*_missing(slices, records, by_name)]
    known = {file.recorded: file.name for file in files if file.recorded}
    sources = {**{f.name: f.meant for f in files}, **dict(_folders(files))}
    for file in by_name.values():
        found += _of(file, slice_of(slices, target(file.name)), slices, known, sources)
    found += [FoundFile(p.as_posix(), UNFINISHED, False) for p in unfinished]
    broken = {each.name for each in found if each.broken}
    without = sum(f.recorded is None and f.name not in broken for f in files)
    return Checked(len(files), sum(file.size for file in files), without, found)


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of a study: those in hidden folders or with hidden names, and the others."""
    hidden: list[Path] = []
    visible: list[Path] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        below = path.relative_to(folder).parts
        (hidden if any(part.startswith(".") for part in below) else visible).append(path)
    return hidden, visible


def _read(path: Path) -> File:
    try:
        provenance, whole = provenance_of(path, path.as_posix()), True
    except ArtifactError:
        provenance, whole = None, False
    recorded = digests.recorded(path)
    digest = digests.sha256(path)
    return File(path, path.as_posix(), path.stat().st_size, digest, recorded, provenance, whole)


def _missing(
    slices: Slices, records: Iterable[Path], files: dict[str, File]
) -> Iterator[FoundFile]:
    for record in records:
        name = digests.artifact_of(record).as_posix()
        if name not in files:
            gone = slice_of(slices, target(name)) is None or not _possible(slices, name)
            yield FoundFile(name, GONE if gone else MISSING, not gone)


def _possible(slices: Slices, name: str) -> bool:
    """Whether the config still makes the file: a model that is a merge now has no training."""
    found = parsed(name)
    if found is None or "model" not in found.names:
        return True
    kind = getattr(slices.study.models.get(found.names["model"]), "kind", None)
    written = {paths.TRAINING: ("base", "finetune"), paths.MERGE: ("merge",)}
    return kind in written.get(found.template, (kind,))


def _folders(files: Iterable[File]) -> Iterator[tuple[str, str]]:
    """The digests that the folders which stages read whole should have."""
    handles = {target(file.name) for file in files}
    of_folders = (h for h in handles if (found := parsed(h)) and found.template in HANDLES)
    for folder in sorted(Path(handle).parent for handle in of_folders):
        inside = {f.path.name: f.meant for f in files if Path(f.name).parent == folder}
        yield folder.as_posix(), listing_digest(inside)


def _of(
    file: File,
    cfg: Slice | None,
    slices: Slices,
    known: dict[str, str],
    sources: dict[str, str],
) -> Iterator[FoundFile]:
    """What is to be said of a file.

    Args:
        file: the file.
        cfg: what the config would make it with.
        slices: of its study.
        known: the name of the file that each recorded digest is of.
        sources: the digests that files and folders should have.
    """
    said = file.provenance or {}
    own = misnamed(file.name, said)
    if file.recorded is not None and file.recorded != file.sha256:
        other = known.get(file.sha256)
        what = CHANGED if file.readable and whole(file.path) else TRUNCATED
        if own or other:
            what = FOREIGN.format(f"it is {other}" if other else f"it is of {own}")
        yield FoundFile(file.name, what, True)
    elif own:
        yield FoundFile(file.name, FOREIGN.format(f"it is of {own}"), True)
    elif file.recorded is None and not (file.readable and whole(file.path)):
        yield FoundFile(file.name, UNREADABLE, True)
    elif cfg is None:
        yield FoundFile(file.name, UNKNOWN, False)
    elif said and not current(slices, target(file.name), said, cfg):
        yield FoundFile(file.name, STALE, False)
    else:
        for source, digest in said.get("inputs", {}).items():
            if sources.get(source, digest) != digest:
                yield FoundFile(file.name, OLDER.format(source), False)


def whole(path: Path) -> bool:
    """Whether a file ends as its format does; True for formats that do not say."""
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="numpy"):
                return True
        except (SafetensorError, OSError):
            return False
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        end = file.read()
    return bool(end) and end.rstrip(b" ").endswith(ENDS.get(path.suffix, b""))
