"""Sparse autoencoders and the activations they are trained on.

One class an architecture, one file in `saes/architectures/`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from featflow.config.base import Config, Name
from featflow.config.models import Beta, Precision


class Activations(Config):
    """Where the SAEs' training data, and the probe's rows, come from."""

    window: PositiveInt = 24
    """Consecutive tokens that stay together: a row of the SAE's batches."""
    context: Literal["full", "truncated"] = "full"
    """full: the LM reads blocks of its training length, windows start after position `window`.
    truncated: the LM reads the window alone (as in the paper)."""
    data: Literal["common", "lineage"] = "common"
    """common: all corpora of the study in equal parts, the same for every model.
    lineage: what the model and its ancestors were trained on (as in the paper)."""
    scale: Literal["unit", "none"] = "unit"
    """unit: SAEs train on x·√n / median‖x‖; the scale is folded back at export. none: raw (paper).
    """
    special: Literal["drop", "keep"] = "drop"
    """drop: tokens that the tokenizer calls special, and the first one of a block, are no rows: of
    the SAEs' training, the probe or any measure. keep: they are (as in the paper)."""
    outliers: Annotated[float, Field(gt=1)] | None = 10.0
    """Vectors longer than this many medians are not trained on, no feature fires at them on the
    probe, and the metrics count them (null: none is too long, as in the paper)."""
    tokens: PositiveInt = 15_000_000
    """Distinct training tokens to dump for a model, over all shards."""
    shard_tokens: PositiveInt = 5_000_000
    keep: bool = True
    """false: each SAE job makes its own activations, and no shards are written."""


STEERED = (0.1, 0.8)
"""λ is steered between these shares of the run (from step 0 on it would overshoot sevenfold)."""


class Sparsity(Config):
    """One of: a fixed weight of the L1 penalty, or the L0 that the weight is steered to."""

    l1: PositiveFloat | None = None
    """λ, the weight of the L1 penalty."""
    l0: PositiveFloat | None = None
    """How many features fire at a token: log λ is steered until they do."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Sparsity":
        if (self.l1 is None) == (self.l0 is None):
            raise ValueError("give either l1 (a weight) or l0 (features a token)")
        return self


class Resampling(Config):
    """Reviving dead features after Bricken et al. 2023, in shares of the run."""

    every: Annotated[float, Field(gt=0, lt=1)] = 0.125
    """How often: his 25,000 of 200,000 steps."""
    silent: Annotated[float, Field(gt=0, lt=1)] = 0.0625
    """A feature silent for this share of the run is dead: his 12,500 steps."""
    until: Annotated[float, Field(gt=0, le=1)] = 0.7
    """None after this share of the run."""


class Auxiliary(Config):
    """AuxK: dead features learn what is not yet explained (Gao et al. 2024, appendix A.2)."""

    k: PositiveInt | None = None
    """How many of the dead take part at a token (null: half as many as there are inputs)."""
    weight: PositiveFloat = 1 / 32
    """α, the weight of their loss."""
    silent: Annotated[float, Field(gt=0, lt=1)] = 0.0625
    """A feature silent for this share of the run is dead."""


class OneLayerSettings(Config):
    """What all architectures have, beside their `kind`."""

    hook: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.]+$")] = "blocks.0.mlp.hook_post"
    """A TransformerLens hook name."""
    expansion: PositiveInt = 16
    """Features an input: m = expansion · n."""
    tokens: PositiveInt = 15_000_000
    """Token visits; more than `activations.tokens` means further passes in another order."""
    batch: PositiveInt = 128
    """Windows a step."""
    learning_rate: PositiveFloat = 1e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the run over which the learning rate rises linearly from 0."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the run, at its end, over which the learning rate falls linearly to 0."""
    betas: tuple[Beta, Beta] = (0.9, 0.9999)
    init: Literal["independent", "shared"] = "independent"
    """shared: every model's SAE starts from the same numbers (the authors' code)."""
    precision: Precision = "auto"
    """auto: bfloat16 products with float32 master weights where they are faster."""
    corpora: list[Name] | None = None
    """What it is trained on (null: as `activations.data` says)."""
    context: Literal["full", "truncated"] | None = None
    """Of its training data and of its probe (null: as `activations.context` says)."""
    seed: int = 0
    control_of: Name | None = None
    """The SAE that this one is a control of, by differing from it in one thing: `seed` (a reseed:
    the ceiling), `corpora` (data), `init` or `context`. It stays out of the flow."""
    models: list[Name] | None = None
    """Only for these models (null: every model)."""

    @property
    def l0(self) -> float | None:
        """How many features are to fire at a token (None: the settings do not say)."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _no_empty_list(self) -> Self:
        if self.models is not None and not self.models:
            raise ValueError("models: name at least one, or leave the key out for every model")
        if self.corpora is not None and not self.corpora:
            raise ValueError("corpora: name at least one, or leave the key out")
        return self


class Relu(OneLayerSettings):
    """The paper's ReLU autoencoder with an L1 penalty (Horn & Elliott 2024, Eq. 1 to 4)."""

    kind: Literal["relu"]
    sparsity: Sparsity = Sparsity(l1=3e-4)
    centering: Literal["element", "none"] = "element"
    """element: subtract the mean over a vector's elements (the paper's Eq. 1). none: Bricken's."""
    resampling: Resampling | None = Resampling()

    @property
    def l0(self) -> float | None:
        """What λ is steered to (None: λ is fixed)."""
        return self.sparsity.l0


class TopK(OneLayerSettings):
    """The TopK autoencoder (Gao et al. 2024): the k largest fire, and there is no penalty."""

    kind: Literal["topk"]
    k: PositiveInt = 32
    """How many features fire at a token, at most."""
    auxiliary: Auxiliary | None = Auxiliary()
    """What is done for dead features (null: nothing)."""

    @property
    def l0(self) -> float | None:
        """k."""
        return self.k


Sae = Annotated[Relu | TopK, Field(discriminator="kind")]
