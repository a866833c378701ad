"""Merge methods. One class a method, one file in `models/merging/`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, model_validator

from featflow.config.base import Config, Name

T = Annotated[float, Field(ge=0, le=1)]


class Slerp(Config):
    """Spherical linear interpolation of whole tensors: t = 0 the first parent, 1 the second."""

    two_parents: ClassVar[bool] = True

    kind: Literal["slerp"]
    t: T | Literal["equilibrium", "balanced"] = "equilibrium"
    """A number, or chosen from the sweep: `equilibrium`, where the accuracies on the parents' data
    cross; `balanced`, where the smaller share of the parents' gains over their base is largest."""


class Weighted(Config):
    """What methods for any number of parents share."""

    two_parents: ClassVar[bool] = False

    weights: list[float] | None = None
    """A factor for each parent, in their order (null: 1 for each)."""


class Linear(Weighted):
    """A weighted sum of the parents' weights ("model soup", Wortsman et al. 2022)."""

    kind: Literal["linear"]
    normalize: bool = True
    """Divide by the sum of the weights."""

    @model_validator(mode="after")
    def _weights_do_not_cancel(self) -> "Linear":
        if self.normalize and self.weights is not None and abs(sum(self.weights)) < 1e-8:
            raise ValueError("weights sum to 0; say normalize: false, or change them")
        return self


class TaskVectors(Weighted):
    """Methods on the parents' differences from the model that they descend from."""

    base: Name | None = None
    """An ancestor of every parent, to measure from (null: the nearest common one)."""
    scale: float = 1.0
    """What the merged difference is multiplied by before it is added to the base (λ)."""


class TaskArithmetic(TaskVectors):
    """base + λ · Σ weight · (parent − base) (Ilharco et al. 2023)."""

    kind: Literal["task"]
    normalize: bool = False
    """Divide by the sum of the weights."""


class Ties(TaskVectors):
    """Trim each difference to its largest entries, elect a sign, average those of that sign
    (Yadav et al. 2023)."""

    kind: Literal["ties"]
    density: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of each difference's entries, the largest ones, that is kept (the paper's k)."""
    normalize: bool = True
    """Divide each entry by the sum of the weights that went into it."""


class Dare(TaskVectors):
    """Drop entries of each difference at random and rescale the rest (Yu et al. 2024)."""

    kind: Literal["dare"]
    density: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of entries that is kept (1 − the paper's drop rate p)."""
    rescale: Literal["density", "norm"] | None = "density"
    """What makes up for the entries dropped: `density`, the rest is divided by it (the paper);
    `norm`, each weight's difference keeps its L1 norm (mergekit); null: nothing."""
    signs: bool = False
    """Elect a sign for each entry, as TIES does."""
    normalize: bool = False
    """Divide by the sum of the weights."""
    seed: NonNegativeInt = 0


Method = Annotated[Slerp | Linear | TaskArithmetic | Ties | Dare, Field(discriminator="kind")]
