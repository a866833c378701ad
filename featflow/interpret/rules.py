"""What an explanation is about: the first of the study's categories that fits.

The rules are categories.yaml beside this file, which may be edited, or the study's own. Nothing
heavy is imported here: the workflow's rules ask for the digest.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from featflow.config.errors import ConfigError, explain
from featflow.config.interpreting import Category, Interpret

FILE = Path(__file__).with_name("categories.yaml")

OTHER = "other"
"""The category of what no rule fits."""

QUOTED = re.compile(r"""(?<!\w)(["'“‘`]).*?["'”’`](?!\w)""", re.DOTALL)
"""What an explanation cites: it is in the feature's text, and says nothing about it."""


class Rules:
    """Categories with their patterns, compiled."""

    def __init__(self, categories: Mapping[str, Category]):
        """Args: categories in order."""
        self._patterns = [
            (
                name,
                [re.compile(pattern, re.IGNORECASE) for pattern in category.explanation],
                [re.compile(pattern) for pattern in category.tokens],
            )
            for name, category in categories.items()
        ]
        self._known: dict[str, tuple[int, ...]] = {}

    @property
    def names(self) -> list[str]:
        """Of the categories, in their order, and last that of what none fits."""
        return [*(name for name, _, _ in self._patterns if name != OTHER), OTHER]

    def category(self, explanation: str | None, tokens: Mapping[str, float]) -> str:
        """The first category that fits.

        Args:
            explanation: in words; None: it only lists tokens.
            tokens: how much of a feature's activation each token (its text) has.
        """
        said = QUOTED.sub(" ", explanation or "")
        weights = [0.0] * len(self._patterns)
        for token, weight in tokens.items():
            for place in self._fitting(token):
                weights[place] += weight
        half = sum(tokens.values()) / 2
        for (name, in_words, _), weight in zip(self._patterns, weights, strict=True):
            if weight > half or any(pattern.search(said) for pattern in in_words):
                return name
        return OTHER

    def _fitting(self, token: str) -> tuple[int, ...]:
        """The places of the categories whose tokens it is one of."""
        if token not in self._known:
            self._known[token] = tuple(
                place
                for place, (_, _, patterns) in enumerate(self._patterns)
                if any(pattern.fullmatch(token) for pattern in patterns)
            )
        return self._known[token]


def load(own: Mapping[str, Category] | None) -> Rules:
    """A study's own rules, or featflow's.

    Raises:
        ConfigError: when categories.yaml has no such rules.
    """
    if own is not None:
        return Rules(own)
    try:
        content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{FILE}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{FILE}: expected a mapping of categories")
    try:
        return Rules(Interpret.model_validate({"categories": content}).categories or {})
    except ValidationError as error:
        problems = explain(error, Interpret, {"categories": content}, str(FILE))
        raise ConfigError(problems) from None


def digest() -> str:
    """Twelve hex digits over featflow's own rules, for the parameters of the workflow's rule."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]
