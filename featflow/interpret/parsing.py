"""Answers read strictly: what is not exactly what was asked for is no answer."""

import re
from collections.abc import Sequence
from typing import Any

from featflow.artifacts.reading import parsed
from featflow.config.errors import FeatflowError
from featflow.interpret.faults import REFUSED
from featflow.interpret.providers import LEVELS
from featflow.interpret.questions import Answer

LONGEST_EXPLANATION = 600

_NAMES = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis"
_QUOTED = "[`'\"“‘]"
THOUGHTS = re.compile(
    rf"""(?ix) (?<! {_QUOTED} ) (?:
        (?P<opens>
            < \s* (?: \w+ : )? (?: {_NAMES} ) \s* >
            | \[ think \] | ◁ (?: {_NAMES} ) ▷
            | <\| (?: begin_of_thought | start_thinking | (?: {_NAMES} ) ) \|>
            | <\|channel\|> \s* (?: analysis | commentary ) \s* <\|message\|>
        ) | (?P<closes>
            < \s* / \s* (?: \w+ : )? (?: {_NAMES} ) \s* >
            | \[ / think \] | ◁ / (?: {_NAMES} ) ▷
            | <\| (?: end_of_thought | end_thinking | / (?: {_NAMES} ) ) \|>
            | <\|channel\|> \s* final \s* <\|message\|>
        ) )"""
)
"""What thoughts begin and end with: `<think>` of most models, `[THINK]` of Mistral's, `◁think▷` of
Kimi, `<|START_THINKING|>` of Cohere's, the channels of gpt-oss. In quotes it is but spoken of."""


class Unusable(FeatflowError):
    """An answer that came, but does not say what was asked; its message completes "malformed"."""


class Refused(Unusable):
    """The model, or a filter, does not want to answer; it would not the next time either."""


class CutOff(Unusable):
    """The answer reached the limit of its length."""


def content(answer: Answer) -> str:
    """The text of an answer, without the thoughts that some models put in front.

    Raises:
        Refused, CutOff: so.
        Unusable: when it is empty.
    """
    if answer.refusal or answer.finish == "content_filter":
        raise Refused(REFUSED)
    if answer.finish == "length":
        raise CutOff("cut off")
    text = _without_thoughts(answer.content or "")
    if not text.strip():
        raise Unusable("it is empty")
    return text


def _without_thoughts(text: str) -> str:
    """What is outside of thoughts. They may lack their beginning, which a server's template wrote.

    Raises:
        Unusable: when thoughts have no end: what is answer is not known.
    """
    kept, at, thinking = "", 0, False
    for tag in THOUGHTS.finditer(text):
        if not thinking:
            kept += text[at : tag.start()]
        if tag["closes"] and not thinking:  # all before it was thought
            kept = ""
        thinking, at = tag["opens"] is not None, tag.end()
    if thinking:
        raise Unusable("its thoughts have no end")
    return kept + text[at:]


def sentence(answer: Answer) -> str:
    """An explanation: a text in one line.

    Raises:
        Unusable: when it is longer than 600 characters.
    """
    text = " ".join(content(answer).split())
    text = re.sub(r"(?i)^explanation:\s*", "", text).strip().strip('"“”').strip()
    if not text:
        raise Unusable("it is empty")
    if len(text) > LONGEST_EXPLANATION:
        raise Unusable(f"it has {len(text)} characters, not one sentence")
    return text


def levels(answer: Answer, count: int) -> list[float]:
    """A list of so many numbers from 0 to 10.

    Raises:
        Unusable: when it is anything else.
    """
    values = _list(answer, "levels", count)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Unusable(f"{str(value)[:20]!r} is no number")
        if not 0 <= value <= LEVELS:
            raise Unusable(f"{value} is not from 0 to {LEVELS}")
    return [float(value) for value in values]


def truths(answer: Answer, count: int) -> list[bool]:
    """A list of so many truth values.

    Raises:
        Unusable: when it is anything else.
    """
    values = _list(answer, "answers", count)
    if wrong := [value for value in values if not isinstance(value, bool)]:
        raise Unusable(f"{str(wrong[0])[:20]!r} is neither true nor false")
    return values


def category(answer: Answer, names: Sequence[str]) -> str:
    """One of the names.

    Raises:
        Unusable: when it is anything else.
    """
    found = _json(answer)
    name = found.get("category") if isinstance(found, dict) else found
    if name not in names:
        raise Unusable(f"{str(name)[:40]!r} is none of the categories")
    return str(name)


def _list(answer: Answer, key: str, count: int) -> list[Any]:
    found = _json(answer)
    values = found.get(key) if isinstance(found, dict) else found
    if not isinstance(values, list):
        raise Unusable(f"it has no list {key!r}")
    if len(values) != count:
        raise Unusable(f"{len(values)} values instead of {count}")
    return values


def _json(answer: Answer) -> Any:
    text = content(answer).strip()
    if fenced := re.fullmatch(r"(?s)```\w*\s*\n(.*?)\n?```", text):
        text = fenced[1]
    try:
        return parsed(text)
    except ValueError:
        raise Unusable("it is no JSON") from None
