"""What an explanation is about: the first of the study's categories that fits.

The rules are categories.yaml beside this file, which may be edited, or the study's own. Nothing
heavy is imported here: the workflow's rules ask for the digest.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from featflow.core.config.errors import ConfigError
from featflow.core.config.interpreting import Category

FILE = Path(__file__).with_name("categories.yaml")

OTHER = "other"
"""The category of what no rule fits."""

QUOTED = re.compile(r"""(?<!\w)(["'“‘`]).*?["'”’`](?!\w)""", re.DOTALL)
"""What an explanation cites: it is in the feature's text, and says nothing about it."""


class Rules:
    """Categories with their patterns, compiled."""

    def __init__(self, categories: Mapping[str, Category], where: str):
        """Args: categories in order, and where they are written, for what is wrong with them.

        Raises:
            ConfigError: for a pattern that is no regular expression.
        """
        self._patterns = [
            (
                name,
                [_compiled(p, f"{where}.{name}.explanation") for p in category.explanation],
                [_compiled(p, f"{where}.{name}.tokens") for p in category.tokens],
            )
            for name, category in categories.items()
        ]

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
        total = sum(tokens.values())
        for name, in_words, in_tokens in self._patterns:
            if any(pattern.search(said) for pattern in in_words):
                return name
            fitting = (w for t, w in tokens.items() if any(p.fullmatch(t) for p in in_tokens))
            if in_tokens and 2 * sum(fitting) > total:
                return name
        return OTHER


def load(own: Mapping[str, Category] | None, study: str) -> Rules:
    """A study's own rules, or featflow's.

    Raises:
        ConfigError: when they are no such rules.
    """
    if own is not None:
        return Rules(own, f"studies.{study}.interpret.categories")
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    try:
        categories = {name: Category.model_validate(rule) for name, rule in content.items()}
    except (AttributeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        raise ConfigError(f"{FILE.name}: not categories: {error}") from None
    return Rules(categories, FILE.name)


def digest() -> str:
    """Twelve hex digits over featflow's own rules, for the parameters of the workflow's rule."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if where.endswith(".explanation") else 0)
    except re.error as error:
        raise ConfigError(f"{where}: {pattern!r} is no regular expression: {error}") from None
