"""What a case asks for, as rows of the probe: S, the rows that its feature is to mark."""

import difflib
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from featflow.config.cases import Case
from featflow.config.errors import FeatflowError
from featflow.data.token_text import texts
from featflow.data.tokens import Tokens
from featflow.features.probe import Probe


class Marks(NamedTuple):
    """S, and what it is made of."""

    rows: np.ndarray
    """(T,) bool."""
    ids: list[int]
    """The token ids in S, ascending."""
    texts: list[str]
    """The tokens' texts without the spaces around them; of a `text` that text."""


def marks(case: Case, probe: Probe, tokenizer: Tokenizer, where: str) -> Marks:
    """S for a case that gives tokens or a text.

    Args:
        case: the case.
        probe: its rows.
        tokenizer: of the study.
        where: the key of the case, for messages.

    Raises:
        FeatflowError: when a token is not in the vocabulary, or S is empty.
    """
    if case.tokens is not None:
        ids = token_ids(case.tokens, tokenizer, where)
        rows, asked = np.isin(probe.tokens, ids), [normal(text) for text in case.tokens]
    else:
        assert case.text is not None  # the config asks for one of the three
        rows, asked = _in_text(case.text, probe, tokenizer), [case.text]
        ids = np.unique(probe.tokens[rows]).tolist()
    if not rows.any():
        said = ", ".join(map(repr, asked))
        raise FeatflowError(
            f"{where}: {said} never occurs on the probe ({len(rows):,} tokens of "
            f"{', '.join(probe.corpora)}); ask for something else, or for a larger probe "
            "(probe.tokens_per_corpus)"
        )
    return Marks(rows, ids, list(dict.fromkeys(asked)))


def normal(text: str) -> str:
    """A token's text without the whitespace around it; of whitespace alone, all of it."""
    return text.strip() or text


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The text of every token by id, without the whitespace around it."""
    return [normal(text) for text in texts(tokenizer)]


def token_ids(asked: Sequence[str], tokenizer: Tokenizer, where: str) -> list[int]:
    """The ids of all tokens whose text is one of these, with or without spaces around it.

    Raises:
        FeatflowError: naming the closest tokens, for a text that is no token.
    """
    known = vocabulary(tokenizer)
    wanted = {normal(text) for text in asked}
    if missing := sorted(wanted - set(known)):
        raise FeatflowError("\n".join(_unknown(text, known, tokenizer, where) for text in missing))
    return [i for i, text in enumerate(known) if text in wanted]


def _unknown(text: str, known: list[str], tokenizer: Tokenizer, where: str) -> str:
    close = difflib.get_close_matches(text, sorted(set(known)), n=5, cutoff=0.5)
    cut = [known[i] for i in tokenizer.encode(text, add_special_tokens=False).ids]
    return (
        f"{where}: {text!r} is no token of the vocabulary"
        + (f"; the closest are {', '.join(map(repr, close))}" if close else "")
        + f". The tokenizer cuts it into {' + '.join(map(repr, cut))}; `text: {text!r}` finds "
        "where these stand together"
    )


def _in_text(text: str, probe: Probe, tokenizer: Tokenizer) -> np.ndarray:
    """The rows whose token has a part in an occurrence of a text: (T,) bool."""
    text = unicodedata.normalize("NFC", text)  # as the documents are
    parts = []
    for tokens, positions in zip(probe.streams, probe.split(probe.positions), strict=True):
        inside = np.zeros(len(tokens.ids), bool)
        read = int(positions[-1]) + 1 if len(positions) else 0
        for start, stop in _holding(text, tokens, read, tokenizer):
            inside[start:stop] = occurrences(text, tokens.ids[start:stop], tokenizer)
        parts.append(inside[positions])
    return np.concatenate(parts)


def _holding(text: str, tokens: Tokens, read: int, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """The documents that begin before `read` and hold the text, as stretches of the stream."""
    ends = [*tokens.document_starts[1:].tolist(), len(tokens.ids)]
    documents = [d for d in zip(tokens.document_starts.tolist(), ends, strict=True) if d[0] < read]
    decoded = tokenizer.decode_batch(
        [tokens.ids[start:stop].tolist() for start, stop in documents], skip_special_tokens=False
    )
    return [place for place, whole in zip(documents, decoded, strict=True) if text in whole]


def occurrences(text: str, ids: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """Which tokens of a document have a part in an occurrence of a text: (N,) bool.

    The text is looked for in the decoded document, however the tokenizer cut it there: with a space
    before it or without, at a document's start or in a longer word. A token that has a part in an
    occurrence counts whole; so does each token of a character that is spread over several.
    """
    stream, pieces = DecodeStream(skip_special_tokens=False), []
    firsts, lasts, at = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), 0
    waiting = 0  # the first token of a character that is not whole yet
    for i, token in enumerate(ids.tolist()):
        piece = stream.step(tokenizer, token)
        if piece is None:
            continue
        pieces.append(piece)
        firsts[waiting : i + 1], lasts[waiting : i + 1] = at, at + len(piece)
        at, waiting = at + len(piece), i + 1
    firsts[waiting:] = lasts[waiting:] = at  # of a character that the stream cuts off
    whole, found = "".join(pieces), np.zeros(len(ids), bool)
    place = whole.find(text)
    while place >= 0:
        begin = np.searchsorted(lasts, place, side="right")
        found[begin : np.searchsorted(firsts, place + len(text))] = True
        place = whole.find(text, place + 1)
    return found


def typical(values: np.ndarray, probe: Probe, tokenizer: Tokenizer) -> Marks:
    """S for a feature: the rows of the token that it fires on most, with or without spaces.

    Args:
        values: (T,) its activations; it fires somewhere.
        probe: its rows.
        tokenizer: of the study.
    """
    known = np.array(vocabulary(tokenizer), dtype=object)
    fired = np.bincount(probe.tokens[values > 0], minlength=len(known))
    different, index = np.unique(known, return_inverse=True)
    text = different[np.bincount(index, weights=fired).argmax()]
    ids = np.flatnonzero(known == text)
    rows = np.isin(probe.tokens, ids)
    return Marks(rows, np.unique(probe.tokens[rows]).tolist(), [str(text)])
