"""A question to an endpoint, and what comes back."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

TOP_LOGPROBS = 20
"""The most that OpenAI's endpoint gives; eleven levels need at least eleven."""


class Tokens(NamedTuple):
    """What is paid for."""

    prompt: int
    completion: int

    def plus(self, other: "Tokens") -> "Tokens":
        """The sum, element by element."""
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)


def sent(text: str) -> str:
    """The text with "?" for each half of a surrogate pair: no request can have such."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Question:
    """A chat completion that is wanted: all that its answer depends on, and whom it is about."""

    kind: str
    """explain, simulate, detect, fuzz or categorise."""
    feature: int
    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, content), in order."""
    max_tokens: int
    """The answer has no more; of a reasoning model, its thoughts included."""
    expected: int = field(compare=False)
    """Tokens that the answer is likely to have."""
    schema: dict[str, Any] | None = None
    """JSON schema of the answer (None: plain text)."""
    logprobs: bool = False

    def request(self) -> dict[str, Any]:
        """The request's parameters, as the endpoint gets them if it takes them all."""
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": role, "content": sent(text)} for role, text in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        if self.schema is not None:
            named = {"name": self.kind, "strict": True, "schema": self.schema}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        if self.logprobs:
            request |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        return request

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the request: the same for the same question, whoever asks whichever URL."""
        text = json.dumps(self.request(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def characters(self) -> int:
        """Of the prompt, its schema included."""
        schema = len(json.dumps(self.schema)) if self.schema else 0
        return sum(len(content) for _, content in self.messages) + schema

    @cached_property
    def bound(self) -> Tokens:
        """The most that it can cost: a token has a byte at least, a message 16 tokens around it.

        (Byte-level tokenizers never make more tokens than bytes.)
        """
        size = sum(len(sent(content).encode()) + 16 for _, content in self.messages)
        schema = len(json.dumps(self.schema)) + 64 if self.schema else 0
        return Tokens(size + schema, self.max_tokens)


@dataclass(frozen=True)
class Answer:
    """What an endpoint said, unread: whether it makes sense is found out later."""

    content: str | None
    refusal: str | None = None
    finish: str | None = None
    """Why it ended: stop, length, content_filter, …"""
    logprobs: list[tuple[str, dict[str, float]]] | None = None
    """Of the answer's tokens in order: text, and the log-probabilities of the levels (as text) that
    could have stood there. None where the endpoint gave none."""
    model: str | None = None
    """What the endpoint calls the model that answered."""


@dataclass(frozen=True)
class Failure:
    """Why there is no answer."""

    reason: str
    permanent: bool = False
    """The same question would fail again, so it is not asked again."""


Reply = Answer | Failure
