"""Token ids as text for readers: each as it stands inside a text, and one in its surroundings."""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
from tokenizers import Tokenizer

from featflow.data.bos import document_token

UNKNOWN = "\N{REPLACEMENT CHARACTER}"

AROUND = 12
"""Tokens shown on either side of the one that the feature fires on."""

MARKS = ("⟦", "⟧")
"""Around the token that the feature fires on."""


def texts(tokenizer: Tokenizer) -> list[str]:
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
    return [found.removeprefix(text) for found in decoded]


def texts_with_bytes(tokenizer: Tokenizer) -> list[str]:
    """The same; a token that is only a part of a character is shown by its bytes: `\\xe4\\xb8`."""
    return [
        (UNKNOWN in text and _bytes(str(tokenizer.id_to_token(number)))) or text
        for number, text in enumerate(texts(tokenizer))
    ]


def marked(ids: np.ndarray, at: np.ndarray, tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """The token at each position, and the text around it with the token marked.

    A character may be spread over several tokens: each of them is shown as the whole character.

    Args:
        ids: the stream (N,).
        at: positions in it.
        tokenizer: what made it.
    """
    starts = np.maximum(at - AROUND, 0)
    ends = (at, at + 1, at + 1 + AROUND)
    decoded = (
        tokenizer.decode_batch(
            [ids[s:e].tolist() for s, e in zip(starts, end, strict=True)], skip_special_tokens=False
        )
        for end in ends
    )
    for before, upto, whole in zip(*decoded, strict=True):
        start, stop = len(_shared(before, whole)), len(_shared(upto, whole))
        stop = min(max(stop, start + 1), len(whole))
        token = whole[start:stop]
        yield token, f"{whole[:start]}{MARKS[0]}{token}{MARKS[1]}{whole[stop:]}"


def _shared(first: str, second: str) -> str:
    """What two strings begin with."""
    if second.startswith(first):
        return first
    for i, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return first[:i]
    return second


LONGEST = 40
"""Characters of a token that are quoted."""


def quoted(token: str) -> str:
    """A token between quotes, its control characters and line ends escaped; a long one is cut."""
    token = token if len(token) <= LONGEST else f"{token[: LONGEST - 1]}…"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in token)
    return f"'{shown}'"


def _bytes(token: str) -> str | None:
    """The bytes of a token of byte-fallback (`<0xE4>`) or byte-level vocabularies, else None."""
    if match := re.fullmatch("<0x([0-9A-Fa-f]{2})>", token):
        return f"\\x{match[1].lower()}"
    known = _byte_of()
    if not set(token) <= set(known):
        return None
    return bytes(known[c] for c in token).decode("utf-8", "backslashreplace")


@cache
def _byte_of() -> dict[str, int]:
    """The characters that byte-level vocabularies write bytes with (Radford et al. 2019)."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in plain)
    return {chr(b): b for b in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}
