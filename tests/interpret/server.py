"""A small HTTP server that speaks chat completions, with faults that a test orders.

It answers every kind of question in a fixed way, so that an answer's worth can be foretold, and
keeps a list of the requests it got.
"""

import hashlib
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from tests import servers

EXPLANATION = "words that come after a comma"


@dataclass
class Call:
    """A request: its body, when it came, how many came before it, and how many equal ones."""

    body: dict[str, Any]
    at: float
    index: int
    earlier: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What the user says first."""
        return next(m["content"] for m in self.body["messages"] if m["role"] == "user")


@dataclass
class Reply:
    """What to send; without a body, an error of this status."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    """Close the connection in the middle of the body."""
    drop: bool = False
    """Close it before the status."""


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": "t", "param": None, "code": code}}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body, names)


def completion(
    content: str | None,
    finish: str = "stop",
    refusal: str | None = None,
    logprobs: list | None = None,
    usage: tuple[int, int] | None = (100, 10),
) -> Reply:
    """An answer."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "finish_reason": finish, "message": message, "logprobs": None}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs, "refusal": None}
    body: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 0, "model": "m-1"}
    body["choices"] = [choice]
    if usage:
        prompt, out = usage
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": out, "total_tokens": 0}
    return Reply(200, body)


def token(text: str, top: dict[str, float] | None = None) -> dict[str, Any]:
    """A token with its alternatives' log-probabilities (its own among them)."""
    top = top or {text: -0.01, "?": -5.0}
    listed = [{"token": t, "logprob": v, "bytes": None} for t, v in top.items()]
    return {"token": text, "logprob": top.get(text, -9.0), "bytes": None, "top_logprobs": listed}


def answer(call: Call) -> Reply:
    """The right answer: level 10 at commas, 0 elsewhere; true, false, true, …; the first name."""
    schema = call.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    properties = schema.get("properties", {})
    if call.body.get("logprobs"):
        tokens = []
        for line in call.text.split("\n"):
            if found := re.match(r"(.*)\tunknown$", line):
                level = "10" if found[1] == "," else "0"
                tokens += [token(found[1]), token("\t"), token(level), token("\n")]
        return completion("".join(t["token"] for t in tokens[:-1]), logprobs=tokens[:-1])
    if "levels" in properties:
        lines = re.findall(r"(?m)^\d+\t(.*)$", call.text)
        return completion(json.dumps({"levels": [10 if t == "," else 0 for t in lines]}))
    if "answers" in properties:
        count = properties["answers"]["minItems"]
        return completion(json.dumps({"answers": [i % 2 == 0 for i in range(count)]}))
    if "category" in properties:
        return completion(json.dumps({"category": properties["category"]["enum"][0]}))
    return completion(EXPLANATION)


class ChatServer(servers.Server):
    """The server; `url` goes into base_url. `fault` may answer a call in place of `answer`."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.url = f"{self.address}/v1"
        self.fault: Callable[[Call], Reply | None] = lambda call: None
        self.calls: list[Call] = []
        self.most_at_once = 0
        self._at_once = 0
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def take(self, body: dict[str, Any], headers: dict[str, str]) -> Call:
        """Note a request."""
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            now = time.monotonic()
            call = Call(body, now, len(self.calls), self._seen[digest], headers)
            self.calls.append(call)
            self._seen[digest] += 1
        return call

    def done(self) -> None:
        """A request has been answered."""
        with self._lock:
            self._at_once -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class Handler(servers.Handler):
    """One connection."""

    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.server.take(body, {name.lower(): value for name, value in self.headers.items()})
        try:
            if self.path != "/v1/chat/completions":
                self._send(error(404, f"no such path: {self.path}"))
            else:
                self._send(self.server.fault(call) or answer(call))
        finally:
            self.server.done()

    def _send(self, reply: Reply) -> None:
        time.sleep(reply.delay)
        if reply.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if reply.cut else data)
        if reply.cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


def serving() -> AbstractContextManager[ChatServer]:
    """A running server, shut down when the block ends."""
    return servers.running(ChatServer())
