"""Explanations and predictions by any endpoint that speaks OpenAI's chat completions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from featflow.config.interpreting import Openai
from featflow.interpret import parsing, prompts
from featflow.interpret.client import FIRST_WAIT, Client
from featflow.interpret.faults import NO_LOGPROBS
from featflow.interpret.logprobs import expected_levels
from featflow.interpret.parsing import CutOff, Refused, Unusable
from featflow.interpret.providers import Marked, Outcome, Provider, Record
from featflow.interpret.questions import Answer, Failure, Question, Reply
from featflow.runtime.log import log

T = TypeVar("T")

ROOM = 1024
"""Tokens that an answer may have beside what it must: most of it for models that think first."""
MORE_ROOM = 4
"""An answer that was cut off may be so many times longer when it is asked for again."""
EXPLANATION = "x" * 150
"""Stands for an explanation that is not there yet, where costs are estimated."""
TRIALS = 3
"""Questions in vain after which one gives up to find out whether there are log-probabilities."""


class Ask(NamedTuple):
    """A question, and how its answer is read."""

    question: Question
    read: Callable[[Answer], object]


class OpenaiProvider:
    """An endpoint. What it said once is never asked again: answers.jsonl keeps it.

    An answer that cannot be used is asked for once more, with what was wrong with it (one that was
    cut off: with four times the room); then the question has failed. A refusal is not repeated.
    """

    def __init__(self, settings: Openai, answers: Path, first_wait: float = FIRST_WAIT):
        """Args: answers: answers.jsonl; first_wait: seconds before the second try.

        Raises:
            FeatflowError: when there is no key, no price for `max_usd`, or no usable URL.
        """
        self.name = settings.explainer
        self._settings = settings
        self._client = Client(settings, answers, first_wait)
        self._simulator = settings.simulator or settings.explainer
        self._logprobs = {"logprobs": True, "whole": False}.get(settings.simulation)
        """Whether simulation goes by log-probabilities; None: not known yet."""

    def announce(
        self,
        explain: Mapping[int, Sequence[Record]],
        simulate: Sequence[tuple[int, str, Record]],
        detect: Sequence[tuple[int, str, Sequence[Record]]],
        fuzz: Sequence[tuple[int, str, Sequence[Marked]]],
        categorise: Sequence[tuple[int, str, Sequence[str]]] = (),
    ) -> None:
        """See `Provider`. Second questions are not counted."""
        asks = {feature: self._explain(feature, records) for feature, records in explain.items()}
        self._client.answers.read()

        def explanation(feature: int, given: str) -> str:
            if given or feature not in asks:
                return given or EXPLANATION
            reply = self._client.answers.get(asks[feature].question)
            return _read(reply, asks[feature]).value or EXPLANATION if reply else EXPLANATION

        tried = (self._simulate(f, explanation(f, e), r, True).question for f, e, r in simulate)
        shown = (_gives_logprobs(self._client.answers.get(question)) for question in tried)
        logprobs = self._logprobs
        if logprobs is None:
            logprobs = next((gives for gives in shown if gives is not None), True)
        questions = [ask.question for ask in asks.values()]
        for f, e, record in simulate:
            questions.append(self._simulate(f, explanation(f, e), record, logprobs).question)
        for f, e, records in detect:
            questions.append(self._detect(f, explanation(f, e), records).question)
        for f, e, texts in fuzz:
            questions.append(self._fuzz(f, explanation(f, e), texts).question)
        for f, e, names in categorise:
            questions.append(self._categorise(f, explanation(f, e), names).question)
        self._client.announce(questions)

    def explain(self, items: Mapping[int, Sequence[Record]]) -> dict[int, Outcome[str]]:
        """One sentence a feature."""
        asks = [self._explain(feature, records) for feature, records in items.items()]
        return dict(zip(items, self._outcomes(asks, "explain"), strict=True))

    def simulate(self, items: Sequence[tuple[int, str, Record]]) -> list[Outcome[list[float]]]:
        """The expected level at each token: by log-probabilities, or a whole record at once."""
        if self._logprobs is None:
            undecided = self._try_logprobs(items)
            if undecided is not None:
                return [undecided for _ in items]
        asks = [self._simulate(*item, bool(self._logprobs)) for item in items]
        return self._outcomes(asks, "simulate")

    def detect(
        self, items: Sequence[tuple[int, str, Sequence[Record]]]
    ) -> list[Outcome[list[bool]]]:
        """Which records have the feature in them; all of an item's in one question."""
        return self._outcomes([self._detect(*item) for item in items], "detect")

    def fuzz(self, items: Sequence[tuple[int, str, Sequence[Marked]]]) -> list[Outcome[list[bool]]]:
        """Which records have the right tokens marked; all of an item's in one question."""
        return self._outcomes([self._fuzz(*item) for item in items], "fuzz")

    def categorise(self, items: Sequence[tuple[int, str, Sequence[str]]]) -> list[Outcome[str]]:
        """Which kind an explanation is of."""
        return self._outcomes([self._categorise(*item) for item in items], "categorise")

    def _try_logprobs(self, items: Sequence[tuple[int, str, Record]]) -> Outcome | None:
        """Find out whether the endpoint gives log-probabilities; where it does not say, why."""
        reasons: list[str] = []
        for item in items:
            (reply,) = self._client.ask([self._simulate(*item, logprobs=True).question], "simulate")
            self._logprobs = _gives_logprobs(reply)
            if self._logprobs is not None:
                way = "by log-probabilities" if self._logprobs else "a whole record at a time"
                log.info("simulate: %s predicts %s", self._simulator, way)
                return None
            if isinstance(reply, Failure) and not reply.permanent:
                reasons.append(reply.reason)
                if len(reasons) == TRIALS:
                    break
        return Outcome(None, reasons[-1] if reasons else "malformed answer: it is empty")

    def _explain(self, feature: int, records: Sequence[Record]) -> Ask:
        messages = prompts.explain(records)
        question = Question("explain", feature, self.name, messages, ROOM, expected=40)
        return Ask(question, parsing.sentence)

    def _simulate(self, feature: int, explanation: str, record: Record, logprobs: bool) -> Ask:
        count = len(record.tokens)
        if not logprobs:
            return self._structured(
                "simulate",
                feature,
                prompts.simulate_whole(explanation, record),
                prompts.levels_schema(count),
                3 * count,
                lambda answer: parsing.levels(answer, count),
            )
        shown = [prompts.escaped(token) for token in record.tokens]
        size = sum(len(token.encode("utf-8", "surrogatepass")) + 4 for token in shown)
        question = Question(
            "simulate",
            feature,
            self._simulator,
            prompts.simulate_lines(explanation, record),
            ROOM + size,
            4 * count,
            logprobs=True,
        )

        def read(answer: Answer) -> list[float]:
            text = parsing.content(answer)
            if answer.logprobs is None:
                raise Unusable(NO_LOGPROBS)
            return expected_levels(text, answer.logprobs, shown)

        return Ask(question, read)

    def _detect(self, feature: int, explanation: str, records: Sequence[Record]) -> Ask:
        return self._judge("detect", feature, prompts.detect(explanation, records), len(records))

    def _fuzz(self, feature: int, explanation: str, records: Sequence[Marked]) -> Ask:
        return self._judge("fuzz", feature, prompts.fuzz(explanation, records), len(records))

    def _judge(self, kind: str, feature: int, messages: prompts.Messages, count: int) -> Ask:
        return self._structured(
            kind,
            feature,
            messages,
            prompts.answers_schema(count),
            2 * count,
            lambda answer: parsing.truths(answer, count),
        )

    def _categorise(self, feature: int, explanation: str, names: Sequence[str]) -> Ask:
        return self._structured(
            "categorise",
            feature,
            prompts.categorise(explanation, names),
            prompts.category_schema(names),
            0,
            lambda answer: parsing.category(answer, names),
        )

    def _structured(
        self,
        kind: str,
        feature: int,
        messages: prompts.Messages,
        schema: dict,
        size: int,
        read: Callable[[Answer], object],
    ) -> Ask:
        model = self._simulator
        question = Question(kind, feature, model, messages, ROOM + 2 * size, size + 10, schema)
        return Ask(question, read)

    def _outcomes(self, asks: Sequence[Ask], what: str) -> list[Outcome]:
        """Ask, and once more where the answer cannot be used."""
        replies = self._client.ask([ask.question for ask in asks], what)
        outcomes = [_read(reply, ask) for reply, ask in zip(replies, asks, strict=True)]
        again = {
            i: second
            for i, (reply, ask) in enumerate(zip(replies, asks, strict=True))
            if (second := _second(reply, ask)) is not None
        }
        seconds = self._client.ask([ask.question for ask in again.values()], f"{what} again")
        for (i, ask), reply in zip(again.items(), seconds, strict=True):
            outcomes[i] = _read(reply, ask)
        return outcomes


def _read(reply: Reply, ask: Ask) -> Outcome:
    if isinstance(reply, Failure):
        return Outcome(None, reply.reason)
    try:
        return Outcome(ask.read(reply))
    except Unusable as error:
        return Outcome(None, _wrong(error))


def _wrong(error: Unusable) -> str:
    return str(error) if isinstance(error, Refused) else f"malformed answer: {error}"


def _gives_logprobs(reply: Reply | None) -> bool | None:
    """Whether an endpoint gives log-probabilities, as a reply shows; None where it does not."""
    if isinstance(reply, Answer) and (reply.content or "").strip():
        return reply.logprobs is not None
    return False if isinstance(reply, Failure) and reply.reason == NO_LOGPROBS else None


def _second(reply: Reply, ask: Ask) -> Ask | None:
    """The question again, after an answer that cannot be used; None where that would not help."""
    if isinstance(reply, Failure):
        return None
    question = ask.question
    try:
        ask.read(reply)
    except CutOff:
        more = MORE_ROOM * question.max_tokens
        return Ask(replace(question, max_tokens=more, expected=question.max_tokens), ask.read)
    except Refused:
        return None
    except Unusable as error:
        if str(error) == NO_LOGPROBS:
            return None
        text = reply.content or ""
        said = [("assistant", text)] if text.strip() else []
        wrong = ("user", prompts.WRONG.format(why=error))
        return Ask(replace(question, messages=(*question.messages, *said, wrong)), ask.read)
    return None


def make(settings: Openai, folder: Path) -> Provider:
    """The provider whose answers are kept in answers.jsonl of a folder.

    Raises:
        FeatflowError: when there is no key, no price for `max_usd`, or no usable URL.
    """
    return OpenaiProvider(settings, folder / "answers.jsonl")
