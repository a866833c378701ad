"""Levels from log-probabilities: what a simulator expects at each token, not only its best guess.

Bills et al. 2023 take the expected value over the probabilities of the tokens 0, …, 10 where the
level of a token is predicted, normalised to those tokens. They read them off a prompt that the
endpoint echoes; chat endpoints do not echo, so the model repeats the lines itself, and sees the
levels that it has given so far.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from featflow.interpret.parsing import Unusable
from featflow.interpret.providers import LEVELS

Logprobs = list[tuple[str, dict[str, float]]]

LEVEL = re.compile(r"10|[0-9]")
LINE = re.compile(r"^(.*)\s(\S+)\s*$")
DIFFERENT = 0.1
"""So many of the repeated tokens may differ from those asked for (a blank lost, a sign changed)."""


def compact(content: Iterable[Any] | None) -> Logprobs | None:
    """Of an answer's tokens: the text, and the log-probabilities of the levels among the likeliest.

    Args:
        content: the endpoint's list, each with token, logprob and top_logprobs.

    Returns:
        None where there is no token, or no token has alternatives.
    """
    tokens, alternatives = [], False
    for item in content or ():
        levels: dict[str, float] = {}
        top = getattr(item, "top_logprobs", None) or []
        alternatives |= len(top) > 1
        for token in (item, *top):
            text, value = token.token.strip(), token.logprob
            if LEVEL.fullmatch(text) and value is not None:
                levels.setdefault(token.token, value)
        tokens.append((item.token, levels))
    return tokens if alternatives else None


def expected_levels(answer: str, logprobs: Logprobs, tokens: Sequence[str]) -> list[float]:
    """The expected level at each token of a record, 0 to 10.

    Σ v·p(v) / Σ p(v) over the levels v. Where the tokenizer writes 10 as 1 and 0, p(10) is
    p(1)·p(0 behind it) if the model did write a 1 there; if not, what follows a 1 is not known,
    and p(1) is left out of both sums. (Where 10 is a token of its own, a 1 is a 1.)

    Args:
        answer: the lines, a token and its level each.
        logprobs: of the same answer.
        tokens: of the record, as they were shown.

    Raises:
        Unusable: when the lines are not those of the record, or a value is no level.
    """
    lines = _lines(answer)
    if len(lines) != len(tokens):
        raise Unusable(f"{len(lines)} lines instead of {len(tokens)}")
    differing = sum(
        shown.strip() != token.strip() for (shown, _), token in zip(lines, tokens, strict=True)
    )
    if differing > max(1, DIFFERENT * len(tokens)):
        raise Unusable(f"{differing} of {len(tokens)} tokens are not those asked for")
    for _, value in lines:
        if not LEVEL.fullmatch(value):
            raise Unusable(f"{value[:20]!r} is no whole number from 0 to {LEVELS}")
    places = _places(logprobs)
    if len(places) != len(tokens):
        raise Unusable("its log-probabilities do not fit its text")
    return [_mean(logprobs, place) for place in places]


def _lines(text: str) -> list[tuple[str, str]]:
    """(token, value) of each line that has both."""
    found = (LINE.match(line) for line in text.split("\n"))
    return [(match[1], match[2]) for match in found if match]


def _places(logprobs: Logprobs) -> list[int]:
    """At which of the answer's tokens each line's value begins."""
    text = "".join(token for token, _ in logprobs)
    owner = [i for i, (token, _) in enumerate(logprobs) for _ in token]
    places, start = [], 0
    for line in text.split("\n"):
        if match := LINE.match(line):
            places.append(owner[start + match.start(2)])
        start += len(line) + 1
    return places


def _mean(logprobs: Logprobs, place: int) -> float:
    token, alternatives = logprobs[place]
    mass = [0.0] * (LEVELS + 1)
    whole_ten = any(text.strip() == "10" for text in alternatives)
    for text, value in alternatives.items():
        level = int(text)
        if level == 1 and token.strip() == "1":
            following = logprobs[place + 1][1] if place + 1 < len(logprobs) else {}
            zero = sum(math.exp(v) for t, v in following.items() if t == "0")
            mass[10] += math.exp(value) * min(zero, 1.0)
            mass[1] += math.exp(value) * max(1.0 - zero, 0.0)
        elif level != 1 or whole_ten:
            mass[level] += math.exp(value)
    if not sum(mass):
        raise Unusable("no level is among its log-probabilities")
    return sum(level * p for level, p in enumerate(mass)) / sum(mass)
