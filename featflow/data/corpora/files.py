"""Files of this machine: text, code, or records, packed or not (data/readers.py knows which)."""

import glob
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from featflow.config.corpora import Files
from featflow.data.places import SourceError, expand
from featflow.data.readers import FIELD, Unsuitable, has_fields, no_fields, text_sizes, texts
from featflow.data.sources import Document, counted
from featflow.runtime.log import log

STDLIB = "{stdlib}"
INSTALLED = {"site-packages", "dist-packages"}
"""Folders below Python's library that are not part of it."""
ESCAPED = re.compile(r"\[[*?[]\]")
"""A character that glob.escape made stand for itself."""


class File(NamedTuple):
    """A file, and its name below its glob's fixed root: the same on every machine."""

    path: Path
    name: str
    root: Path


def documents(source: Files, seed: int) -> Iterator[Document]:
    """The documents of the files, in their order; what is left out is counted and logged."""
    left_out: Counter[str] = Counter()
    files = _files(source)
    label = _labels(files)
    try:
        for file in files:
            try:
                _check_fields(file.path, source)
                for found in texts(
                    file.path, source.text or FIELD, source.max_bytes, source.source
                ):
                    if problem := _size_problem(found.text, source):
                        left_out[problem] += 1
                    else:
                        part_of = label(file) if found.source is None else found.source
                        yield Document(found.text, part_of, _origin(file, found.number))
            except Unsuitable as reason:
                log.warning("%s: %s, left out", file.path, reason)
                left_out[str(reason)] += 1
    finally:  # a limit may end the reading before the files do
        if left_out:
            log.info("left out of the files: %s", counted(left_out))


def _labels(files: list[File]) -> Callable[[File], str]:
    """What says of a file which source it belongs to.

    Below one root the top folder, or the file itself where it lies in none; of several roots the
    root, by as many of its last folders as tell it from the others.
    """
    roots = {file.root for file in files}
    if len(roots) == 1:
        return lambda file: Path(file.name).parts[0]
    count = 1
    while len({root.parts[-count:] for root in roots}) < len(roots):
        count += 1
    return lambda file: "/".join(file.root.parts[-count:]).strip("/")


def _origin(file: File, number: int | None) -> str:
    return file.name if number is None else f"{file.name}:{number}"


def _size_problem(text: str, source: Files) -> str | None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > source.max_bytes:
        return "too large"
    return "too small" if size < source.min_bytes else None


def local_files(source: Files) -> list[Path]:
    """The files that a corpus is made from, in the order in which they are read.

    The order is that of the globs, then of the names below a glob's root; a file that several
    globs match counts once.

    Raises:
        SourceError: when a variable is not set, a glob matches no file, a link leads nowhere, or
            `text` is given for a file that has no fields. (Only for that are files looked into,
            those whose name does not tell.)
    """
    found = [file.path for file in _files(source)]
    for path in found:
        _check_fields(path, source)
    return found


def text_bytes(source: Files) -> float:
    """What the files hold; of text files no more than `documents`, none above `max_bytes`."""
    found = local_files(source)
    sizes = text_sizes(found, source.max_bytes)
    if source.documents is not None and source.documents < len(sizes) == len(found):
        return sum(sizes) * source.documents / len(sizes)
    return sum(sizes)


def _check_fields(path: Path, source: Files) -> None:
    for key, field in (("text", source.text), ("source", source.source)):
        if field is not None and not has_fields(path, source.text or FIELD):
            raise SourceError(no_fields(path, key, field))


def _files(source: Files) -> list[File]:
    keep = [_matcher(_expanded(pattern, "include")) for pattern in source.include]
    drop = [_matcher(_expanded(pattern, "exclude")) for pattern in source.exclude]
    found: dict[Path, File] = {}
    for i, pattern in enumerate(source.paths):
        for file in _matched(pattern, f"paths.{i}"):
            found.setdefault(file.path, file)
    wanted = [file for file in found.values() if not keep or _matches(file, keep)]
    wanted = [file for file in wanted if not _matches(file, drop)]
    for file in wanted:
        if _leads_nowhere(file.path):
            raise SourceError(
                f"paths: {file.path} is a link to {os.readlink(file.path)}, which is not there; "
                "mend the link, or leave it out with `exclude`"
            )
    if not wanted:
        key = "exclude" if drop else "include"
        raise SourceError(f"{key}: nothing is left of the {len(found):,} files of `paths`")
    return wanted


def _matches(file: File, patterns: list[re.Pattern[str]]) -> bool:
    """By the name below the glob's root, or by the path as the glob gives it."""
    return any(p.fullmatch(name) for p in patterns for name in (file.name, file.path.as_posix()))


def _matched(pattern: str, key: str) -> list[File]:
    """The files of one glob, sorted by name."""
    root, rest = _split(pattern, key)
    names = sorted(glob.glob(rest, root_dir=root, recursive=True))
    if STDLIB in pattern:
        library = os.path.join(Path(sysconfig.get_path("stdlib")), "")
        names = [name for name in names if not _installed(os.path.join(root, name), library)]
    files = [File(Path(root, name), Path(name).as_posix(), Path(root)) for name in names]
    found = [file for file in files if file.path.is_file() or _leads_nowhere(file.path)]
    if not found:
        hint = "it matches folders only, write /** after it" if files else "check the path"
        raise SourceError(f"{key}: {pattern!r} matches no file (in {str(root)!r}); {hint}")
    return found


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _split(pattern: str, key: str) -> tuple[str, str]:
    """The fixed root of a glob, and the glob below it.

    A variable's value is taken literally, even with a `*` in it.
    """
    parts = Path(_expanded(pattern, key)).parts
    magic = [glob.has_magic(ESCAPED.sub("", part)) for part in parts]
    fixed = magic.index(True) if True in magic else len(parts) - 1
    root = ESCAPED.sub(lambda match: match[0][1], str(Path(*parts[:fixed])))
    return root, str(Path(*parts[fixed:]))


def _expanded(pattern: str, key: str) -> str:
    library = glob.escape(sysconfig.get_path("stdlib"))
    return os.path.expanduser(expand(pattern, key, quote=glob.escape).replace(STDLIB, library))


def _installed(path: str, library: str) -> bool:
    return path.startswith(library) and not INSTALLED.isdisjoint(path[len(library) :].split(os.sep))


def _matcher(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression on names; one without a slash matches at any depth."""
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}

    def expression(piece: str) -> str:
        if piece.startswith("["):
            return piece.replace("[!", "[^", 1)
        return special.get(piece) or re.escape(piece)

    anywhere = pattern if "/" in pattern else f"**/{pattern}"
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^]/]+\])", anywhere)
    return re.compile("".join(map(expression, pieces)), re.DOTALL)
