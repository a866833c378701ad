"""Who explains features and predicts what they do: one file a provider, named after its `kind`.

A provider gets many questions at once, so that one that waits for a network can ask them side by
side. A question that stays without an answer has a failure; it never becomes a score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

LEVELS = 10
"""Activations are quantised to 0, …, 10 (Bills et al. 2023)."""


@dataclass(frozen=True)
class Record:
    """A window of tokens, and what a feature does there. All of one length."""

    tokens: tuple[str, ...]
    """As text, as a reader sees them."""
    ids: tuple[int, ...]
    levels: tuple[int, ...]
    """Activations, quantised to 0, …, 10."""
    values: tuple[float, ...]
    """Activations."""


@dataclass(frozen=True)
class Marked:
    """A record, some of whose tokens are marked."""

    record: Record
    positions: tuple[int, ...]
    """Of the marked tokens, ascending."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a question: its answer, or why there is none. One of the two is None."""

    value: T | None
    failure: str | None = None
    """A short reason: "refused", "malformed answer", "budget", …"""


class Provider(Protocol):
    """Answers questions about features; results have the order of the items."""

    name: str
    """Who it is, for the column `explainer`: "lookup", or a model's name."""

    def announce(
        self,
        explain: Mapping[int, Sequence[Record]],
        simulate: Sequence[tuple[int, str, Record]],
        detect: Sequence[tuple[int, str, Sequence[Record]]],
        fuzz: Sequence[tuple[int, str, Sequence[Marked]]],
        categorise: Sequence[tuple[int, str, Sequence[str]]] = (),
    ) -> None:
        """Say, before the first question, how many are to be asked and what they will cost.

        Where an item's explanation is "", it is the one that `explain` will give.
        """
        ...

    def explain(self, items: Mapping[int, Sequence[Record]]) -> dict[int, Outcome[str]]:
        """One sentence a feature, from records on which it fires.

        Args:
            items: feature → its records.
        """
        ...

    def simulate(self, items: Sequence[tuple[int, str, Record]]) -> list[Outcome[list[float]]]:
        """The level, 0 to 10, that is expected at each token of a record.

        Args:
            items: feature, explanation, record (whose levels and values are not looked at).
        """
        ...

    def detect(
        self, items: Sequence[tuple[int, str, Sequence[Record]]]
    ) -> list[Outcome[list[bool]]]:
        """Which records have the feature in them (whose levels and values are not looked at)."""
        ...

    def fuzz(self, items: Sequence[tuple[int, str, Sequence[Marked]]]) -> list[Outcome[list[bool]]]:
        """Which records have just the tokens marked on which the feature fires."""
        ...

    def categorise(self, items: Sequence[tuple[int, str, Sequence[str]]]) -> list[Outcome[str]]:
        """Which kind an explanation is of.

        Args:
            items: feature, explanation, names of the categories to choose from.
        """
        ...
