"""What is in a folder of text: which globs find it, which column holds it, how much there is."""

import glob
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from featflow.config import FeatflowError
from featflow.config.checks import DOMAINS
from featflow.config.corpora import Files
from featflow.data.corpora import files
from featflow.data.corpus import shuffled
from featflow.data.places import keyed
from featflow.data.readers import COMPRESSIONS, FIELD, Unsuitable, ending, sample, texts
from featflow.plan.stages.data import CorpusSlice

LIMIT = 6_000_000
"""Bytes of text taken from a folder: what two cores work through in minutes."""
TEXT_KEYS = ("text", "content", "body", "document", "story", "code", "article", "markdown")
"""Names of the field that holds a document, in the order of preference."""
OF_THE_REST = 0.1
"""A kind of file is read beside the commonest one if it has this share of that one's bytes."""


class Found(NamedTuple):
    """How a folder's documents are read."""

    paths: list[str]
    """Globs."""
    text: str
    """The field or column of a document; `text` for files that are documents."""
    files: int
    bytes: int
    """Of all files that the globs find, as they lie there."""


@dataclass(frozen=True)
class Sample:
    """What a corpus takes of a folder, as the `corpus` stage would: normalised, each text once."""

    found: Found
    texts: list[str]

    @cached_property
    def digests(self) -> list[bytes]:
        """SHA-256 of each text: what decides its split."""
        return [hashlib.sha256(text.encode()).digest() for text in self.texts]

    @cached_property
    def sizes(self) -> list[int]:
        """UTF-8 bytes of each text."""
        return [len(text.encode()) for text in self.texts]

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of all texts."""
        return sum(self.sizes)


def look(folder: str, flag: str = "--folders") -> Found:
    """What is in a folder, or a file.

    Args:
        folder: its path.
        flag: what named it.

    Raises:
        FeatflowError: when it does not exist, cannot be read, or holds no text.
    """
    path = there(folder, flag)
    try:
        files = [path] if path.is_file() else list(_walk(path))
    except OSError as error:
        raise FeatflowError(
            f"{flag}: {folder!r} cannot be read: {error.strerror} ({error.filename}); change its "
            "permissions, or name another folder"
        ) from None
    if not files:
        raise FeatflowError(
            f"{flag}: {folder!r} is empty, so it has no text; hidden files do not count"
        )
    if closed := [file for file in files if not os.access(file, os.R_OK)]:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise FeatflowError(
            f"{flag}: {closed[0]}{more} cannot be read; change the permissions, or name another "
            "folder"
        )
    kinds = _kinds(files)
    if not kinds:
        raise FeatflowError(
            f"{flag}: {folder!r} has no text (no file of UTF-8 text, and no records as JSON, "
            ".csv, .tsv or .parquet, packed or not); hidden files do not count"
        )
    sizes = {kind: sum(p.stat().st_size for p in paths) for kind, paths in kinds.items()}
    first, text = max(sizes, key=lambda kind: sizes[kind])
    enough = OF_THE_REST * sizes[first, text]
    beside = [k for k in kinds if k[0] and k[0] != first and k[1] == text and sizes[k] >= enough]
    wanted = [(first, text), *sorted(beside, key=lambda kind: -sizes[kind])]
    root = glob.escape(folder.rstrip("/") or "/")
    paths = [root] if path.is_file() else [f"{root}/**/*{glob.escape(s)}" for s, _ in wanted]
    number, size = sum(len(kinds[k]) for k in wanted), sum(sizes[k] for k in wanted)
    return Found(paths, text, number, size)


def there(folder: str, flag: str) -> Path:
    """The path of a folder or a file.

    Raises:
        FeatflowError: when nothing is there.
    """
    path = Path(os.path.expanduser(folder))
    if re.search(r"\$\{|\{stdlib\}", folder):
        raise FeatflowError(f"{flag}: write {folder!r} without braces")
    try:
        exists = path.exists()
    except OSError as error:
        raise FeatflowError(f"{flag}: {folder!r} cannot be read: {error.strerror}") from None
    if not exists:
        what = "is a link to nothing" if path.is_symlink() else "is not there"
        raise FeatflowError(f"{flag}: no folder {folder!r} (nor a file): it {what}; check the path")
    return path


def read(found: Found, limit: int = LIMIT) -> Sample:
    """Documents that a corpus of these globs takes, drawn from all, up to a limit in bytes.

    Raises:
        FeatflowError: when a file is corrupt, or a record lacks the field.
    """
    text = None if found.text == FIELD else found.text
    source = Files(kind="files", paths=found.paths, bytes=limit, text=text)
    with keyed("--folders"):
        cfg = CorpusSlice(study="init", corpus="sample", seed=0, source=source)
        kept = shuffled(files.documents(source, seed=0), cfg, Counter())
        return Sample(found, [each.document.text for each in kept])


def name_for(folder: str, taken: set[str]) -> str:
    """A corpus's name after its folder, as names go ([a-z][a-z0-9]*), none of those taken."""
    stem = Path(os.path.abspath(os.path.expanduser(folder))).name.lower().split(".")[0]
    name = re.sub(r"^[0-9]+|[^a-z0-9]", "", stem)
    name = re.sub(r"^[0-9]+", "", name)
    if not name or not is_name(name) or name in DOMAINS:
        name = f"corpus{name}"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def is_name(name: str) -> bool:
    """Whether a study, corpus or model may be called this: `no` and `on` are not text in YAML."""
    return bool(re.fullmatch(r"[a-z][a-z0-9]*", name)) and yaml.safe_load(name) == name


def _walk(folder: Path) -> Iterator[Path]:
    """The files that `**` finds: none that is hidden."""

    def failed(error: OSError) -> None:
        raise error

    for top, names, found in os.walk(folder, onerror=failed):
        names[:] = sorted(n for n in names if not n.startswith("."))
        yield from (Path(top, n) for n in sorted(found) if not n.startswith("."))


def _kinds(paths: list[Path]) -> dict[tuple[str, str], list[Path]]:
    """The readable files by ending and text column: (`.jsonl.gz`, `text`) → its files."""
    by_ending: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        if path.is_file() and path.stat().st_size:
            by_ending[_ending(path)].append(path)
    found = {}
    for name, members in by_ending.items():
        column = next((c for path in members[:5] if (c := _column(path)) is not None), None)
        if column is not None:
            found[name, column] = members
    return found


def _ending(path: Path) -> str:
    """`.jsonl.gz` of a packed file, else what follows the last dot, as it is spelled."""
    packed = path.suffix.lower() in COMPRESSIONS
    return "".join(path.suffixes[-2:]) if packed else path.suffix


def _column(path: Path) -> str | None:
    """The field or column with a file's documents; `text` for a file that is one; else None."""
    if ending(path) == ".parquet" != path.suffix.lower():
        return "text"  # a packed one is not looked into: it may be huge
    try:
        records = sample(path, 20)
        if records is not None:
            return _of_records(records)
        return "text" if next(texts(path, "text", LIMIT), None) else None
    except (Unsuitable, FeatflowError):
        return None


def _of_records(records: list[dict[str, Any]]) -> str | None:
    """The field that most likely holds the documents: by its name, else the one with most text."""
    lengths: Counter[str] = Counter()
    for record in records:
        lengths.update({k: len(v) for k, v in record.items() if isinstance(v, str)})
    named = [key for key in TEXT_KEYS if lengths[key]]
    return named[0] if named else max(lengths, key=lambda k: lengths[k], default=None)
