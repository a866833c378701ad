"""The corpus stage: normalised documents without duplicates, split by a hash of their text."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

from featflow.core.config.corpora import Corpus, Source
from featflow.core.provenance import Provenance
from featflow.core.runtime import log, progress
from featflow.core.slices import CorpusSlice
from featflow.data.documents import Writer, writer
from featflow.data.sources import Document, SourceError, counted, keyed

Split = Literal["train", "validation", "selection"]


class Kept(NamedTuple):
    """A document that is in the corpus, its split, and its size in UTF-8 bytes."""

    document: Document
    split: Split
    size: int


def run(cfg: CorpusSlice, *, train: Path, validation: Path, selection: Path) -> None:
    """Documents of a corpus: normalised, without duplicates, split by a hash of the text.

    Args:
        train: parquet of documents (text, source) to train on.
        validation: parquet of documents for evaluation and the probe.
        selection: parquet of documents that choose a merge's t.

    Raises:
        ConfigError: naming the corpus and the key, when a split would be empty.
    """
    provenance = Provenance("corpus", cfg)
    outputs = {"train": train, "validation": validation, "selection": selection}
    kind = import_module(f"featflow.data.corpora.{cfg.source.kind}")
    dropped: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(keyed(f"studies.{cfg.study}.corpora.{cfg.corpus}"))
        files = {s: stack.enter_context(writer(path, provenance)) for s, path in outputs.items()}
        documents = kind.documents(cfg.source, cfg.seed)
        for kept in select(progress(documents, "documents"), cfg.source, dropped):
            files[kept.split].add(kept.document, kept.size)
        _check(files, cfg.source)
        for file in files.values():  # all are whole before the first gets its name
            file.close()
    counts = [f"{s} {file.documents:,} ({file.bytes:,} bytes)" for s, file in files.items()]
    log.info("%s: %s", cfg.corpus, ", ".join(counts))
    if dropped:
        log.info("dropped: %s", counted(dropped))


def select(documents: Iterable[Document], source: Source, dropped: Counter[str]) -> Iterator[Kept]:
    """The documents that a corpus keeps: NFC, valid UTF-8, not empty, not seen before, in limits.

    Args:
        documents: what the source yields; read no further than the limits ask.
        source: its limits and the shares of its splits.
        dropped: counts what is left out, by reason.
    """
    seen: set[bytes] = set()
    left = source.bytes
    for text, origin in documents:
        text = unicodedata.normalize("NFC", text)
        try:
            content = text.encode()
        except UnicodeEncodeError:  # lone surrogates, which JSON can spell
            dropped["mis-encoded"] += 1
            continue
        digest = hashlib.sha256(content).digest()
        if not text or text.isspace():
            dropped["empty"] += 1
        elif digest[:16] in seen:
            dropped["duplicate"] += 1
        elif left is not None and len(content) > left:
            return
        else:
            seen.add(digest[:16])
            left = None if left is None else left - len(content)
            yield Kept(Document(text, origin), split(digest, source), len(content))
            if len(seen) == source.documents:
                return


def split(digest: bytes, source: Source) -> Split:
    """The split of the document with this SHA-256: its hash, read as a number in [0, 1].

    Validation is cut from the low end and selection from the high end, so that a change of one
    share moves no document of the other.
    """
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < source.validation:
        return "validation"
    return "selection" if place >= 1 - source.selection else "train"


def _check(files: dict[str, Writer], source: Corpus) -> None:
    """Raise SourceError, naming the key, if a split has no document."""
    total = sum(file.documents for file in files.values())
    if not total and source.bytes:
        raise SourceError(f"bytes: {source.bytes:,} are fewer than the first document has")
    if not total:
        raise SourceError(f"kind: this {source.kind} source has no document that is not left out")
    for name, file in files.items():
        if not file.documents:
            key = "documents" if name == "train" else name
            raise SourceError(
                f"{key}: none of the {total:,} documents falls into the {name} split; "
                f"give the corpus more documents, or the split a larger share"
            )
