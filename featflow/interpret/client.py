"""Asks an endpoint many questions side by side, each once in its life, within a budget."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from featflow.config.errors import FeatflowError
from featflow.config.interpreting import Openai
from featflow.interpret.answers import Answers
from featflow.interpret.faults import Fault, Redactor, Remedy, shown, status_fault
from featflow.interpret.logprobs import compact
from featflow.interpret.prices import Budget, estimate, total
from featflow.interpret.questions import Answer, Failure, Question, Reply, Tokens, sent
from featflow.runtime.log import log, progress

if TYPE_CHECKING:
    from openai import AsyncOpenAI


OPENAI = "https://api.openai.com/v1"

NO_KEY = "none"
"""What endpoints get that want no key: the package insists on one."""

FIRST_WAIT = 0.5

LAST_WAIT = 30.0
"""Seconds between tries: doubled from the first to the last, less up to a half by chance."""

GIVE_UP = 16
"""After so many questions in a row without an answer, an endpoint is taken to be down."""

WHERE = "interpret.provider"

BUDGET = "budget"


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


@dataclass
class Endpoint:
    """Where questions go, and how."""

    url: str
    key: str = field(repr=False)
    settings: Openai
    redact: Redactor
    first_wait: float
    """Seconds before the second try."""
    old_limit: bool
    """The limit of an answer's length is called max_tokens (OpenAI: max_completion_tokens)."""
    in_a_row: int = 0
    """Questions without an answer since the last one with an answer."""


class Sending:
    """A batch of questions on its way.

    The `openai` package speaks the protocol. Trying again is done here, not by the package, since
    it gives up where Retry-After is above two minutes, does not try again after a body that is no
    JSON, asks on without credit, and does not tell how many requests it sent: each may have cost
    something.
    """

    def __init__(self, endpoint: Endpoint, answers: Answers, budget: Budget):
        self._endpoint = endpoint
        self._settings = endpoint.settings
        self._answers = answers
        self._budget = budget
        self._error: FeatflowError | None = None
        self._stopped = asyncio.Event()
        self._quiet_until = 0.0

    async def all(self, questions: Sequence[Question], what: str) -> dict[str, Failure]:
        """Ask; returns what failed, by digest. Answers go to disk as they come."""
        from openai import AsyncOpenAI

        slots = asyncio.Semaphore(self._settings.concurrency)
        failures: dict[str, Failure] = {}
        async with AsyncOpenAI(
            api_key=self._endpoint.key,
            base_url=self._endpoint.url,
            timeout=self._settings.timeout,
            max_retries=0,
        ) as client:

            async def one(question: Question) -> None:
                async with slots:
                    if failure := await self._one(client, question):
                        failures[question.digest] = failure

            tasks = [asyncio.create_task(one(question)) for question in questions]
            try:
                for done in progress(asyncio.as_completed(tasks), f"answers to {what}", len(tasks)):
                    await done
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if self._error:
            raise self._error
        return failures

    async def _one(self, client: "AsyncOpenAI", question: Question) -> Failure | None:
        """Ask until there is an answer (then None), or no more tries."""
        tries, adapted = 0, 0
        while True:
            await self._wait(max(0.0, self._quiet_until - asyncio.get_running_loop().time()))
            if self._stopped.is_set():
                return Failure("the run was stopped")
            if not await self._budget.hold(question):
                return Failure(BUDGET)
            fault = await self._send(client, question)
            if fault is None:
                self._endpoint.in_a_row = 0
                return None
            if fault.remedy is Remedy.ADAPT and adapted < 3:
                adapted += 1
                continue
            if fault.remedy is Remedy.AGAIN and tries < self._settings.retries:
                tries += 1
                await self._back_off(tries, fault)
                continue
            return self._give_up(question, fault, tries + 1)

    async def _send(self, client: "AsyncOpenAI", question: Question) -> Fault | None:
        """One request: its answer is on disk when this returns None."""
        used = question.bound  # until the endpoint says better
        try:
            self._answers.asking(question)
            reply = await self._request(client, question)
            if isinstance(reply, Fault):
                used = question.bound if reply.billed else Tokens(0, 0)
                self._note(question, reply)
                return reply
            answer, usage = reply
            used = usage or used
            self._answers.answered(question, answer, usage, self._answers.without[question.model])
            return None
        except FeatflowError as error:  # a full disk: nothing more may be bought
            self._stop(error)
            return Fault("the run was stopped", Remedy.LEAVE)
        finally:
            await self._budget.settle(question, used)

    async def _request(
        self, client: "AsyncOpenAI", question: Question
    ) -> tuple[Answer, Tokens | None] | Fault:
        """Send it, and tell what came."""
        from openai import APIConnectionError, APIStatusError

        without = self._without(question)
        try:
            async with asyncio.timeout(self._settings.timeout):  # the package's is for each read
                completion = await client.chat.completions.create(
                    **_adapted(question.request(), without)
                )
        except APIStatusError as error:
            fault = status_fault(error, self._endpoint.redact)
            if fault.remedy is Remedy.ADAPT and fault.without:
                self._answers.without[question.model].add(fault.without)
            return fault
        except (APIConnectionError, TimeoutError) as error:
            return self._lost(error)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return Fault("an answer that is no JSON", Remedy.AGAIN, billed=True)
        except Exception as error:  # the package's, for an answer that it cannot make sense of
            reason = f"an answer that cannot be read ({type(error).__name__})"
            return Fault(reason, Remedy.AGAIN, billed=True)
        return _parsed(completion) or Fault("an answer without content", Remedy.AGAIN, billed=True)

    def _without(self, question: Question) -> set[str]:
        """What the endpoint does not take, as far as is known."""
        known = self._answers.without[question.model]
        return known if self._endpoint.old_limit else known | {"max_tokens"}

    def _lost(self, error: Exception) -> Fault:
        """A request without a response. One that met no server has cost nothing."""
        cause = type(error.__cause__).__name__
        if cause in ("ConnectError", "ConnectTimeout"):
            why = self._endpoint.redact(str(error.__cause__)) or "no connection"
            return Fault(f"no connection ({why})", Remedy.AGAIN)
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            reason = f"no answer within {self._settings.timeout:g} s"
            return Fault(reason, Remedy.AGAIN, billed=True)
        return Fault(f"the connection was lost ({cause})", Remedy.AGAIN, billed=True)

    def _note(self, question: Question, fault: Fault) -> None:
        permanent = fault.remedy is Remedy.NEVER
        self._answers.failed(question, Failure(fault.reason, permanent), fault.billed)

    async def _back_off(self, tries: int, fault: Fault) -> None:
        wait = min(self._endpoint.first_wait * 2 ** (tries - 1), LAST_WAIT)
        wait *= 1 - random.random() / 2
        if fault.wait is not None:  # the others need not be told as well
            wait = fault.wait
            until = asyncio.get_running_loop().time() + wait
            self._quiet_until = max(self._quiet_until, until)
        await self._wait(wait)

    async def _wait(self, seconds: float) -> None:
        """Wait, but not longer than the run goes on."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)

    def _give_up(self, question: Question, fault: Fault, tries: int) -> Failure:
        """Make a failure of a fault; stop the run where no question would fare better."""
        kept = f"; {self._answers.path} keeps the answers so far: run again to ask for the rest"
        where = f"{shown(self._endpoint.url)}: {fault.reason}"
        if fault.remedy is Remedy.STOP:
            self._stop(FeatflowError(f"{where}; {_advice(fault.reason, question.model)}{kept}"))
        elif fault.remedy is Remedy.AGAIN:
            self._endpoint.in_a_row += 1
            if self._endpoint.in_a_row >= max(GIVE_UP, 2 * self._settings.concurrency):
                said = f"{self._endpoint.in_a_row} questions in a row without an answer"
                self._stop(FeatflowError(f"{where} ({said}); look at the endpoint{kept}"))
        else:
            self._endpoint.in_a_row = 0
        again = f" ({tries} tries)" if tries > 1 else ""
        return Failure(f"{fault.reason}{again}", fault.remedy is Remedy.NEVER)

    def _stop(self, error: FeatflowError) -> None:
        """Send nothing more; requests under way are paid for, so their answers are waited for."""
        if self._error is None:
            self._error = error
            log.warning("no more questions are asked; those under way end first")
        self._stopped.set()


def _adapted(request: dict[str, Any], without: set[str]) -> dict[str, Any]:
    """A request without what the endpoint does not take; the limit has two names."""
    request = {k: v for k, v in request.items() if k not in without or k == "max_tokens"}
    if "max_tokens" in without:
        request["max_completion_tokens"] = request.pop("max_tokens")
    return request


def _parsed(completion: Any) -> tuple[Answer, Tokens | None] | None:
    """What is in a response; None where it is no chat completion."""
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    if choice is None or message is None:
        return None
    content, refusal = (getattr(message, name, None) for name in ("content", "refusal"))
    answer = Answer(
        content=sent(content) if isinstance(content, str) else None,
        refusal=sent(refusal) if isinstance(refusal, str) else None,
        finish=getattr(choice, "finish_reason", None),
        logprobs=compact(getattr(getattr(choice, "logprobs", None), "content", None)),
        model=getattr(completion, "model", None),
    )
    usage = getattr(completion, "usage", None)
    prompt = getattr(usage, "prompt_tokens", None)
    out = getattr(usage, "completion_tokens", None)
    known = isinstance(prompt, int) and isinstance(out, int)
    return answer, Tokens(prompt, out) if known else None  # type: ignore[arg-type]


def _advice(reason: str, model: str) -> str:
    """What to set right."""
    status = reason[:3]
    if status == "401":
        return "set OPENAI_API_KEY to a key of this endpoint"
    if status == "403":
        return f"the key may not use {model!r}: use another key or model ({WHERE})"
    if status == "404":
        return f"there is no model {model!r}, or {WHERE}.base_url is wrong (it often ends in /v1)"
    return "the account has no credit left"
