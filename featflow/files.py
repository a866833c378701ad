"""What goes wrong when a file is written, said with the file's name and the remedy."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featflow.config.errors import FeatflowError

FREE_SOME = "free some, or move results/ to a larger disk and leave a link in its place"

FULL = {errno.ENOSPC: "no space is left", errno.EDQUOT: "the quota is used up"}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class WriteError(FeatflowError):
    """A file cannot be written: the disk is full, or the folder is not ours to write."""


@contextmanager
def writable(path: Path, remedy: str = FREE_SOME) -> Iterator[None]:
    """Turn a full disk, or a folder that may not be written, into a WriteError with the remedy.

    Whoever writes deletes what it has written so far *outside* this block, so that the message
    tells how little room there was.

    Args:
        path: the file or folder that is being written.
        remedy: what to do where there is no room.

    Raises:
        WriteError: naming the file, the folder and the bytes that are free there.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, FeatflowError) and not isinstance(error, WriteError):
            raise  # about what is read in the meantime
        number = _number(error)
        if number in FULL:
            where = f"{path}: {FULL[number]} in {path.parent}{_room(path)}"
            raise WriteError(
                f"{where}; {remedy}, then run the same command again: what is finished stays"
            ) from error
        if number in REFUSED and _is_about(error, path):
            raise WriteError(
                f"{path}: cannot be written: {os.strerror(number)}; give yourself the right to "
                f"write in {path.parent}, then run the same command again"
            ) from error
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a small file of featflow's own notes: whole or not at all, its folder too.

    Raises:
        OSError: when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _number(error: BaseException | None) -> int | None:
    """The operating system's number of an error: Rust's libraries give it in their text only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            return int(found[1])
        error = error.__cause__ or error.__context__
    return None


def _is_about(error: Exception, path: Path) -> bool:
    """Whether a refusal is about a file beside `path`, or a folder above it."""
    if not isinstance(error, OSError) or error.filename is None:
        return False
    refused, folder = Path(os.fsdecode(error.filename)).absolute(), path.parent.absolute()
    return refused.is_relative_to(folder) or folder.is_relative_to(refused)


def _room(path: Path) -> str:
    """How many bytes are free where the file would lie."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    with suppress(OSError):
        return f" ({shutil.disk_usage(folder).free:,} bytes are free)"
    return ""
