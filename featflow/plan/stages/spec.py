"""What is said of a stage, and of each file that it writes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice

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
    """What tells its jobs apart within a study; `Slices` has a method of the verb's name, which
    takes them in this order."""
    jobs: Callable[[Slices], Iterable[Job]]
    """Every job of a study."""
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

    def slice(self, slices: Slices, names: Names) -> Slice:
        """What a job reads of the config."""
        made: Slice = getattr(slices, self.verb)(*(names[key] for key in self.wildcards))
        return made


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
