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
from featflow.data.bos import document_token

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
    """The text of every token id, as it stands in the middle of a text: spaces are kept.

    A token is decoded behind the one that begins a document (or that ends the letter a, where none
    does), whose text is then taken off: decoded alone, it would lose the space that it begins with.
    Bytes that are no whole character become U+FFFD; an id that the tokenizer lacks is the empty
    text.
    """
    begins = document_token(tokenizer)
    first = begins[1] if begins else tokenizer.encode("a", add_special_tokens=False).ids[-1]
    text = tokenizer.decode([first], skip_special_tokens=False)
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    pairs = [[first, number] for number in range(size)]
    decoded = tokenizer.decode_batch(pairs, skip_special_tokens=False)
    return [shortened(found.removeprefix(text)) for found in decoded]


def shortened(text: str) -> str:
    """A text of LONGEST characters at most, the last one an ellipsis if it was longer."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
