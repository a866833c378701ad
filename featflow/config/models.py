"""Language models: bases, fine-tunes and merges, and how they are trained."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from featflow.config.base import Config, Name
from featflow.config.merging import Method

Precision = Literal["auto", "float32", "bfloat16"]
Context = Annotated[int, Field(ge=2)]
"""Tokens of a block: the last one is what the one before it predicts."""
Beta = Annotated[float, Field(ge=0, lt=1)]


class Architecture(Config):
    """A `transformers.MistralForCausalLM`; the defaults are the paper's."""

    hidden: PositiveInt = 512
    intermediate: Annotated[int, Field(ge=2)] = 1024
    """Width of the SiLU-gated MLP, the n of an SAE on `mlp.hook_post`, which takes two or more."""
    layers: PositiveInt = 1
    heads: PositiveInt = 16
    kv_heads: PositiveInt = 8
    context: Context = 256
    """Tokens of a training block, and the model's longest input."""
    tied: bool = False
    """Share the input and output embeddings."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "Architecture":
        if self.hidden % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide hidden ({self.hidden})")
        if self.hidden // self.heads % 2:
            raise ValueError(
                f"hidden / heads ({self.hidden} / {self.heads} = {self.hidden // self.heads}) must "
                "be even: rotary positions turn pairs of numbers"
            )
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads ({self.kv_heads}) must divide heads ({self.heads})")
        return self


class Training(Config):
    """AdamW with a cosine schedule; the defaults are the paper's for a base model."""

    epochs: PositiveFloat = 1.0
    """Passes over the training tokens."""
    batch: PositiveInt = 64
    """Blocks of `context` tokens a step."""
    learning_rate: PositiveFloat = 6e-4
    warmup_steps: NonNegativeInt = 0
    weight_decay: NonNegativeFloat = 0.1
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    gradient_clip: PositiveFloat | None = 1.0
    """Largest norm of the gradient (null: no clipping)."""
    precision: Precision = "auto"
    """auto: bfloat16 autocast where the hardware multiplies it natively, else float32."""


class FinetuneTraining(Training):
    """The paper's settings for a fine-tune."""

    learning_rate: PositiveFloat = 2e-5
    warmup_steps: NonNegativeInt = 500
    weight_decay: NonNegativeFloat = 0.01


class Base(Config):
    """A language model trained from scratch, on even token counts of its corpora."""

    kind: Literal["base"]
    corpora: list[Name] = Field(min_length=1)
    architecture: Architecture = Architecture()
    training: Training = Training()
    seed: int = 0
    control_of: Name | None = None
    """The model that this one stands for in a control (see Finetune); its own features are left
    out of the flow."""


class Pretrained(Config):
    """A language model that exists: a folder in Hugging Face's format, or a name on the hub."""

    kind: Literal["pretrained"]
    name: str
    """`owner/name`, or a folder."""
    revision: str | None = None
    """A branch, tag or commit on the hub."""
    corpora: list[Name] = Field(min_length=1)
    """The study's corpora that stand for what it was trained on: its features are judged there."""
    context: Context = 256
    """Tokens of the blocks that it and its descendants read; at most its longest input."""


class Finetune(Config):
    """A model trained further, on other data."""

    kind: Literal["finetune"]
    parent: Name
    corpora: list[Name] = Field(min_length=1)
    training: FinetuneTraining = FinetuneTraining()
    seed: int = 0
    control_of: Name | None = None
    """The fine-tune that this one stands for: the parent's features are looked for in it, too.
    Of another base it is a floor (`unrelated`); of the same parent on the parent's own corpora it
    says what further training alone does (`continued`); with another seed alone how much one
    training differs from the next (`retrained`)."""


class Merge(Config):
    """A model merged from others, tensor by tensor."""

    kind: Literal["merge"]
    parents: list[Name] = Field(min_length=2)
    method: Method
    control_of: Name | None = None
    """The merge that this one stands for: of other bases it is a floor (see Finetune)."""

    @model_validator(mode="after")
    def _parents_fit_the_method(self) -> "Merge":
        if len(set(self.parents)) != len(self.parents):
            raise ValueError("a merge needs different parents")
        if self.method.two_parents and len(self.parents) != 2:
            raise ValueError(
                f"{self.method.kind} merges exactly 2 parents, not {len(self.parents)}"
            )
        weights = getattr(self.method, "weights", None)
        if weights is not None and len(weights) != len(self.parents):
            raise ValueError(
                f"method.weights: {len(weights)} weights for {len(self.parents)} parents"
            )
        return self


class Random(Config):
    """A control: a language model with random weights, the floor of everything learnt."""

    kind: Literal["random"]
    like: Name
    """The base or pretrained model whose architecture and tokenizer it has."""
    seed: int = 0


Model = Annotated[Base | Pretrained | Finetune | Merge | Random, Field(discriminator="kind")]
