"""What an endpoint's error means: ask again, leave the question, adapt the request, or stop."""

import email.utils
import json
import re
import time
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from openai import APIStatusError

LONGEST_WAIT = 120.0
"""Seconds that are waited at most, whatever Retry-After says."""
LONGEST_TEXT = 300
SHORTEST_SECRET = 8
"""A shorter key is a placeholder, as servers without keys want one ("none", "EMPTY")."""
NO_LOGPROBS = "no log-probabilities"
TOO_LONG = "prompt too long"
REFUSED = "refused"


class Remedy(Enum):
    """What to do about a fault."""

    AGAIN = "the same request, later"
    LEAVE = "this question stays without an answer"
    NEVER = "so it does, and would the next time"
    ADAPT = "the same question without what the endpoint does not take"
    STOP = "no question would be answered"


class Fault(NamedTuple):
    """An error of an endpoint, understood."""

    reason: str
    remedy: Remedy
    billed: bool = False
    """Whether the request may have cost something."""
    wait: float | None = None
    """Seconds that the endpoint asks to wait."""
    without: str | None = None
    """The parameter that it does not take."""


class Redactor:
    """Takes secrets out of text."""

    def __init__(self, key: str | None):
        self._key = key if key and len(key) >= SHORTEST_SECRET else None

    def __call__(self, text: str) -> str:
        """The text without the key, or what looks like one; in one line, not too long."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = re.sub(r"\b(?:sk|pk|rk|key)-[\w*.-]{4,}|\S*\*{3,}\S*", "[key]", text)
        text = re.sub(r"(?i)\b(bearer|basic) +(?!\[key])\S+", r"\1 [key]", text)
        text = re.sub(r"(\w+://)[^/\s@]+@", r"\1", text)
        text = " ".join(text.split())
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def shown(url: str) -> str:
    """A URL without what is secret in it: user, password, query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def status_fault(error: "APIStatusError", redact: Redactor) -> Fault:
    """What an HTTP status means.

    408, 409, 429 and 5xx pass; 401, 402, 403 and 404, and a 429 for want of credit, stop the run;
    any other concerns the question alone.
    """
    status, said = error.status_code, redact(_message(error))
    reason, code = f"{status}: {said}" if said else str(status), str(error.code or "")
    lower = f"{code} {_message(error)}".lower()
    if status == 429 and "insufficient_quota" in lower:
        return Fault(reason, Remedy.STOP)
    if status in (408, 409, 429) or status >= 500:
        return Fault(
            reason, Remedy.AGAIN, status in (408, 504), retry_after(error.response.headers)
        )
    if "logprob" in lower:
        return Fault(NO_LOGPROBS, Remedy.NEVER)
    if status in (401, 402, 403, 404):
        return Fault(reason, Remedy.STOP)
    if re.search(r"context_length|context length|context window|too long|too many tokens", lower):
        return Fault(f"{TOO_LONG} ({reason})", Remedy.NEVER)
    if re.search(r"content_filter|content_policy|content management policy|moderation", lower):
        return Fault(f"{REFUSED} ({reason})", Remedy.NEVER)
    if without := _not_taken(error.param, lower):
        return Fault(reason, Remedy.ADAPT, without=without)
    return Fault(reason, Remedy.LEAVE)


def _not_taken(param: str | None, said: str) -> str | None:
    """The parameter that the endpoint names as one that it, or its model, does not take."""
    names = ("temperature", "max_completion_tokens", "max_tokens", "response_format", "json_schema")
    named = next((n for n in names if (param or "").startswith(n)), None)
    if named is None:
        spots = {said.find(n): n for n in names if n in said}  # "use y instead" comes behind x
        named = spots[min(spots)] if spots else None
    if named in ("max_completion_tokens", "max_tokens"):
        return "max_tokens"
    return "response_format" if named == "json_schema" else named


def _message(error: "APIStatusError") -> str:
    body = error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        text = inner.get("message", inner) if isinstance(inner, Mapping) else inner
        return text if isinstance(text, str) else json.dumps(text)
    return body if isinstance(body, str) else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by a Retry-After header (a number or an HTTP date), 120 at most.

    None where there is none, or none that can be read, or one in the past.
    """
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None
