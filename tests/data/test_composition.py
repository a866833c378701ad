"""What a probe is made of, against counts by hand; what corpora share."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance
from featflow.data.composition import Part, composition, in_common, shared, warnings
from featflow.data.documents import writer
from featflow.data.sources import Document
from featflow.plan.slices import ProbeRows, Windows
from featflow.plan.stages.data import TokensSlice

WINDOWS = Windows(window=4, context="full", context_length=16)
PROVENANCE = Provenance("tokens", TokensSlice(study="s", corpus="c", split="validation"))


def probe(tokens: int, seed: int = 0) -> ProbeRows:
    return ProbeRows(corpora=["c"], windows=WINDOWS, tokens_per_corpus=tokens, blocks_seed=seed)


def write(folder, sizes: dict[str, list[int]], first: int = 0):
    """Documents of so many tokens, source after source, and their stream."""
    folder.mkdir(parents=True, exist_ok=True)
    of = [(source, size) for source, some in sizes.items() for size in some]
    with writer(folder / "d.parquet", PROVENANCE) as file:
        for i, (source, _) in enumerate(of, first):
            file.add(Document(f"text {i}", source, ""), 6, i)
    starts = np.cumsum([0, *(size for _, size in of)])
    ids = np.arange(starts[-1], dtype=np.int32)
    save_file({"input_ids": ids, "document_starts": starts[:-1]}, folder / "t.safetensors")
    return folder / "d.parquet", folder / "t.safetensors"


def test_shares_are_those_counted_token_by_token(tmp_path):
    sizes = {"a": [30] * 20, "b": [7] * 60, "c": [300]}
    documents, tokens = write(tmp_path, sizes)
    found = composition("c", documents, tokens, probe(12 * 20, seed=3))
    total = 600 + 420 + 300
    order = np.random.default_rng(3).permutation(total // 16)[:20]
    source = np.repeat(["a", "b", "c"], [600, 420, 300])
    read = source[(order[:, None] * 16 + np.arange(4, 16)).ravel()]
    expected = [
        Part("c", s, len(sizes[s]), np.mean(source == s), np.mean(read == s)) for s in "abc"
    ]
    for one, other in zip(found, expected, strict=True):
        assert one[:3] == other[:3]
        assert one[3:] == pytest.approx(other[3:])


def test_what_is_missing_or_too_much_is_said():
    parts = [
        Part("c", "even", 9, 0.4, 0.4),
        Part("c", "much", 9, 0.3, 0.41),
        Part("c", "gone", 9, 0.3, 0.0),
        Part("c", "rest", 9, 0.02, 0.19),
        Part("c", "tiny", 9, 0.005, 0.0),
    ]
    first, second = warnings(parts)
    assert first.startswith("c: much is 41% of the probe and 30% of the validation split")
    assert second.startswith("c: the probe has nothing of gone, which is 30%")
    assert warnings([Part("c", "x", 1, 0.3, 0.39)]) == []


def test_files_of_other_documents_are_refused(tmp_path):
    documents, _ = write(tmp_path / "one", {"a": [30] * 20})
    _, tokens = write(tmp_path / "two", {"a": [30] * 21})
    with pytest.raises(ArtifactError, match=r"d\.parquet: .*20 documents.*21"):
        composition("c", documents, tokens, probe(100))


def test_documents_in_common_are_counted_by_pair(tmp_path):
    files = {
        name: [write(tmp_path / f"{name}{i}", {"s": [5] * 10}, first)[0] for i, first in
               enumerate(firsts)]
        for name, firsts in {"a": [0, 20], "b": [7], "c": [100]}.items()
    }  # fmt: skip
    [pair] = found = shared(files)
    assert pair == ("a", "b", 3)
    assert in_common(found)[0].startswith("a and b have 3 documents in common")
