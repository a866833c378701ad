"""Case studies: one feature, found by what it fires on, and followed through the lineage."""

from typing import Annotated

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from featflow.config.base import Config, Name


class Case(Config):
    """A feature of a root model, by tokens, by a text, or by its number: give one of the three."""

    tokens: Annotated[list[str], Field(min_length=1)] | None = None
    """Tokens that it fires on, as text: "=" stands for the tokens whose text is = with or without
    spaces around it."""
    text: Annotated[str, StringConstraints(min_length=1)] | None = None
    """A text whose tokens it fires on, wherever that occurs in the probe."""
    feature: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*/\d+$")] | None = None
    """`model/number`."""
    model: Name | None = None
    """Where it is looked for (null: the study's first root; with `feature`, that says it)."""
    sae: Name | None = None
    """Of which SAE (null: the study's first that is no control)."""
    passages: PositiveInt = 4
    """Passages that are shown, each of another document."""

    @model_validator(mode="after")
    def _one_way_to_find_it(self) -> "Case":
        if sum(x is not None for x in (self.tokens, self.text, self.feature)) != 1:
            raise ValueError("give one of: tokens (a list), text, feature (model/number)")
        if self.feature is not None and self.model is not None:
            raise ValueError("feature names the model already: leave the key model out")
        return self
