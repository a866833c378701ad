"""What the probe is made of: how much of it each source of a corpus has, beside the whole split.

And which documents several corpora of a study have in common.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from featflow.artifacts.io import readable
from featflow.data.tokens import read
from featflow.data.windows import drawn, layout
from featflow.plan.slices import ProbeRows

MINOR = 0.01
"""The share of a split under which a source that the probe lacks is not named."""
LARGE = 0.05
"""The share of a split from which on a source that the probe has too much of is named: of smaller
ones a few blocks decide."""
TOO_MUCH = 4 / 3
"""How many times its share of the split a source may have of the probe."""
AT_ONCE = 4096
"""Blocks that are looked up at once: bounds the memory."""


class Part(NamedTuple):
    """What one source has of a corpus."""

    corpus: str
    source: str
    documents: int
    """Of the validation split."""
    split: float
    """Its share of the split's tokens."""
    probe: float
    """Its share of the probe's."""


def composition(corpus: str, documents: Path, tokens: Path, probe: ProbeRows) -> list[Part]:
    """The sources of a corpus, the largest first.

    Args:
        corpus: its name.
        documents: the documents of its validation split.
        tokens: their tokens.
        probe: which of them the probe reads.

    Raises:
        ArtifactError: when a file is missing or foreign, or the two are not of one another.
    """
    ids, starts = read(tokens)
    with readable(documents):
        found = pq.read_table(documents, columns=["source"])["source"].to_numpy()
        if len(found) != len(starts):
            raise ValueError(f"it has {len(found)} documents, {tokens} has {len(starts)}")
    names, of_document = np.unique(found.astype(str), return_inverse=True)
    in_split = np.bincount(of_document, np.diff(starts, append=len(ids)), len(names))
    in_probe = np.zeros(len(names))
    for positions in _positions(len(ids), probe):
        document = np.searchsorted(starts, positions, side="right") - 1
        in_probe += np.bincount(of_document[document], minlength=len(names))
    parts = [
        Part(corpus, *values)
        for values in zip(
            names.tolist(),
            np.bincount(of_document).tolist(),
            (in_split / in_split.sum()).tolist(),
            (in_probe / max(in_probe.sum(), 1)).tolist(),
            strict=True,
        )
    ]
    return sorted(parts, key=lambda part: (-part.split, part.source))


def _positions(tokens: int, probe: ProbeRows) -> Iterator[np.ndarray]:
    """Where the tokens of the probe's windows lie in a stream, block after block."""
    shape = layout(probe.windows)
    inside = np.arange(shape.block)[shape.kept(probe.windows.window)]
    wanted = probe.tokens_per_corpus // len(inside)
    blocks = drawn(tokens // shape.block, wanted, probe.blocks_seed)
    for start in range(0, len(blocks), AT_ONCE):
        yield (blocks[start : start + AT_ONCE, None] * shape.block + inside).ravel()


def warnings(parts: Sequence[Part]) -> list[str]:
    """What of the sources is not as in the whole split, a line each."""
    lines = []
    for part in parts:
        if not part.probe and part.split >= MINOR:
            lines.append(
                f"{part.corpus}: the probe has nothing of {part.source}, which is "
                f"{part.split:.0%} of the validation split; raise probe.tokens_per_corpus"
            )
        elif part.split >= LARGE and part.probe > TOO_MUCH * part.split:
            lines.append(
                f"{part.corpus}: {part.source} is {part.probe:.0%} of the probe and "
                f"{part.split:.0%} of the validation split; raise probe.tokens_per_corpus"
            )
    return lines


class Shared(NamedTuple):
    """Documents that two corpora have in common."""

    a: str
    b: str
    documents: int


def shared(corpora: Mapping[str, Sequence[Path]]) -> list[Shared]:
    """The pairs of corpora with documents in common, by the hashes of their texts.

    Args:
        corpora: of each the documents of all splits.

    Raises:
        ArtifactError: when a file is missing or foreign.
    """
    hashes = {name: _hashes(files) for name, files in corpora.items()}
    found = [
        Shared(a, b, len(np.intersect1d(hashes[a], hashes[b], assume_unique=True)))
        for a, b in combinations(hashes, 2)
    ]
    return [pair for pair in found if pair.documents]


def _hashes(files: Sequence[Path]) -> np.ndarray:
    parts = []
    for file in files:
        with readable(file):
            parts.append(pq.read_table(file, columns=["hash"])["hash"].to_numpy())
    return np.unique(np.concatenate(parts))


def in_common(pairs: Sequence[Shared]) -> list[str]:
    """The same in words, a line each."""
    return [
        f"{a} and {b} have {count:,} documents in common: each is in the same split of both, or "
        "left out of one's training"
        for a, b, count in pairs
    ]
