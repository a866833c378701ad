"""Automatic interpretation: who explains, which features, on how many records.

One class a provider, one file in `interpret/providers/`.
"""

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from featflow.config.base import Config, Name


class Price(Config):
    """What a model costs, in US dollars a million tokens."""

    input: NonNegativeFloat
    """Of prompts."""
    output: NonNegativeFloat
    """Of answers."""


class Lookup(Config):
    """The built-in baseline: the mean activation of each token. No model, no network, no cost."""

    kind: Literal["lookup"]


class Openai(Config):
    """Any endpoint that speaks OpenAI's chat completions; the key is in OPENAI_API_KEY."""

    kind: Literal["openai"]
    base_url: str | None = None
    """Of the endpoint (null: OpenAI's own, or OPENAI_BASE_URL)."""
    explainer: str
    """The model that writes explanations, by the endpoint's name for it."""
    simulator: str | None = None
    """The model that predicts activations and judges records (null: the explainer)."""
    simulation: Literal["auto", "logprobs", "whole"] = "auto"
    """logprobs: the expected value over the digits' log-probabilities. whole: a whole record as one
    structured answer. auto: logprobs where the endpoint gives them."""
    concurrency: PositiveInt = 8
    """Requests under way at one time."""
    timeout: PositiveFloat = 120.0
    """Seconds that a request may take."""
    retries: NonNegativeInt = 6
    """After 408, 409, 429, 5xx and lost connections, with back-off, or as Retry-After says."""
    prices: dict[str, Price] = {}
    """By model; needed for max_usd."""
    max_usd: PositiveFloat | None = None
    """No request is sent that could exceed this."""


Provider = Annotated[Lookup | Openai, Field(discriminator="kind")]

Group = Literal["persisting", "disappearing", "emerging", "random"]


class Records(Config):
    """What the explainer and the scorers see of a feature; explain and score sets are disjoint."""

    top: PositiveInt = 10
    """Records with the largest activations, half to explain and half to score."""
    interval: PositiveInt = 10
    """Records spread evenly over the range of its activation, half and half."""
    random: PositiveInt = 10
    """Records drawn at random, to score."""
    same_token: NonNegativeInt = 5
    """Records with its most typical token on which it does not fire, to score."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Category(Config):
    """A kind of explanation: the first whose patterns fit names a feature."""

    explanation: list[Pattern] = []
    """Regular expressions, one of which is in the explanation."""
    tokens: list[Pattern] = []
    """Regular expressions, one of which fits the whole of most of the tokens that it fires on."""


class Interpret(Config):
    """Explanations of features and how well they predict (Bills et al. 2023)."""

    provider: Provider = Lookup(kind="lookup")
    """Who explains; the look-up baseline always stands beside."""
    sae: Name | None = None
    """Of which SAE (null: the study's first that is no control)."""
    models: list[Name] | None = None
    """Of which models (null: all but controls)."""
    select: dict[Group, NonNegativeInt] = {"persisting": 50, "disappearing": 50, "emerging": 50}
    """How many living features of each group, drawn at random. persisting: on every edge of the
    model, as parent and as child."""
    features: dict[Name, list[NonNegativeInt]] = {}
    """Further features, by model."""
    records: Records = Records()
    scores: Annotated[list[Literal["simulation", "detection", "fuzzing"]], Field(min_length=1)] = [
        "simulation",
        "detection",
        "fuzzing",
    ]
    """simulation: predicted against true activations. detection: which records it fires in.
    fuzzing: whether marked tokens are those that it fires on."""
    categories: dict[str, Category] | None = None
    """By name, in order (null: featflow's own: docs/interpretation.md)."""
    categorise: bool = False
    """The provider names the category where no rule fits."""
    seed: int = 0
