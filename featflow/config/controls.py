"""What stands beside every share: how controls are computed. Which there are, the nodes say.

Ceilings, floors and arms are models and SAEs of the study with `control_of` (or `kind: random`).
"""

from typing import Annotated

from pydantic import Field, NonNegativeInt

from featflow.config.base import Config

Threshold = Annotated[float, Field(gt=0, lt=1)]


class Controls(Config):
    """Controls that need no further model or SAE."""

    thresholds: list[Threshold] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    """Every share is also given at these; `flow.threshold` is always among them."""
    transfer: bool = True
    """The parent's SAE applied to the child: the frozen dictionary, and latent scaling."""
    bootstrap: NonNegativeInt = 200
    """Replicates of the document bootstrap (0: none)."""
    shift: bool = True
    """The share after a circular shift of the child's rows within each corpus: a sanity check that
    should be 0."""
