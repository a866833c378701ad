"""Settings for a study on given text, so that it is done in minutes on two cores.

The text is read, split and (a sample of it) tokenized as the study will do it, so that what is
asked for is there: enough tokens for the shards and the probe, documents in every split.
"""

import logging
import tempfile
from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from typing import NamedTuple

from featflow.artifacts.provenance import Provenance
from featflow.commands.folders import Sample
from featflow.commands.terminal import size
from featflow.config import FeatflowError
from featflow.config.corpora import Files
from featflow.config.tokenizers import Bpe
from featflow.data.corpus import split
from featflow.data.sources import Document
from featflow.data.windows import layout
from featflow.plan.slices import Windows
from featflow.plan.stages.data import CorpusSlice
from featflow.runtime.log import log

WINDOW = 24
LEAST_DOCUMENTS, LEAST_BYTES = 40, 100_000
PROBE, ACTIVATIONS, VISITS = 100_000, 1_200_000, 3_000_000
"""Tokens at most: of the probe a corpus, of a model's activations, of an SAE's training."""
EVALUATION = 50_000
SHARES = (1, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.09, 0.06, 0.04, 0.03)
"""Of all tokens, for a model that exists: the first with which a study is done in time."""
LEAST = {"activations": 60_000, "visits": 300_000, "probe": 12_000, "evaluation": 5_000}
PASSES = 12
"""An SAE sees an activation at most so often."""
TRAINING = {"base": 2_500_000, "finetune": 1_200_000}
"""Tokens that a model is trained on, over its epochs."""
EPOCHS = 10
ON_THE_HUB = 4.5
"""UTF-8 bytes of a token, of a tokenizer that is not here yet."""
SURE = 0.95
"""Share of the estimated tokens that is counted on."""
TOKENIZED = 1_000_000
"""Bytes of each corpus that the tokenizer's yield is measured on."""


class Corpus(NamedTuple):
    """What is held out of a corpus, and the tokens of its splits."""

    validation: float
    selection: float
    train: int
    probe: int
    """Tokens of the validation split."""


class Sizes(NamedTuple):
    """Settings of a study."""

    corpora: list[Corpus]
    vocabulary: int
    activations: int
    visits: int
    """Token visits of an SAE."""
    probe: int
    """Rows a corpus."""
    evaluation: int = EVALUATION
    """Tokens a corpus."""
    share: float = 1.0
    """Of `TRAINING` and of all tokens, for a model that is dear to compute."""

    def epochs(self, kind: str, *corpora: int) -> float:
        """Passes that give a model of this kind its share of training on some of the corpora."""
        seen = len(corpora) * min(self.corpora[corpus].train for corpus in corpora)
        passes = self.share * TRAINING[kind] / seen
        if self.share == 1 or passes >= 1:
            return max(1, min(EPOCHS, round(passes)))
        return float(f"{passes:.2g}")

    def scaled(self, share: float) -> "Sizes":
        """The same with a share of the tokens, as far as anything can be seen with so few."""

        def fewer(number: int, least: int) -> int:
            return rounded(max(min(number, least), share * number))

        return self._replace(
            activations=fewer(self.activations, LEAST["activations"]),
            visits=fewer(self.visits, LEAST["visits"]),
            probe=fewer(self.probe, LEAST["probe"]),
            evaluation=fewer(self.evaluation, LEAST["evaluation"]),
            share=share,
        )


def sizes(
    samples: Sequence[Sample], context: int, swept: bool, tokenizer: Path | None = None
) -> Sizes:
    """Settings for these corpora.

    Args:
        samples: the corpora's documents.
        context: tokens of a block.
        swept: whether a merge's t is chosen on the selection split.
        tokenizer: the tokenizer.json that the study will use, if it is on this machine; None for
            one that the study trains.

    Raises:
        FeatflowError: when a corpus is too small.
    """
    for sample in samples:
        _check(sample)
    vocabulary = 4096 if min(sample.bytes for sample in samples) >= 1_000_000 else 2048
    measured = yields(samples, vocabulary, tokenizer)
    shares = [_shares(s, y, context, swept) for s, y in zip(samples, measured, strict=True)]
    largest = Shares(*map(max, zip(*shares, strict=True)))
    corpora = [
        Corpus(
            own.validation,
            own.selection,
            _held(sample, bytes_a_token, "train", own, largest)[1],
            _held(sample, bytes_a_token, "validation", own, largest)[1],
        )
        for sample, bytes_a_token, own in zip(samples, measured, shares, strict=True)
    ]
    shape = layout(Windows(window=WINDOW, context="full", context_length=context))
    rows = shape.windows * WINDOW
    activations = min(ACTIVATIONS, sum(c.train // shape.block * rows for c in corpora))
    return Sizes(
        corpora,
        vocabulary,
        activations=rounded(activations),
        visits=rounded(min(VISITS, PASSES * activations)),
        probe=rounded(min(PROBE, *(c.probe // shape.block * rows for c in corpora))),
    )


def yields(samples: Sequence[Sample], vocabulary: int, tokenizer: Path | None) -> list[float]:
    """UTF-8 bytes of a token of each corpus.

    Args:
        samples: the corpora's documents.
        vocabulary: of the tokenizer that is trained on them, as the study will.
        tokenizer: the tokenizer.json to use instead; a guess is given where it is not there.
    """
    from featflow.data.documents import batches, writer
    from featflow.data.tokenizer import load
    from featflow.data.tokenizers import bpe
    from featflow.data.tokens import encode

    if tokenizer is not None and not tokenizer.is_file():
        return [ON_THE_HUB] * len(samples)
    source = Files(kind="files", paths=["*"])
    provenance = Provenance("corpus", CorpusSlice(study="x", corpus="x", seed=0, source=source))
    level = log.level
    log.setLevel(logging.ERROR)  # that a sample is small says nothing of the study
    try:
        with tempfile.TemporaryDirectory(prefix="featflow-") as folder:
            paths = [Path(folder, str(i), "train.parquet") for i in range(len(samples))]
            pairs = list(zip(samples, paths, strict=True))
            written = [_write(sample, writer(path, provenance)) for sample, path in pairs]
            cfg = Bpe(kind="bpe", corpora=["x"], vocabulary=vocabulary)
            used = load(tokenizer) if tokenizer else bpe.build(cfg, paths)
            tokens = [len(encode(batches(path), used).ids) for path in paths]
    finally:
        log.setLevel(level)
    return [size / count for size, count in zip(written, tokens, strict=True)]


def _write(sample: Sample, writer) -> int:
    """Write documents in the order of their hashes, up to TOKENIZED bytes; how many bytes."""
    total = 0
    in_order = sorted(zip(sample.digests, sample.texts, strict=True))
    with writer as file:
        for _, text in in_order:
            file.add(Document(text, "", ""), len(text.encode()), 0)
            total += len(text.encode())
            if total >= TOKENIZED:
                break
    return total


def _check(sample: Sample) -> None:
    documents = len(sample.texts)
    if documents < LEAST_DOCUMENTS or sample.bytes < LEAST_BYTES:
        raise FeatflowError(
            f"--folders: {', '.join(sample.found.paths)}: {documents:,} documents with "
            f"{size(sample.bytes)} of text (each text counts once, files above 1 MB not at all); "
            f"a corpus needs at least {LEAST_DOCUMENTS} documents and {size(LEAST_BYTES)}: add "
            "text, or cut long files into a .jsonl with a document a line"
        )


class Shares(NamedTuple):
    """What a corpus holds out."""

    validation: float
    selection: float


def _held(
    sample: Sample, token_bytes: float, name: str, own: Shares, largest: Shares
) -> tuple[int, int]:
    """Documents and tokens of a split, where no corpus of the study holds out more than `largest`:
    the real split decides."""
    source = Files(kind="files", paths=["*"], **own._asdict())
    cfg = CorpusSlice(study="x", corpus="x", seed=0, source=source, **largest._asdict())
    pairs = zip(sample.digests, sample.sizes, strict=True)
    inside = [size for digest, size in pairs if split(digest, cfg) == name]
    return len(inside), int(SURE * sum(inside) / token_bytes)


def _shares(sample: Sample, token_bytes: float, context: int, swept: bool) -> Shares:
    """The smallest shares that hold out enough."""

    def enough(name: str, documents: int, tokens: int, shares: Sequence[float]) -> float:
        """The first share that gives these; the last one where none does."""
        for share in shares:
            own = Shares(share, 0.01) if name == "validation" else Shares(0.01, share)
            found = _held(sample, token_bytes, name, own, own)
            if found[0] >= documents and found[1] >= tokens:
                break
        return share

    wanted = round(1.4 * PROBE)
    validation = enough("validation", 20, wanted, [n / 100 for n in range(5, 21)])
    own = Shares(validation, 0.01)
    if _held(sample, token_bytes, "validation", own, own)[0] < 12:
        validation = enough("validation", 12, 2 * context, [n / 100 for n in range(21, 36)])
    blocks = 40 * context if swept else 2 * context
    return Shares(validation, enough("selection", 2, blocks, [n / 100 for n in range(2, 16)]))


def rounded(number: float) -> int:
    """Down to two digits: 1,234,567 → 1,200,000."""
    step = 10 ** max(0, floor(log10(number)) - 1)
    return int(number // step * step)
