"""A document, and what the kinds of corpora share on the way to it."""

from collections import Counter
from typing import NamedTuple

from featflow.data.places import SourceError


class Document(NamedTuple):
    """A text, and where it came from: never an absolute path, so that bytes do not depend on it."""

    text: str
    source: str
    """What it is a part of, as corpora are judged by it: a folder, a file, a value that a column
    of the user's gives."""
    origin: str
    """Where exactly it stands: a file, and the line or row in it."""


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
