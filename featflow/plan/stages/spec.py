"""What is said of a stage, and of each file that it writes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from featflow.config.corpora import Corpus
from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice, Windows

Kind = Literal["safetensors", "parquet", "csv", "json", "other"]

Job = tuple[str, ...]
"""What a job's wildcards stand for, in the order of its stage's."""

Names = Mapping[str, str]
"""What a job's wildcards stand for, by wildcard."""

Input = Template | Callable[[Slices, Names], str | list[str]]
"""A path with wildcards of the stage's outputs, or the path or paths that follow from a study."""

PROVENANCE = {
    "safetensors": "metadata key `featflow`",
    "parquet": "schema metadata key `featflow`",
    "json": "key `featflow`",
}
"""Where a file of this kind keeps its provenance, unless its description says otherwise."""


class Field(NamedTuple):
    """A tensor, a column, or a key of JSON.

    A `{name}` in it stands for every corpus, tensor, … of that kind; dots lead into JSON objects.
    """

    name: str
    type: str
    """Of a tensor or a column its dtype (`text` is a string of UTF-8); of JSON a type in words."""
    meaning: str
    shape: str = ""
    """Of a tensor; letters are explained in the file's `shapes`."""
    optional: bool = False
    """Not in every such file; the meaning says when."""
    null: bool = False
    """May be null, or NaN; the meaning says when."""


class File(NamedTuple):
    """A file that a stage writes."""

    template: Template
    kind: Kind
    about: str
    fields: tuple[Field, ...] = ()
    shapes: str = ""
    """What the letters of the shapes stand for."""
    provenance: str = ""
    """Where it is, if not where files of this kind keep it."""
    beside: str = ""
    """What the same job writes beside it and has its provenance, where it has none itself."""
    more: bool = False
    """Has keys of another's format too, which are not listed here."""
    target: bool = True
    """Snakemake is told of it; else it lies in the folder of one that Snakemake is told of."""

    @property
    def where(self) -> str:
        """Where the provenance is."""
        beside = f"{self.beside} beside it" if self.beside else ""
        return self.provenance or beside or PROVENANCE[self.kind]


class Sizes(Protocol):
    """How large things of a study are, as far as that is known before they are there.

    Every method raises Unknown where it is not (commands/sizes.py has them).
    """

    slices: Slices

    def text(self, corpus: str, source: Corpus | None = None) -> float:
        """UTF-8 bytes of a corpus, all splits together."""

    def tokens(self, corpus: str, split: str) -> float:
        """Tokens of a split."""

    def at_most(self, limit: float, corpus: str, split: str) -> float:
        """Tokens of a split, or the limit where that is less, or nobody knows yet."""

    def rows(self, corpus: str) -> float:
        """Rows of the probe."""

    def read(self, windows: Windows, rows: float) -> float:
        """Tokens that the LM reads for so many rows of windows."""

    def model(self, model: str) -> float:
        """Bytes of a model's weights."""

    def forward(
        self, model: str, context: int | None = None, head: bool = True, hook: str | None = None
    ) -> float:
        """FLOP of a token through a model, or up to a hook."""

    def hook_width(self, model: str, hook: str) -> int:
        """Numbers at a hook."""

    def width(self, model: str, sae: str) -> int:
        """Inputs of an SAE."""

    def features(self, dictionary: tuple[str, str]) -> int:
        """Features of a dictionary (model, sae)."""

    def l0(self, sae: str) -> float:
        """Features that fire at a token."""

    def dump_bytes(self, sae: str, corpora: list[str]) -> float:
        """Bytes of the feature activations of an SAE on the probe."""


class Cost(NamedTuple):
    """What a job takes: the law of its time and of its memory, for `featflow plan`.

    seconds = start + work / (rate × threads)             on a CPU
    seconds = start + work / (share × the GPU's peak)     on a GPU, for stages that use one

    The rates are of a core of a server CPU with AMX, of the studies demo and desk run with other
    jobs beside them (training and SAEs compute in bfloat16, the rest in float32, corpora are mostly
    generated). Another machine may be two times faster or slower; once it has run something, its
    own benchmark files count instead (commands/estimates.py). The shares of GPUs are assumed.
    """

    start: float = 1.0
    """Seconds of imports, and of opening what is read."""
    rate: float | None = None
    """Work a second and core (None: its time does not grow)."""
    threads: int | None = None
    """Cores that it uses at most (None: all)."""
    bfloat16: float | None = None
    """Share of a GPU's peak in bfloat16 that it reaches, if it computes in that."""
    float32: float | None = None
    """The same in float32."""
    memory: float = 0.6e9
    """Bytes at its start; the default is with torch and transformers imported."""
    work: Callable[[Sizes, Any], float] | None = None
    """Work of a job with a slice: FLOP where a model is computed, bytes of text or weights, or what
    its function says (None: 1)."""
    held: Callable[[Sizes, Any], float] | None = None
    """Bytes that a job with a slice holds at most, beside its start (None: 0)."""


class Stage(NamedTuple):
    """A step of the workflow; the rule, the verb and the module carry one name.

    A stage with a revision costs GPU-days: it reruns when someone raises the number, because its
    results would differ. A stage without one follows a fingerprint of its code
    (plan/fingerprint.py).
    """

    verb: str
    module: str
    revision: int | None
    summary: str
    wildcards: tuple[str, ...]
    """What tells its jobs apart within a study."""
    slice: Callable[..., Slice]
    """What a job reads of the config, from `Slices` and what its wildcards stand for, in order."""
    jobs: Callable[[Slices], Iterable[Job]]
    """Every job of a study."""
    cost: Cost
    inputs: Mapping[str, Input]
    """What a job reads, by what it is to the stage; in the order of its slice."""
    outputs: tuple[File, ...]
    leaves: tuple[Template, ...] = ()
    """Those that `all` asks for: what no other stage reads, and what people look at."""
    kind: str | None = None
    """Of the models that it makes."""

    def targets(
        self, slices: Slices, *templates: Template, **only: Collection[str]
    ) -> Iterator[str]:
        """The files of a study that it writes.

        Args:
            slices: of the study.
            templates: of these alone; none: all that Snakemake is told of.
            only: what a wildcard may stand for, where not everything (`format=["html"]`).
        """
        wanted = templates or [file.template for file in self.outputs if file.target]
        for job in self.jobs(slices):
            names = dict(zip(self.wildcards, job, strict=True))
            for template in wanted:
                for more in _spread(template, names, slices):
                    every = {**names, **more}
                    if all(every[key] in values for key, values in only.items() if key in every):
                        yield template.at(study=slices.name, **every)

    def sliced(self, slices: Slices, names: Names) -> Slice:
        """The slice of the job with these names."""
        return self.slice(slices, *(names[key] for key in self.wildcards))


def targets(
    stages: Iterable[Stage], slices: Slices, *templates: Template, **only: Collection[str]
) -> Iterator[str]:
    """Every file of a study that some of these stages write; the rest as of `Stage.targets`."""
    for stage in stages:
        written = [file.template for file in stage.outputs if file.target]
        wanted = [t for t in written if not templates or t in templates]
        if wanted:
            yield from stage.targets(slices, *wanted, **only)


def _spread(
    template: Template, names: Mapping[str, str], slices: Slices
) -> Iterator[dict[str, str]]:
    """The files of one job that follow one template."""
    within = {
        "split": paths.SPLITS,
        "corpus": tuple(slices.study.probe_corpora),
        "format": paths.FORMATS,
    }
    for key, values in within.items():
        if key not in names and f"{{{key}}}" in template:
            yield from ({key: value} for value in values)
            return
    yield {}
