"""Documents, the tokenizer, token ids."""

from collections.abc import Iterable
from typing import Literal

from featflow.config.base import Name
from featflow.config.corpora import Corpus
from featflow.config.tokenizers import Tokenizer
from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice
from featflow.plan.stages.spec import Cost, Field, File, Stage

TOKEN_BYTES = 3.2
"""UTF-8 bytes of a token: 3.1 to 3.7 with 4,096 entries on code and prose."""

CORPUS = File(
    paths.CORPUS,
    "parquet",
    "A row a document, in an order that the study's seed decides: NFC, valid UTF-8, no "
    "duplicate within the corpus. The split follows from a hash of the text alone.",
    (
        Field("text", "text", "the document"),
        Field("source", "text", "what it is a part of: a folder, a file, a column's value"),
        Field("origin", "text", "where it is from: a file's name and line, a row, a number"),
        Field("hash", "uint64", "the beginning of the text's SHA-256"),
    ),
)

TOKENIZER = File(
    paths.TOKENIZER,
    "other",
    "The tokenizer of all models of the study, as the library tokenizers writes it.",
    beside="provenance.json",
)

RECORD = File(
    Template(paths.TOKENIZER.replace("tokenizer.json", "provenance.json")),
    "json",
    "The record of the tokenizer, whose own format takes no other key.",
    (
        Field(
            "document_token",
            "text",
            "what begins a document; null: nothing",
            null=True,
        ),
        Field("document_token_id", "integer", "its id", null=True),
        Field("vocabulary", "integer", "entries, added tokens included"),
    ),
    target=False,
)

TOKENS = File(
    paths.TOKENS,
    "safetensors",
    "All documents of a split end to end, each behind the token that begins one. Of `train` at "
    "most the corpus's `tokens`; where it has fewer, the log says so, and the provenance "
    "has what was asked for (config.tokens).",
    (
        Field("input_ids", "int32", "token ids", "(N,)"),
        Field("document_starts", "int64", "where documents begin; the first is 0", "(D,)"),
    ),
    "N tokens, D documents",
)


def tokens(slices: Slices, corpora: Iterable[str], split: str) -> list[str]:
    """The token files of some corpora."""
    return paths.TOKENS.each(study=slices.name, corpus=corpora, split=split)


class CorpusSlice(Slice):
    corpus: Name
    seed: int
    """Of the order of the documents, and of what is drawn or generated."""
    source: Corpus
    validation: float = 0.0
    """The largest share that a corpus of the study holds out for validation."""
    selection: float = 0.0
    """The largest that one holds out for selection."""


def corpus_slice(slices: Slices, corpus: str) -> CorpusSlice:
    corpora = slices.study.corpora
    return CorpusSlice(
        study=slices.name,
        corpus=corpus,
        seed=slices.seed("corpus", corpus),
        source=corpora[corpus].model_copy(update={"tokens": None}),
        validation=max(source.validation for source in corpora.values()),
        selection=max(source.selection for source in corpora.values()),
    )


class TokenizerSlice(Slice):
    tokenizer: Tokenizer


def tokenizer_slice(slices: Slices) -> TokenizerSlice:
    return TokenizerSlice(study=slices.name, tokenizer=slices.study.tokenizer)


class TokensSlice(Slice):
    corpus: Name
    split: Literal["train", "validation", "selection"]
    tokens: int | None = None


def tokens_slice(slices: Slices, corpus: str, split: str) -> TokensSlice:
    limit = slices.study.corpora[corpus].tokens if split == "train" else None
    return TokensSlice(study=slices.name, corpus=corpus, split=split, tokens=limit)  # type: ignore[arg-type]


STAGES = (
    Stage(
        "corpus",
        "featflow.data.corpus",
        revision=2,
        summary="documents of a corpus, split and deduplicated",
        wildcards=("corpus",),
        slice=corpus_slice,
        cost=Cost(
            start=0.4,
            rate=3e6,
            threads=1,
            memory=0.2e9,
            work=lambda z, cfg: z.text(cfg.corpus, cfg.source),
        ),
        jobs=lambda s: [(c,) for c in s.study.corpora],
        inputs={},
        outputs=(CORPUS,),
    ),
    Stage(
        "tokenizer",
        "featflow.data.tokenizer",
        revision=2,
        summary="train or fetch the study's tokenizer",
        wildcards=(),
        slice=tokenizer_slice,
        cost=Cost(
            start=0.5,
            rate=1.5e7,
            memory=0.3e9,
            work=lambda z, cfg: sum(map(z.text, z.slices.tokenizer_corpora())),
        ),
        jobs=lambda s: [()],
        inputs={
            "documents": lambda s, n: paths.CORPUS.each(
                study=s.name, corpus=s.tokenizer_corpora(), split="train"
            )
        },
        outputs=(
            TOKENIZER,
            RECORD,
        ),
    ),
    Stage(
        "tokens",
        "featflow.data.tokens",
        revision=1,
        summary="token ids of a corpus's split",
        wildcards=("corpus", "split"),
        slice=tokens_slice,
        cost=Cost(
            start=0.6,
            rate=3e6,
            memory=0.2e9,
            work=lambda z, cfg: TOKEN_BYTES * z.tokens(cfg.corpus, cfg.split),
            held=lambda z, cfg: 8 * z.tokens(cfg.corpus, cfg.split),
        ),
        jobs=lambda s: [(c, split) for c in s.study.corpora for split in paths.SPLITS],
        inputs={"documents": paths.CORPUS, "tokenizer": paths.TOKENIZER},
        outputs=(TOKENS,),
    ),
)
