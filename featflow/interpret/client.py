"""Asks an endpoint many questions side by side, each once in its life, within a budget."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from featflow.config.errors import FeatflowError
from featflow.config.interpreting import Openai
from featflow.interpret.answers import Answers
from featflow.interpret.faults import Redactor, shown
from featflow.interpret.prices import Budget, estimate, total
from featflow.interpret.questions import Failure, Question, Reply
from featflow.interpret.sending import BUDGET, WHERE, Endpoint, Sending
from featflow.runtime.log import log

OPENAI = "https://api.openai.com/v1"
FIRST_WAIT = 0.5
NO_KEY = "none"
"""What endpoints get that want no key: the package insists on one."""


class Client:
    """Questions to one endpoint, and their answers in one file.

    max_usd holds for the file: for all that was ever spent on its answers, by whichever run.
    """

    def __init__(self, settings: Openai, answers: Path, first_wait: float = FIRST_WAIT):
        """Args: answers: answers.jsonl; first_wait: seconds before the second try.

        Raises:
            FeatflowError: when there is no key, no price for `max_usd`, or no usable URL.
        """
        self.settings = settings
        url, key = _endpoint(settings)
        redact = Redactor(key if key != NO_KEY else None)
        self._endpoint = Endpoint(url, key, settings, redact, first_wait, url != OPENAI)
        self.answers = Answers(answers, key if key != NO_KEY else None)
        models = {settings.explainer, settings.simulator or settings.explainer}
        if settings.max_usd is not None and (missing := sorted(models - set(settings.prices))):
            raise FeatflowError(
                f"{WHERE}.max_usd: there is no price for {', '.join(missing)}; give it in "
                f"{WHERE}.prices, in US dollars a million tokens"
            )
        self._announced = self._warned = False

    def ask(self, questions: Sequence[Question], what: str) -> list[Reply]:
        """The replies to questions, in their order: from disk, or else from the endpoint.

        Args:
            questions: any number; equal ones are asked once.
            what: they are, for the log.

        Raises:
            FeatflowError: when no further question would be answered (key, model, URL, credit, an
                endpoint that is down); the answers so far are on disk.
        """
        if not questions:
            return []
        with self.answers as answers:
            missing = _missing(questions, answers)
            known = sum(answers.get(question) is not None for question in questions)
            failures: dict[str, Failure] = {}
            if missing:
                if not self._announced:
                    log.info("%s: %s", what, self._estimate(missing, known))
                budget = Budget(self.settings.max_usd, self._spent(), self.settings.prices)
                failures = asyncio.run(Sending(self._endpoint, answers, budget).all(missing, what))
            replies = [answers.get(q) or failures[q.digest] for q in questions]
            self._report(replies, len(missing), known, what)
            return replies

    def announce(self, questions: Sequence[Question]) -> None:
        """Log what the questions that are not answered yet will cost."""
        self.answers.read()
        missing = _missing(questions, self.answers)
        known = sum(self.answers.get(question) is not None for question in questions)
        log.info("%s", self._estimate(missing, known))
        self._announced = True

    def _estimate(self, missing: Sequence[Question], known: int) -> str:
        kinds = sorted({q.kind for q in missing})
        counts = ", ".join(f"{sum(q.kind == k for q in missing):,} to {k}" for k in kinds)
        text = f"{len(missing):,} questions to ask {shown(self._endpoint.url)} ({counts or 'none'})"
        text += f", {known:,} answered before" if known else ""
        if missing:
            text += f": {estimate(missing, self.settings.prices, self.answers.habits)}"
        if self.settings.max_usd is not None:
            text += f"; max_usd {self.settings.max_usd:g}, spent so far ${self._spent():.4f}"
        return text

    def _spent(self) -> float:
        return total(self.answers.spent, self.settings.prices)

    def _report(self, replies: Sequence[Reply], missing: int, known: int, what: str) -> None:
        failures = [reply.reason for reply in replies if isinstance(reply, Failure)]
        short = sum(reason == BUDGET for reason in failures)
        spent = f"; ${self._spent():.4f} spent in all" if self.settings.prices else ""
        log.info(
            "%s: %s asked, %s answered before, %s without an answer%s",
            what,
            f"{missing - short:,}",
            f"{known:,}",
            f"{len(failures):,}",
            spent,
        )
        if short and not self._warned:
            self._warned = True
            log.warning(
                "%s.max_usd %g is reached: $%.4f spent, what is not answered yet stays so; "
                "with a larger max_usd only that is asked",
                WHERE,
                self.settings.max_usd,
                self._spent(),
            )
        if other := Counter(reason for reason in failures if reason != BUDGET).most_common():
            said = "; ".join(f"{count:,} × {reason}" for reason, count in other[:3])
            more = f"; and {len(other) - 3} other reasons" if len(other) > 3 else ""
            log.warning("%s: without an answer: %s%s", what, said, more)


def _missing(questions: Sequence[Question], answers: Answers) -> list[Question]:
    """Those to be asked, each once."""
    return list({q.digest: q for q in questions if answers.get(q) is None}.values())


def _endpoint(settings: Openai) -> tuple[str, str]:
    """The URL, and the key."""
    url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
    if not url.startswith(("http://", "https://")):
        raise FeatflowError(
            f"{WHERE}.base_url: {shown(url)!r} does not begin with http:// or https://"
        )
    if "@" in urlsplit(url).netloc:
        raise FeatflowError(
            f"{WHERE}.base_url: leave user and password out, since artifacts and logs tell the "
            "URL; a key goes into OPENAI_API_KEY"
        )
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key and url.rstrip("/") == OPENAI:
        raise FeatflowError(
            f"{WHERE}: {OPENAI} wants a key: set OPENAI_API_KEY in the environment (never in the "
            f"config), or {WHERE}.base_url to an endpoint that wants none"
        )
    if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
        raise FeatflowError("OPENAI_API_KEY holds characters that no key has: set it again")
    return url.rstrip("/"), key or NO_KEY
