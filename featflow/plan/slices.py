"""What each stage reads of the config: its slice.

A slice is all that reaches a stage beside its input files, and all of the config that its results
depend on. Written as JSON with sorted keys and without defaults, it is a parameter of the stage's
rule: when it changes, the stage reruns, and nothing else does. Settings that change no result (a
device, a log level) are in the environment instead.
"""

import json
from typing import Literal

from featflow.config.base import Config, Name
from featflow.config.cases import Case
from featflow.config.controls import Controls
from featflow.config.corpora import Corpus
from featflow.config.exploring import Explorer
from featflow.config.figures import Figure
from featflow.config.interpreting import Interpret
from featflow.config.merging import Method
from featflow.config.models import Architecture, FinetuneTraining, Training
from featflow.config.saes import Activations, Sae
from featflow.config.study import Flow
from featflow.config.tokenizers import Tokenizer
from featflow.plan.lineage import ArmKind, Role


class Slice(Config):
    """What every slice has."""

    study: Name

    def dumps(self) -> str:
        """JSON with sorted keys and without defaults: the same text for the same meaning."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


class CorpusSlice(Slice):
    corpus: Name
    seed: int
    """Of the order of the documents, and of what is drawn or generated."""
    source: Corpus
    validation: float = 0.0
    """The largest share that a corpus of the study holds out for validation."""
    selection: float = 0.0
    """The largest that one holds out for selection."""


class TokenizerSlice(Slice):
    tokenizer: Tokenizer


class TokensSlice(Slice):
    corpus: Name
    split: Literal["train", "validation", "selection"]
    tokens: int | None = None


class TrainSlice(Slice):
    model: Name
    seed: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    corpora: list[Name]
    architecture: Architecture
    training: Training


class PretrainedSlice(Slice):
    model: Name
    name: str
    revision: str | None = None
    context: int


class RandomSlice(Slice):
    model: Name
    seed: int
    architecture: Architecture | None = None
    """None: that of the model folder that the stage is given (a pretrained model's)."""


class FinetuneSlice(Slice):
    model: Name
    seed: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
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
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
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
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    context: int | None = None
    """As for FinetuneSlice."""


class Windows(Config):
    """How windows are cut from a stream of tokens, for SAE and probe alike."""

    window: int
    context: Literal["full", "truncated"]
    context_length: int
    """Tokens of the blocks that the LM reads: one window, where `context` is truncated."""
    special: Literal["drop", "keep"] = "drop"
    """Whether special tokens and the first token of a block are rows (data/windows.py)."""


class ProbeRows(Config):
    """Which rows of the corpora's validation tokens features are compared on."""

    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int
    blocks_seed: int = 0


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
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""


class FeaturesSlice(Slice):
    model: Name
    sae: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""


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
    min_firings: int
    """Of the rare features, with `min_documents`: which partner is the best that counts."""
    min_documents: int
    floor: float | None = None
    """Of the |r| that matrix.safetensors keeps (None: all)."""


class Domain(Config):
    """Where features are judged, by name: a corpus of the probe, or a scope."""

    a: list[Name]
    """The corpora on which the features of a are judged, with equally many tokens each."""
    b: list[Name]


class SharesSlice(Slice):
    sae: Name
    parent: Name
    child: Name
    a: list[Name]
    """SAEs of the parent, in the order of the input files."""
    b: list[Name]
    """SAEs of the child, in the order of the input files."""
    pairs: list[tuple[Name, Name]]
    """(a, b): what is compared. Of a model with itself each two seeds once."""
    everywhere: list[tuple[Name, Name]]
    """Those of `pairs` that are compared on every domain; the others on `domain` alone."""
    corpora: list[Name]
    """All that is read, in the order of the input files."""
    domains: dict[str, Domain]
    """The corpora of the probe, each alone, and the scopes home, intersection and union (those
    that are not empty)."""
    domain: str
    """That of them which is `flow.scope`."""
    min_firings: int
    min_documents: int
    seed: int
    shift: bool
    """Whether the pair (sae, sae) is also compared after a circular shift, as domain `shift`."""
    bootstrap: int
    """Replicates for the pair (sae, sae); 0: none."""
    thresholds: list[float]
    """Of the bootstrap's shares."""
    partners: int
    """Candidates a feature that the bootstrap follows."""


class TransferSlice(Slice):
    sae: Name
    parent: Name
    child: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    scope_a: list[Name]
    """The corpora on which the parent's features are judged (frozen)."""
    scope_b: list[Name]
    """The corpora on which the child's features are judged (scaling)."""
    scaling: bool
    """Whether the two models are related, so that directions can be compared."""


class FlowPair(Config):
    role: Role
    a: str
    b: str


class FlowSlice(Slice):
    sae: Name
    flow: Flow
    pairs: list[FlowPair]
    """In the order of the input files."""


class Compared(Config):
    """A pair of models that stage `shares` compared; in the order of the input files."""

    parent: Name
    child: Name


class EdgeArm(Config):
    """A control of an edge (plan/lineage.py says what the kinds are)."""

    parent: Name
    child: Name
    kind: ArmKind
    a: str
    b: str


class ControlsSlice(Slice):
    sae: Name
    flow: Flow
    controls: Controls
    edges: list[tuple[Name, Name]]
    seeds: dict[Name, list[Name]]
    """The SAE and its reseeds, of every model of an edge."""
    arms: list[EdgeArm]
    shares: list[Compared]
    """In the order of the input files, and of those of the bootstrap."""
    transfers: list[Compared]
    """In the order of the frozen tables."""


class DomainsSlice(Slice):
    sae: Name
    flow: Flow
    thresholds: list[float]
    edges: list[tuple[Name, Name]]
    seeds: dict[Name, list[Name]]
    arms: list[EdgeArm]
    shares: list[Compared]


class EdgeSae(Config):
    """An SAE that numbers of edges are from: of an end, a reseed there, or of an arm."""

    dictionary: str
    """`model.sae`."""
    l0: float | None = None
    """What its sparsity is steered to (None: it has a fixed weight)."""
    own: list[Name]
    """The corpora that its model was trained on last."""
    edges: list[str]
    """`{parent}-{child}` of each of these edges."""


class EdgesSlice(Slice):
    sae: Name
    flow: Flow
    edges: list[tuple[Name, Name]]
    models: list[Name]
    """Of the edges, in the order of the summaries."""
    saes: list[EdgeSae]
    """In the order of their metrics."""


class CaseSlice(Slice):
    case: Name
    settings: Case
    sae: Name
    model: Name
    """Where the feature is looked for."""
    models: dict[Name, "Node"]
    """The models that have the SAE, controls left out, in the order of the dumps."""
    corpora: list[Name]
    """Of the probe, in the order of the files of each model."""
    flow: Flow
    windows: Windows
    reseeds: list[Name]
    """Of the model, in the order of the pairs in its shares table; empty: it has none."""
    neighbours: list[tuple[Name, Name]]
    """The edges of the model, in the order of their shares tables, which say what became of its
    reseeds' features; empty: it has no reseeds."""
    scope: list[Name]
    """The corpora on which the fates of its features are judged: passages from there come first."""


class InterpretSlice(Slice):
    model: Name
    sae: Name
    settings: Interpret
    features: list[int]
    """Asked for by number."""
    edges: list[tuple[Name, Name]]
    """Of the model, as parent or as child."""
    corpora: list[Name]
    seed: int


class CategoriesSlice(Slice):
    sae: Name
    settings: Interpret
    models: dict[Name, "Node"]
    interpreted: list[Name]
    """In the order of the score tables."""


class DashboardsSlice(Slice):
    model: Name
    sae: Name
    settings: Explorer
    models: dict[Name, "Node"]
    """All models that have the SAE, controls left out, in the order of the dumps."""
    scopes: dict[Name, list[Name]]
    """Of each other model the corpora on which partners in it are judged: of the probe, what both
    models and their ancestors were trained on; all of it where that is nothing."""
    scope: list[Name]
    """The corpora on which the fates of its features are judged: contexts from there come first."""
    corpora: list[Name]
    flow: Flow
    hook: str
    interpreted: bool


class ExplorerSlice(Slice):
    saes: dict[Name, list[Name]]
    """Each SAE and the models whose features are shown, in the order of the dashboards."""
    models: dict[Name, "Node"]
    edges: list[tuple[Name, Name]]
    flow: Flow
    cases: list[Name]


class Node(Config):
    kind: Literal["base", "pretrained", "finetune", "merge", "random"]
    parents: list[Name] = []
    corpora: list[Name] = []
    method: str | None = None
    control_of: Name | None = None
    """The model that it stands for in a control."""


class FigureSlice(Slice):
    figure: Name
    settings: Figure
    models: dict[Name, Node]
    """Those whose place in the graph the figure shows; controls are in none but `lineage`."""
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
    probe: ProbeRows
    explorer: bool = False
    """Whether explorer.html stands beside the page, which then links to it."""
