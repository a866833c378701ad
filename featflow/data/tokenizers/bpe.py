"""A byte-level BPE, trained on the same number of bytes of each corpus it names.

Text is first cut as GPT-4's tokenizer cuts it, except that each digit stands alone: words with the
space before them, punctuation, line ends, and runs of white space, which code needs whole.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from featflow.config.tokenizers import Bpe
from featflow.data.documents import batches
from featflow.runtime.log import log

SPECIAL = ["<unk>", "<s>", "</s>"]
"""Ids 0, 1 and 2: the order of Mistral's tokenizer."""

PIECES = (
    r"'(?i:[sdmt]|ll|ve|re)"  # English clitics
    r"|[^\r\n\p{L}\p{N}]?\p{L}+"  # a word, with one character before it
    r"|\p{N}"  # a digit
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"  # punctuation
    r"|\s*[\r\n]+"  # line ends, and blank lines
    r"|\s+(?!\S)|\s+"  # white space, but for the one that goes with the next word
)


def build(cfg: Bpe, corpora: list[Path]) -> Tokenizer:
    """Train the tokenizer: the same files give the same tokenizer.

    Args:
        cfg: vocabulary and size of the sample.
        corpora: parquet of documents, one a corpus.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=cfg.vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(corpora, cfg.sample_bytes), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", SPECIAL.index("<s>"))]
    )
    if (size := tokenizer.get_vocab_size()) < cfg.vocabulary:
        log.warning("vocabulary: asked for %s, the sample yields %s", cfg.vocabulary, size)
    return tokenizer


class Cut(NamedTuple):
    """Where a sample ends in the hash order: the last document's hash, and its bytes that count."""

    last: bytes
    bytes: int


def sample(corpora: list[Path], size: int) -> Iterator[str]:
    """As many bytes of each corpus: `size`, or what the smallest corpus has.

    From each the documents that come first in the order of their hashes, the last one cut short.
    """
    sizes = [_sizes(path) for path in corpora]
    totals = [sum(length for _, length in documents) for documents in sizes]
    even = min(size, *totals)
    if even < size:
        limiting = corpora[totals.index(even)].parent.name
        log.warning("sample: %s bytes of each corpus, all that %s has", f"{even:,}", limiting)
    for path, documents in zip(corpora, sizes, strict=True):
        yield from _until(path, _cut(documents, even))


def _key(content: bytes) -> bytes:
    """The place of a document in the hash order: other bytes than those that chose its split."""
    return hashlib.sha256(content).digest()[8:24]


def _sizes(path: Path) -> list[tuple[bytes, int]]:
    """The hash and the UTF-8 bytes of each document."""
    contents = (text.encode() for batch in batches(path) for text in batch)
    return [(_key(content), len(content)) for content in contents]


def _cut(documents: list[tuple[bytes, int]], size: int) -> Cut:
    left = size
    for key, length in sorted(documents):
        if length >= left:
            return Cut(key, left)
        left -= length
    raise AssertionError("a corpus is sampled for more bytes than it has")


def _until(path: Path, cut: Cut) -> Iterator[str]:
    for batch in batches(path):
        for text in batch:
            content = text.encode()
            key = _key(content)
            if key < cut.last:
                yield text
            elif key == cut.last:
                yield content[: cut.bytes].decode(errors="ignore")  # not half a character
