"""The corpus stage: normalised documents without duplicates, in random order, split by a hash."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from featflow.artifacts.provenance import Provenance
from featflow.config.corpora import Corpus
from featflow.data.corpora import kind_of
from featflow.data.documents import Writer, writer
from featflow.data.places import SourceError, keyed
from featflow.data.shuffle import Hashed, Shuffle
from featflow.data.sources import Document, counted
from featflow.plan.stages.data import CorpusSlice
from featflow.runtime.log import log, progress

Split = Literal["train", "validation", "selection"]


HELD_ELSEWHERE = "held out by another corpus of the study"


def run(cfg: CorpusSlice, *, train: Path, validation: Path, selection: Path) -> None:
    """Documents of a corpus: normalised, without duplicates, in random order, split by their hash.

    Args:
        train: parquet of documents (text, source, origin, hash) to train on.
        validation: parquet of documents for evaluation and the probe.
        selection: parquet of documents that choose a merge's t.

    Raises:
        ConfigError: naming the corpus and the key, when a split would be empty.
    """
    provenance = Provenance("corpus", cfg)
    outputs = {"train": train, "validation": validation, "selection": selection}
    dropped: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(keyed(f"studies.{cfg.study}.corpora.{cfg.corpus}"))
        files = {s: stack.enter_context(writer(path, provenance)) for s, path in outputs.items()}
        documents = progress(kind_of(cfg.source).documents(cfg.source, cfg.seed), "documents")
        for document, digest, size in shuffled(documents, cfg, dropped):
            if found := split(digest, cfg):
                files[found].add(document, size, place(digest))
            else:
                dropped[HELD_ELSEWHERE] += 1
        _check(files, cfg.source)
        for file in files.values():  # all are whole before the first gets its name
            file.close()
    counts = [f"{s} {file.documents:,} ({file.bytes:,} bytes)" for s, file in files.items()]
    log.info("%s: %s", cfg.corpus, ", ".join(counts))
    if dropped:
        log.info("dropped: %s", counted(dropped))


def shuffled(
    documents: Iterable[Document], cfg: CorpusSlice, dropped: Counter[str]
) -> Iterator[Hashed]:
    """The documents that a corpus keeps, in an order that its seed decides.

    All are NFC, valid UTF-8, not empty, and no two alike. A limit takes the beginning of that
    order: a random draw from the whole source.

    Args:
        documents: what the source yields.
        cfg: its limits, and the seed.
        dropped: counts what is left out, by reason.

    Raises:
        WriteError: when the disk is full.
    """
    seen: set[bytes] = set()
    with Shuffle(cfg.seed, cfg.source.documents, cfg.source.bytes) as shuffle:
        for text, *where in documents:
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
            else:
                seen.add(digest[:16])
                shuffle.add(Hashed(Document(text, *where), digest, len(content)))
        yield from shuffle


def place(digest: bytes) -> int:
    """The beginning of a SHA-256, as a number below 2⁶⁴."""
    return int.from_bytes(digest[:8], "big")


def split(digest: bytes, cfg: CorpusSlice) -> Split | None:
    """The split of the document with this SHA-256, by its place on a scale from 0 to 1.

    The scale is the same for all corpora of a study. Validation is cut from its low end, selection
    from its high end, so that a change of one share moves no document of the other. Places that
    another corpus holds out are for no training here: no text is trained on in one corpus and held
    out in another. None: such a place.
    """
    where = place(digest) / 2**64
    if where < cfg.source.validation:
        return "validation"
    if where >= 1 - cfg.source.selection:
        return "selection"
    return "train" if cfg.validation <= where < 1 - cfg.selection else None


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
