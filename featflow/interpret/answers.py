"""Every answer that was paid for, on disk before the next question: a file one only appends to.

answers.jsonl has a line a thing that happened, of three kinds, each with `question` (a digest of
the whole request), `kind`, `feature` and `model`:

- `asked`: a request is about to be sent; [prompt, completion] are the most that it can cost.
- `answer`: what came back, with `usage` ([prompt, completion] tokens, null where the endpoint told
  none), `characters` of the prompt, and `without`, the parameters that the endpoint does not take.
- `failure`: why nothing came; `billed`: false where it surely cost nothing; `permanent`: it would
  fail again.

A request that was sent and whose fate nobody knows (a time-out, a cut connection, a killed run)
counts as spent at the most that it can cost.
"""

import errno
import json
import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from featflow.artifacts.reading import parsed
from featflow.files import writable
from featflow.interpret.faults import SHORTEST_SECRET
from featflow.interpret.prices import Habits
from featflow.interpret.questions import Answer, Failure, Question, Reply, Tokens
from featflow.runtime.locking import NoLocks, lock
from featflow.runtime.log import log

TEXTS = ("content", "refusal", "model")
"""What an endpoint words as it likes."""


class Answers:
    """The answers in a file. In a `with` block it is locked and can be added to.

    The second of two runs waits at the block's beginning, and then finds what the first one left.
    """

    def __init__(self, path: Path, secret: str | None = None):
        """Args: path: answers.jsonl; secret: what no line may hold, should an endpoint echo it."""
        self.path = path
        self._secret = secret if secret and len(secret) >= SHORTEST_SECRET else None
        self._lock: IO[str] | None = None
        self._file: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._known: tuple[int, int] = (0, 0)
        """The file that was read, and up to which of its bytes, always a line's end."""
        self._lines = 0
        self._replies: dict[str, Reply] = {}
        self._pending: defaultdict[str, list[tuple[str, Tokens]]] = defaultdict(list)
        self._used: defaultdict[str, Tokens] = defaultdict(lambda: Tokens(0, 0))
        self.habits: defaultdict[tuple[str, str], Habits] = defaultdict(Habits)
        """By model and kind of question."""
        self.without: defaultdict[str, set[str]] = defaultdict(set)
        """By model, the parameters that the endpoint turned down."""

    def __enter__(self) -> "Answers":
        with writable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock = lock(self._lock_path)
            except NoLocks:
                log.warning(
                    "%s: its file system keeps no locks: two runs at once would both pay", self.path
                )
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._repair(self._file)
        self.read()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            with suppress(OSError):
                self._lock_path.unlink()
            self._lock.close()
            self._lock = None

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    def _repair(self, file: int) -> None:
        """Cut off a last line that a killed run, or a full disk, left unfinished."""
        size = os.fstat(file).st_size
        whole, block = size, 1 << 16
        while whole:
            start = max(0, whole - block)
            end = os.pread(file, whole - start, start).rfind(b"\n")
            whole = start + end + 1 if end >= 0 else start
            if end >= 0:
                break
        if whole < size:
            log.warning("%s: its last line is unfinished: cut off", self.path)
            os.ftruncate(file, whole)

    def read(self) -> None:
        """Read what is new in the file (it may be missing); what is no answer is passed over."""
        try:
            file = open(self.path, "rb")  # noqa: SIM115 (only a missing file may be missing)
        except FileNotFoundError:
            self._forget()
            return
        with file:
            about = os.fstat(file.fileno())
            number, start = self._known
            if about.st_ino != number or about.st_size < start:  # another file, or one cut off
                self._forget()
            file.seek(self._known[1])
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._lines += 1
                self._known = (about.st_ino, self._known[1] + len(line))
                try:
                    self._take(parsed(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    log.warning("%s: line %d is not readable: passed over", self.path, self._lines)

    def get(self, question: Question) -> Reply | None:
        """The answer, or the permanent failure, or None where the question is to be asked."""
        return self._replies.get(question.digest)

    @property
    def spent(self) -> dict[str, Tokens]:
        """By model: what answers used, and the most that requests of unknown fate can have used."""
        spent = dict(self._used)
        for model, bound in (item for items in self._pending.values() for item in items):
            spent[model] = spent.get(model, Tokens(0, 0)).plus(bound)
        return spent

    def asking(self, question: Question) -> None:
        """Note that a request is about to be sent."""
        self._append(question, {"asked": question.bound}, sync=False)

    def answered(
        self, question: Question, answer: Answer, usage: Tokens | None, without: set[str]
    ) -> None:
        """Keep an answer; it is on disk when this returns."""
        said = {key: value for key, value in asdict(answer).items() if value is not None}
        if self._secret and any(self._secret in str(said.get(key)) for key in TEXTS):
            said |= {key: said[key].replace(self._secret, "[key]") for key in TEXTS if key in said}
            said.pop("logprobs", None)  # where it stands in pieces
        facts = {"usage": usage, "characters": question.characters, "without": sorted(without)}
        self._append(question, {"answer": said, **facts}, sync=True)

    def failed(self, question: Question, failure: Failure, billed: bool) -> None:
        """Note that a request came to nothing, and whether it may have cost something."""
        facts = {"permanent": failure.permanent, "billed": billed}
        self._append(question, {"failure": failure.reason, **facts}, sync=failure.permanent)

    def _append(self, question: Question, facts: dict[str, Any], sync: bool) -> None:
        assert self._file is not None, "the answers are not open"
        about = {"kind": question.kind, "feature": question.feature, "model": question.model}
        text = json.dumps({"question": question.digest, **about, **facts}, sort_keys=True)
        line, size = text.encode() + b"\n", os.fstat(self._file).st_size
        with writable(self.path):
            try:
                if os.write(self._file, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            except OSError:
                os.ftruncate(self._file, size)
                raise
            if sync:
                os.fsync(self._file)
        self.read()

    def _take(self, line: dict[str, Any]) -> None:
        """Learn from a line."""
        digest, model = line["question"], line["model"]
        if "asked" in line:
            self._pending[digest].append((model, Tokens(*line["asked"])))
        elif "failure" in line:
            if not line["billed"] and self._pending[digest]:
                self._pending[digest].pop()
            if line["permanent"]:
                self._replies[digest] = Failure(line["failure"], permanent=True)
        else:
            self._take_answer(digest, model, line)

    def _take_answer(self, digest: str, model: str, line: dict[str, Any]) -> None:
        said = dict(line["answer"])
        if said.get("logprobs") is not None:
            said["logprobs"] = [(text, dict(levels)) for text, levels in said["logprobs"]]
        self._replies[digest] = Answer(**{"content": None, **said})
        self.without[model] |= set(line["without"])
        if line["usage"] is not None:
            usage = Tokens(*line["usage"])
            if self._pending[digest]:
                self._pending[digest].pop()
            self._used[model] = self._used[model].plus(usage)
            self.habits[model, line["kind"]].add(line["characters"], usage)
