"""Token ids as text that a reader, or a language model, can make something of."""

import re
from functools import cache

from tokenizers import Tokenizer

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def texts(tokenizer: Tokenizer) -> list[str]:
    """The text of every id of a vocabulary, as it stands inside a text.

    A token that is only a part of a character is shown by its bytes: `\\xe4\\xb8`.
    """
    anchor = tokenizer.encode("a", add_special_tokens=False).ids[-1:]
    count = tokenizer.get_vocab_size(with_added_tokens=True)
    tokens = [tokenizer.id_to_token(i) for i in range(count)]
    known = [i for i, token in enumerate(tokens) if token is not None]
    before = tokenizer.decode(anchor, skip_special_tokens=False)
    decoded = tokenizer.decode_batch([[*anchor, i] for i in known], skip_special_tokens=False)
    found = [""] * count
    for i, text in zip(known, decoded, strict=True):
        text = text.removeprefix(before)
        found[i] = (UNKNOWN in text and _bytes(str(tokens[i]))) or text
    return found


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
