"""The explorer: a page for every feature."""

from pydantic import NonNegativeInt, PositiveInt

from featflow.config.base import Config, Name


class Explorer(Config):
    """What the pages of features hold."""

    saes: list[Name] | None = None
    """Whose features (null: all SAEs that are no control)."""
    top: PositiveInt = 6
    """Contexts with the largest activations, each of another document."""
    intervals: NonNegativeInt = 5
    """Intervals of the activation's range, each with contexts from it."""
    per_interval: PositiveInt = 2
    """Contexts an interval."""
    around: PositiveInt = 20
    """Tokens shown before the one that a context is about; half as many after it."""
    logits: PositiveInt = 10
    """Tokens that the decoder direction promotes most, and that it suppresses most."""
