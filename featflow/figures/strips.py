"""Tokens as strips of boxes on a grid of letters, and their text made safe to draw.

plotly reads a part of HTML in its texts, and a browser obeys bidirectional controls: text from a
corpus is shown as it is, never interpreted.
"""

import html
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

LETTER = 7.25
"""Pixels of a letter of 12 px in the usual monospace fonts (0.6 em), in units of the x axis."""

LONGEST = 28
"""Letters of a token that are shown."""

MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

SIGNS = {"\n": "↵", "\t": "→", "\r": "␍", " ": "\u00a0", "\x7f": "␡"}


class Box(NamedTuple):
    """Where a token stands."""

    line: int
    x: float
    width: float


def visible(text: str) -> str:
    """A text in which every character is seen: ↵, →, ␀, and \\u202e for what has no sign.

    Controls, format characters (bidirectional ones, joiners) and what Unicode has not assigned are
    written as escapes.
    """
    return "".join(map(_sign, text))


def _sign(letter: str) -> str:
    if letter in SIGNS:
        return SIGNS[letter]
    if letter < " ":
        return chr(0x2400 + ord(letter))
    kind = unicodedata.category(letter)
    if kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
    return letter


def shown(token: str) -> str:
    """A token as it is drawn: every character seen, long ones cut in the middle."""
    if len(token) > LONGEST:  # before the signs, of which a hostile token may need many
        half = LONGEST // 2
        token = f"{token[:half]}…{token[-half:]}"
    text = visible(token)
    if cells(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]}…"
    return text


def escaped(text: str) -> str:
    """A text for plotly, which would read <b>, <a>, <br> and &amp; in it."""
    return html.escape(text, quote=False)


def cells(text: str) -> int:
    """How many letters wide a text is in a monospace font."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def boxes(texts: Sequence[str], left: float, right: float) -> list[Box]:
    """A box for each text, side by side from `left`, on a new line where `right` is reached."""
    line, x, found = 0, left, []
    for text in texts:
        width = max(cells(text), 1) * LETTER
        if x + width > right and x > left:
            line, x = line + 1, left
        found.append(Box(line, x, min(width, right - left)))
        x += width
    return found
