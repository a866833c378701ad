"""Data as scripts, which a page that is opened from disk may load: `featflow.put(KEY, VALUE);`.

A browser forbids such a page to fetch a file, but not to append a <script>. KEY and VALUE are JSON
in plain ASCII without `<`, `>` and `&`: no text in it can end a script element, turn the direction
of what follows, or be read in another encoding.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from featflow.artifacts import digests
from featflow.artifacts.io import written
from featflow.data.token_text import texts

PER_SHARD = 64
"""Features a file."""

DIGITS = 4
"""Significant digits of a number."""

LONGEST = 200
"""Characters of a token that are shown; the longest are whole lines of dashes or spaces."""

INDEX = "index.js"
"""What is written last into a dictionary's folder."""


def script(key: str, value: object) -> str:
    """The text of a data file."""
    return f"featflow.put({as_json(key)},{as_json(value)});\n"


def as_json(value: object) -> str:
    """JSON in ASCII that may stand in a script element, too.

    Raises:
        ValueError: for a number that is not finite.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def rounded(values: np.ndarray | Sequence[float]) -> list[float | int | None]:
    """Numbers to four significant digits; null for NaN, the integer 0 for zeros (one letter)."""
    return [
        0 if v == 0 else None if v != v else float(f"{v:.{DIGITS}g}")
        for v in np.asarray(values, dtype=np.float64).tolist()
    ]


def write_script(path: Path, key: str, value: object) -> None:
    """Write a data file."""
    with written(path) as temporary:
        temporary.write_text(script(key, value), encoding="ascii")


def write_dictionary(
    folder: Path, name: str, index: dict[str, Any], shards: Iterable[list[dict[str, Any]]]
) -> int:
    """Write the features of a dictionary: shards, then index.js; what else lay there is deleted.

    Args:
        folder: of the dictionary.
        name: `{model}/{sae}`.
        index: the value of index.js.
        shards: the features, PER_SHARD at a time.

    Returns:
        Bytes.
    """
    (folder / INDEX).unlink(missing_ok=True)
    kept, size = {INDEX}, 0
    for number, features in enumerate(shards):
        path = folder / f"{number}.js"
        write_script(path, f"{name}/{number}", features)
        kept.add(path.name)
        size += path.stat().st_size
    for path in sorted(folder.glob("*.js")):
        if path.name not in kept:
            _delete(path)
    write_script(folder / INDEX, name, index)
    return size + (folder / INDEX).stat().st_size


def _delete(path: Path) -> None:
    """Delete an artifact of an earlier run, and the record of its digest."""
    path.unlink()
    if record := digests.record_of(path):
        record.unlink(missing_ok=True)


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The text of every token id, as pages show it."""
    return [shortened(text) for text in texts(tokenizer)]


def shortened(text: str) -> str:
    """A text of LONGEST characters at most, the last one an ellipsis if it was longer."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
