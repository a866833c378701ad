"""What the kinds of corpora share: a document, the environment's variables, errors with a key.

Nothing heavy is imported here: the Snakefile lists the files of a corpus through this module.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from featflow.config.errors import ConfigError, FeatflowError


class Document(NamedTuple):
    """A text, and where it came from: never an absolute path, so that bytes do not depend on it."""

    text: str
    source: str
    """What it is a part of, as corpora are judged by it: a folder, a file, a value that a column
    of the user's gives."""
    origin: str
    """Where exactly it stands: a file, and the line or row in it."""


class SourceError(FeatflowError):
    """A key of a source is wrong; the message begins with the key, as the source knows it."""


@contextmanager
def keyed(where: str) -> Iterator[None]:
    """Complete the key in a SourceError.

    Args:
        where: the path of the source's mapping, such as `studies.desk.corpora.python`.

    Raises:
        ConfigError: in place of a SourceError.
    """
    try:
        yield
    except SourceError as error:
        raise ConfigError(f"{where}.{error}") from error.__cause__


def expand(text: str, key: str, quote: Callable[[str], str] = str) -> str:
    """Replace each `${VAR}` by the environment's value.

    Args:
        text: as the user wrote it.
        key: where the text stands, for the error.
        quote: applied to each value.

    Raises:
        SourceError: for a variable that is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SourceError(f"{key}: the environment variable {match[1]} is not set, in {text!r}")
        return quote(os.environ[match[1]])

    return re.sub(r"\$\{(\w+)\}", value, text)


def expand_path(name: str, key: str) -> str:
    """The same of what may be a path (or a name of the hub): `~` is put in, too."""
    return os.path.expanduser(expand(name, key))


def counted(reasons: Counter[str]) -> str:
    """`3 binary, 12 too small`: why documents are left out, and how many."""
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))


def text_of(value: object, key: str, where: str) -> str:
    """A field's value as text; null is an empty document.

    Raises:
        SourceError: when it is not a string.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SourceError(f"{key}: {where} holds {type(value).__name__}, not text")
    return value
