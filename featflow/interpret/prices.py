"""What questions cost: an estimate before, a limit that is never exceeded, a sum afterwards."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from featflow.config.interpreting import Price
from featflow.interpret.questions import Question, Tokens

CHARACTERS_PER_TOKEN = 3.5
"""Until answers tell better: English has 4 to 5, code about 3."""


def cost(tokens: Tokens, price: Price) -> float:
    """US dollars."""
    return (tokens.prompt * price.input + tokens.completion * price.output) / 1e6


def total(spent: Mapping[str, Tokens], prices: Mapping[str, Price]) -> float:
    """US dollars of what was spent, by model; what has no price costs nothing."""
    return sum(cost(tokens, prices[model]) for model, tokens in spent.items() if model in prices)


@dataclass
class Habits:
    """What answers of one kind by one model have cost so far."""

    answers: int = 0
    characters: int = 0
    prompt: int = 0
    completion: int = 0

    def add(self, characters: int, usage: Tokens) -> None:
        """Learn from an answer."""
        self.answers += 1
        self.characters += characters
        self.prompt += usage.prompt
        self.completion += usage.completion


@dataclass(frozen=True)
class Estimate:
    """Of questions that are still to be asked."""

    questions: int
    expected: Tokens
    expected_usd: float
    worst_usd: float
    unpriced: tuple[str, ...]
    """Models without a price, which count nothing."""

    def __str__(self) -> str:
        size = f"about {self.expected.prompt:,} tokens in, {self.expected.completion:,} out"
        if self.unpriced:
            names = ", ".join(self.unpriced)
            return f"{size}; interpret.provider.prices has no price for {names}"
        return f"{size}; about ${self.expected_usd:.4f}, at most ${self.worst_usd:.4f}"


def estimate(
    questions: Iterable[Question],
    prices: Mapping[str, Price],
    habits: Mapping[tuple[str, str], Habits],
) -> Estimate:
    """What questions will cost.

    Expected: the prompt's characters at the rate of this model's earlier answers to this kind (or
    at 3.5 a token), and the mean length of those answers (or what the question expects). Worst: a
    token a byte of the prompt, and answers as long as they may be; retries and second questions
    come on top.

    Args:
        questions: those to be asked.
        prices: by model.
        habits: by model and kind.
    """
    count, expected, likely, worst, unpriced = 0, Tokens(0, 0), 0.0, 0.0, set()
    for question in questions:
        count += 1
        known = habits.get((question.model, question.kind))
        if known and known.prompt and known.characters:
            prompt = question.characters * known.prompt / known.characters
            one = Tokens(round(prompt), round(known.completion / known.answers))
        else:
            one = Tokens(round(question.characters / CHARACTERS_PER_TOKEN), question.expected)
        expected = expected.plus(one)
        if price := prices.get(question.model):
            likely += cost(one, price)
            worst += cost(question.bound, price)
        else:
            unpriced.add(question.model)
    return Estimate(count, expected, likely, worst, tuple(sorted(unpriced)))


class Budget:
    """Holds back the most that a request can cost until it is known what it did cost.

    The sum of what was spent and what is held back never exceeds the limit, however many requests
    are under way.
    """

    def __init__(self, limit: float | None, spent: float, prices: Mapping[str, Price]):
        self.limit = limit
        self.spent = spent
        self._prices = prices
        self._held = 0.0
        self._under_way = 0
        self._changed = asyncio.Condition()

    async def hold(self, question: Question) -> bool:
        """Whether the question may be sent; waits where the requests under way decide that."""
        worst = self._cost(question, question.bound)
        async with self._changed:
            while self.limit is not None and self.spent + self._held + worst > self.limit:
                if not self._under_way:
                    return False
                await self._changed.wait()
            self._held += worst
            self._under_way += 1
            return True

    async def settle(self, question: Question, used: Tokens) -> None:
        """Replace what was held back for the question by what it cost."""
        async with self._changed:
            self._under_way -= 1
            held = self._held - self._cost(question, question.bound)
            self._held = held if self._under_way else 0.0  # sums of floats leave something behind
            self.spent += self._cost(question, used)
            self._changed.notify_all()

    def _cost(self, question: Question, tokens: Tokens) -> float:
        price = self._prices.get(question.model)
        return cost(tokens, price) if price else 0.0
