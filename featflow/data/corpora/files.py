"""Files of this machine: text, code, .jsonl or .parquet, each also .gz or .zst.

`paths` lists them and reads none: the workflow calls it to know what a corpus is made from.
"""

import glob
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from featflow.core.config.corpora import Files
from featflow.core.runtime import log
from featflow.data.sources import Document, SourceError, expand

STDLIB = "{stdlib}"
INSTALLED = {"site-packages", "dist-packages"}
"""Folders below Python's library that are not part of it."""


class File(NamedTuple):
    """A file, and its name below its glob's fixed root: the same on every machine."""

    path: Path
    name: str


def documents(source: Files, seed: int) -> Iterator[Document]:
    """The documents of the files, in their order; what is left out is counted and logged."""
    from featflow.data.readers import Unsuitable, texts

    left_out: Counter[str] = Counter()
    try:
        for file in _files(source):
            try:
                for number, text in texts(file.path, source.text, source.max_bytes):
                    if problem := _size_problem(text, source):
                        left_out[problem] += 1
                    else:
                        yield Document(text, file.name if number is None else f"{file.name}:{number}")
            except Unsuitable as reason:
                log.warning("%s: %s, left out", file.path, reason)
                left_out[str(reason)] += 1
    finally:  # a limit may end the reading before the files do
        if left_out:
            log.info("left out: %s", ", ".join(f"{n:,} {why}" for why, n in sorted(left_out.items())))


def _size_problem(text: str, source: Files) -> str | None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > source.max_bytes:
        return "too large"
    return "too small" if size < source.min_bytes else None


def paths(source: Files) -> list[Path]:
    """The files that a corpus is made from, in the order in which they are read.

    The order is that of the globs, then of the names below a glob's root; a file that several
    globs match counts once.

    Raises:
        SourceError: when a variable is not set, or a glob matches no file.
    """
    return [file.path for file in _files(source)]


def _files(source: Files) -> list[File]:
    keep = [_matcher(glob) for glob in source.include]
    drop = [_matcher(glob) for glob in source.exclude]
    found: dict[Path, File] = {}
    for i, pattern in enumerate(source.paths):
        matched = _matched(pattern, f"paths.{i}")
        for file in matched:
            wanted = not keep or any(matches.match(file.name) for matches in keep)
            if wanted and not any(matches.match(file.name) for matches in drop):
                found.setdefault(file.path, file)
    if not found:
        raise SourceError("include, exclude: they leave no file of those that `paths` matches")
    return list(found.values())


def _matched(pattern: str, key: str) -> list[File]:
    """The files of one glob, sorted by name."""
    root, rest = _split(pattern, key)
    names = sorted(glob.glob(rest, root_dir=root, recursive=True))
    files = [File(Path(root, name), Path(name).as_posix()) for name in names]
    if STDLIB in pattern:
        files = [file for file in files if not _installed(file.path)]
    files = [file for file in files if file.path.is_file()]
    if not files:
        whole = Path(root, glob.escape(rest) if False else rest)
        hint = "it is a folder, write /** after it" if _folder(root, rest) else "check the path"
        raise SourceError(f"{key}: no file matches {str(whole)!r}; {hint}")
    return files


def _split(pattern: str, key: str) -> tuple[str, str]:
    """The fixed root of a glob, and what follows it; both with their variables expanded."""
    parts = Path(pattern).parts
    magic = [i for i, part in enumerate(parts) if glob.has_magic(part)]
    fixed = magic[0] if magic else len(parts) - 1
    stdlib = sysconfig.get_path("stdlib")
    root = expand(str(Path(*parts[:fixed])), key).replace(STDLIB, stdlib)
    rest = expand(str(Path(*parts[fixed:])), key, quote=glob.escape)
    return os.path.expanduser(root), rest.replace(STDLIB, glob.escape(stdlib))


def _folder(root: str, rest: str) -> bool:
    return any(Path(root, name).is_dir() for name in glob.glob(rest, root_dir=root))


def _installed(path: Path) -> bool:
    library = Path(sysconfig.get_path("stdlib"))
    return path.is_relative_to(library) and bool(INSTALLED & {*path.relative_to(library).parts})


def _matcher(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression on names; one without a slash matches at any depth."""
    tokens = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if "/" not in pattern:
        pattern = "**/" + pattern
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]/]+\])", pattern)
    expression = "".join(
        tokens.get(piece) or (piece.replace("[!", "[^", 1) if piece[:1] == "[" else re.escape(piece))
        for piece in pieces
    )
    return re.compile(expression + r"\Z", re.DOTALL)
