"""What each stage reads of the config: its slice.

A slice is all that reaches a stage beside its input files, and all of the config that its results
depend on. Written as JSON with sorted keys and without defaults, it is a parameter of the stage's
rule: when it changes, the stage reruns, and nothing else does. Settings that change no result (a
device, a log level) are in the environment instead.
"""

import json
from typing import Literal

from featflow.core.config.base import Config, Name
from featflow.core.config.corpora import Corpus
from featflow.core.config.figures import Figure
from featflow.core.config.merging import Method
from featflow.core.config.models import Architecture, FinetuneTraining, Training
from featflow.core.config.saes import Activations, Sae
from featflow.core.config.study import Flow
from featflow.core.config.tokenizers import Tokenizer
from featflow.core.lineage import Role


class Slice(Config):
    """What every slice has."""

    study: Name

    def dumps(self) -> str:
        """JSON with sorted keys and without defaults: the same text for the same meaning."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


class CorpusSlice(Slice):
    corpus: Name
    seed: int
    """0 where nothing is drawn by it."""
    source: Corpus


class TokenizerSlice(Slice):
    tokenizer: Tokenizer


class TokensSlice(Slice):
    corpus: Name
    split: Literal["train", "validation", "selection"]
    tokens: int | None = None


class TrainSlice(Slice):
    model: Name
    seed: int
    corpora: list[Name]
    architecture: Architecture
    training: Training


class PretrainedSlice(Slice):
    model: Name
    name: str
    revision: str | None = None
    context: int


class FinetuneSlice(Slice):
    model: Name
    seed: int
    corpora: list[Name]
    training: FinetuneTraining
    context: int | None = None
    """Tokens of a block (None: the model's longest input, which is what featflow trained it on)."""


class SweepSlice(Slice):
    """The method without its t: a merge's t is chosen from the sweep, and changes nothing in it."""

    model: Name
    parents: list[Name]
    corpora: list[list[Name]]
    """The own corpora of each parent, in the order of `parents`."""
    method: Method
    points: int
    tokens: int
    context: int | None = None
    """As for FinetuneSlice."""


class MergeSlice(Slice):
    model: Name
    parents: list[Name]
    corpora: list[list[Name]]
    """As for SweepSlice; empty where t is a number, or there is none."""
    method: Method
    base: Name | None = None
    """The model that task vectors are measured from, for methods that have them."""


class EvaluateSlice(Slice):
    model: Name
    corpora: list[Name]
    tokens: int
    context: int | None = None
    """As for FinetuneSlice."""


class Windows(Config):
    """How windows are cut from a stream of tokens, for SAE and probe alike."""

    window: int
    context: Literal["full", "truncated"]
    context_length: int
    """Tokens of the blocks that the LM reads: one window, where `context` is truncated."""


class ActivationsSlice(Slice):
    model: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    seed: int
    shard: int
    shard_tokens: int
    tokens: int
    """Tokens of this shard: `shard_tokens`, or what is left for the last one."""


class SaeSlice(Slice):
    model: Name
    name: Name
    seed: int
    activations_seed: int
    settings: Sae
    activations: Activations
    """What decides its shards: `data`, `window` and `context` are in `corpora` and `windows`."""
    windows: Windows
    corpora: list[Name]
    """The corpora whose training tokens it sees."""


class MetricsSlice(Slice):
    model: Name
    sae: Name
    hook: str
    corpora: list[Name]
    """Those whose training tokens the SAE saw; it is measured on their validation tokens."""
    windows: Windows
    tokens: int
    """Validation tokens a corpus."""


class FeaturesSlice(Slice):
    model: Name
    sae: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int


class CorrelationSlice(Slice):
    a: str
    b: str
    corpora: list[Name]
    """All that is read, in the order of the input files."""
    scope_a: list[Name]
    """The corpora on which r of a's features is judged."""
    scope_b: list[Name]
    partners: int
    decoders: bool
    """Whether the decoder directions can be compared: a common ancestor and the same hook."""


class FlowPair(Config):
    role: Role
    a: str
    b: str


class FlowSlice(Slice):
    sae: Name
    flow: Flow
    pairs: list[FlowPair]
    """In the order of the input files."""


class Node(Config):
    kind: Literal["base", "pretrained", "finetune", "merge"]
    parents: list[Name] = []
    corpora: list[Name] = []
    method: str | None = None


class FigureSlice(Slice):
    figure: Name
    settings: Figure
    models: dict[Name, Node]
    """Those whose place in the graph the figure shows."""
    corpora: dict[Name, str]
    """Each corpus and the kind of its source, where the figure shows them."""


class Difference(Config):
    """A setting that differs between this study and another."""

    key: str
    here: str
    there: str


class ReportSlice(Slice):
    models: dict[Name, Node]
    corpora: dict[Name, str]
    """Each corpus and the kind of its source."""
    saes: dict[Name, Sae]
    controls: dict[Name, Name]
    """Each SAE that is a second seed of another, and that one."""
    figures: list[Name]
    """In the order in which the page shows them."""
    flow: Flow
    compared_with: Name | None = None
    """The study that the differences are from: `paper`, where the config has it."""
    differences: list[Difference] = []
