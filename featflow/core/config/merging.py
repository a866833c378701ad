"""Merge methods. One class a method, one file in `models/merging/`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from featflow.core.config.base import Config

T = Annotated[float, Field(ge=0, le=1)]


class Slerp(Config):
    """Spherical linear interpolation of whole tensors: t = 0 the first parent, 1 the second."""

    two_parents: ClassVar[bool] = True

    kind: Literal["slerp"]
    t: T | Literal["equilibrium", "balanced"] = "equilibrium"
    """A number, or chosen from the sweep: `equilibrium`, where the accuracies on the parents' data
    cross; `balanced`, where the smaller share of the parents' gains over their base is largest."""


Method = Slerp
