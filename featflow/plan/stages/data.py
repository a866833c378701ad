"""Documents, the tokenizer, token ids."""

from collections.abc import Iterable

from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.stages.spec import Field, File, Stage

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


STAGES = (
    Stage(
        "corpus",
        "featflow.data.corpus",
        revision=2,
        summary="documents of a corpus, split and deduplicated",
        wildcards=("corpus",),
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
        jobs=lambda s: [(c, split) for c in s.study.corpora for split in paths.SPLITS],
        inputs={"documents": paths.CORPUS, "tokenizer": paths.TOKENIZER},
        outputs=(TOKENS,),
    ),
)
