"""The tokens stage against encoding one document after another."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from featflow.artifacts.io import ArtifactError, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.data import documents, tokens
from featflow.data.tokenizer import load
from featflow.plan.stages.data import TokensSlice
from featflow.runtime.log import log

TEXTS = ["the cat", "é 日本", "a <s> in HTML </s>", "x" * 50, "1024 == 1", "sat on the mat " * 9]


@pytest.fixture
def run(tmp_path, tokenizer_file, write):
    """Run the stage on some texts and read what it wrote."""

    def stage(texts=TEXTS, limit=None, split="train") -> tokens.Tokens:
        cfg = TokensSlice(study="s", corpus="lua", split=split, tokens=limit)
        output = tmp_path / f"{split}.safetensors"
        source = write(tmp_path / f"{split}.parquet", texts)
        tokens.run(cfg, documents=source, tokenizer=tokenizer_file, output=output)
        return tokens.read(output)

    return stage


def by_hand(texts, tokenizer_file) -> tuple[list[int], list[int]]:
    """Ids and starts; a special token that a text spells out is text."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.encode_special_tokens = True
    ids: list[int] = []
    starts: list[int] = []
    for text in texts:
        starts.append(len(ids))
        ids += [0, *tokenizer.encode(text, add_special_tokens=False).ids]
    return ids, starts


@pytest.mark.parametrize("characters", [1, 30, 10_000])
def test_stream_and_starts_are_those_of_one_document_at_a_time(
    run, tokenizer_file, monkeypatch, characters
):
    monkeypatch.setattr(documents, "BATCH_CHARACTERS", characters)
    found = run()
    ids, starts = by_hand(TEXTS, tokenizer_file)
    assert found.ids.tolist() == ids
    assert found.document_starts.tolist() == starts


def test_documents_come_back_and_a_written_s_begins_none(run, tokenizer_file):
    found = run()
    tokenizer = load(tokenizer_file)
    ends = [*found.document_starts[1:], len(found.ids)]
    for text, start, end in zip(TEXTS, found.document_starts, ends, strict=True):
        assert (
            tokenizer.decode(found.ids[start + 1 : end].tolist(), skip_special_tokens=False) == text
        )
    assert np.flatnonzero(found.ids == 0).tolist() == found.document_starts.tolist()


def test_dtypes_keys_and_provenance(run, tmp_path):
    run()
    with safe_open(tmp_path / "train.safetensors", framework="numpy") as file:
        assert {key: file.get_tensor(key).dtype for key in file.keys()} == {  # noqa: SIM118
            "input_ids": np.int32,
            "document_starts": np.int64,
        }
        provenance = json.loads(file.metadata()["featflow"])
    assert provenance["stage"] == "tokens"
    assert set(provenance["inputs"]) == {"train.parquet", "tokenizer.json"}


def test_every_limit_cuts_the_same_stream(write, tmp_path, tokenizer_file, monkeypatch):
    monkeypatch.setattr(documents, "BATCH_CHARACTERS", 20)
    write(tmp_path / "all.parquet", TEXTS)
    ids, starts = by_hand(TEXTS, tokenizer_file)
    tokenizer = load(tokenizer_file)
    for limit in range(1, len(ids) + 3):
        found = tokens.encode(documents.batches(tmp_path / "all.parquet"), tokenizer, limit)
        assert found.ids.tolist() == ids[:limit]
        assert found.document_starts.tolist() == [start for start in starts if start < limit]


@pytest.mark.parametrize("scratch_bytes", ["1", "1000000"])
def test_the_file_is_that_of_safetensors(tmp_path, monkeypatch, tokenizer_file, scratch_bytes):
    monkeypatch.setenv("FEATFLOW_SCRATCH_BYTES", scratch_bytes)
    monkeypatch.chdir(tmp_path)
    found = tokens.encode([TEXTS, TEXTS], load(tokenizer_file))
    provenance = Provenance("tokens", TokensSlice(study="x", corpus="c", split="train"))
    tokens.write(tmp_path / "own.safetensors", found, provenance)
    arrays = {"input_ids": found.ids, "document_starts": found.document_starts}
    save_tensors(tmp_path / "theirs.safetensors", arrays, provenance)
    own, theirs = (tmp_path / f"{name}.safetensors" for name in ("own", "theirs"))
    assert own.read_bytes() == theirs.read_bytes()
    assert found.ids.tolist() == by_hand([*TEXTS, *TEXTS], tokenizer_file)[0]


def test_a_limit_ends_the_reading(tokenizer_file):
    def endless():
        yield ["the cat sat on the mat"] * 10
        raise AssertionError("read too far")

    assert len(tokens.encode(endless(), load(tokenizer_file), 20).ids) == 20


def test_a_shortage_is_reported_with_its_figures(run, tokenizer_file, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)
    total = len(by_hand(TEXTS, tokenizer_file)[0])
    run(limit=total)
    assert "asked for" not in caplog.text
    run(limit=1_000_000)
    expected = f"studies.s.corpora.lua.tokens: asked for 1,000,000 tokens, the corpus has {total:,}"
    assert expected in caplog.text


def test_no_documents_is_an_error_that_names_the_file(run, tmp_path):
    with pytest.raises(FeatflowError, match=r"selection\.parquet: no documents"):
        run(texts=[], split="selection")
    assert not (tmp_path / "selection.safetensors").exists()


def test_the_mapped_ids_may_be_written_and_the_file_stays(run, tmp_path):
    found = run()
    before = (tmp_path / "train.safetensors").read_bytes()
    found.ids[:] = -1
    assert (tmp_path / "train.safetensors").read_bytes() == before
    assert isinstance(found.ids, np.memmap)


def test_a_foreign_or_truncated_file_is_named(run, tmp_path):
    run()
    path = tmp_path / "train.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match=r"train\.safetensors"):
        tokens.read(path)
    with pytest.raises(ArtifactError, match=r"train\.parquet: cannot be read"):
        tokens.read(tmp_path / "train.parquet")
