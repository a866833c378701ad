"""Corpora: where documents come from. One class a source, one file in `data/corpora/`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from featflow.config.base import Config

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Source(Config):
    """What every source of documents has."""

    tokens: PositiveInt | None = None
    """Keep this many tokens of the training split, after tokenization: those of documents in an
    order that the study's seed decides (null: all)."""
    documents: PositiveInt | None = None
    """Take at most this many documents, drawn from all by the study's seed."""
    bytes: PositiveInt | None = None
    """Take documents, in an order that the study's seed decides, until this many bytes of text."""
    validation: Fraction = 0.08
    """Share of documents (by a hash of the text) held out for evaluation and the probe. What the
    largest share of the study's corpora would hold out is trained on in none of them."""
    selection: Fraction = 0.02
    """Share of documents held out to choose a merge's t, apart from the probe; as for
    `validation`."""

    @property
    def repository(self) -> str | None:
        """What the hub, or a folder in its layout, has of it; None where the hub has no part."""
        return None

    @property
    def what(self) -> str:
        """Where the documents come from, in words, for `featflow check`."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> "Source":
        if self.validation + self.selection >= 1:
            raise ValueError("validation + selection must leave documents to train on (< 1)")
        return self


class Files(Source):
    """Files of this machine: text, code, or records (JSON, .csv, .tsv, .parquet), packed or not."""

    kind: Literal["files"]
    paths: list[str] = Field(min_length=1)
    """Globs (`**` for any depth). `${VAR}` is the environment's, `{stdlib}` Python's library."""
    include: list[str] = []
    """Keep only files that match one of these globs (empty: all). A glob is compared with the path
    below the fixed part of `paths`, and with the whole path; one without a slash with the name."""
    exclude: list[str] = []
    """Leave out files that match one of these globs, compared as for `include`."""
    text: str | None = None
    """The field or column of records that holds a document (null: `text`). Only where all files
    are records: a file without fields is one document, and an error if this key is given."""
    source: str | None = None
    """The field or column that says what a document is a part of (null: its top folder, or the
    file that lies in none). Only where all files are records, as for `text`."""
    min_bytes: PositiveInt = 1
    """Leave out documents smaller than this."""
    max_bytes: PositiveInt = 1_000_000
    """Leave out documents larger than this."""

    @property
    def what(self) -> str:
        """The first of its paths."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return self.paths[0] + more


class Generated(Source):
    """Text from one of featflow's grammars: the same for the same seed, on every machine."""

    kind: Literal["generated"]
    language: Literal["english", "python", "lua", "stories"]
    documents: PositiveInt = 2000
    """How many documents to write."""

    @property
    def what(self) -> str:
        """Its language."""
        return self.language


class Hub(Source):
    """A data set of the Hugging Face hub, or a local folder in the hub's layout."""

    kind: Literal["hub"]
    dataset: str
    """`owner/name`, or a folder."""
    config: str | None = None
    """The data set's configuration, where it has several."""
    split: str = "train"
    """The data set's own split to read; featflow makes its splits itself."""
    revision: str | None = None
    """A branch, tag or commit of the data set, so that the study can be repeated."""
    text: str = "text"
    """The column that holds a document."""
    sample: Fraction | None = None
    """Take this share of the rows, chosen by the study's seed (null: all)."""
    source: str | None = None
    """The column that says what a document is a part of (null: the data set's file)."""
    files: PositiveInt | None = None
    """Read only so many files of the split, drawn by the study's seed (null: all of them, since
    `documents` and `bytes` draw from the whole)."""
    streaming: bool = True
    """true: read it over the network, and keep nothing but the documents that are drawn.
    false: download the files first, which a second study then finds in the hub's cache."""

    @property
    def repository(self) -> str:
        """The data set."""
        return self.dataset

    @property
    def what(self) -> str:
        """The data set, its split, and the share of rows."""
        sample = f", {self.sample:.0%} of the rows" if self.sample else ""
        return f"{self.dataset} ({self.split}){sample}"


Corpus = Annotated[Files | Generated | Hub, Field(discriminator="kind")]
