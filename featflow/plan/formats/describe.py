"""The words in which a file format is described."""

from typing import Literal, NamedTuple

from featflow.plan.paths import Template

Kind = Literal["safetensors", "parquet", "csv", "json", "other"]

PROVENANCE = {
    "safetensors": "metadata key `featflow`",
    "parquet": "schema metadata key `featflow`",
    "json": "key `featflow`",
}
"""Where a file of this kind keeps its provenance, unless its format says otherwise."""


class Field(NamedTuple):
    """A tensor, a column, or a key of JSON.

    A `{name}` in it stands for every corpus, tensor, … of that kind; dots lead into JSON objects.
    """

    name: str
    type: str
    """Of a tensor or a column its dtype (`text` is a string of UTF-8); of JSON a type in words."""
    meaning: str
    shape: str = ""
    """Of a tensor; letters are explained in the format's `shapes`."""
    optional: bool = False
    """Not in every such file; the meaning says when."""
    null: bool = False
    """May be null, or NaN; the meaning says when."""


class Format(NamedTuple):
    """A file that the workflow makes."""

    template: Template
    kind: Kind
    stage: str
    """What writes it; several stages with commas between them."""
    about: str
    fields: tuple[Field, ...] = ()
    shapes: str = ""
    """What the letters of the shapes stand for."""
    provenance: str = ""
    """Where it is, if not where files of this kind keep it."""
    more: bool = False
    """Has keys of another's format too, which are not listed here."""

    @property
    def where(self) -> str:
        """Where the provenance is."""
        return self.provenance or PROVENANCE[self.kind]
