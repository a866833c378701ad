"""The parquet of documents: what is written is read, in bounded pieces, or not at all."""

import json

import pyarrow.parquet as pq
import pytest

from featflow.artifacts.io import ArtifactError
from featflow.data import documents


def test_round_trip_in_several_row_groups_and_batches(tmp_path, monkeypatch, write):
    monkeypatch.setattr(documents, "GROUP_BYTES", 100)
    monkeypatch.setattr(documents, "BATCH_CHARACTERS", 30)
    texts = [f"dokument {i} é\n" * (i % 5 + 1) for i in range(40)]
    path = tmp_path / "train.parquet"
    write(path, texts)
    batches = list(documents.batches(path))
    assert [text for batch in batches for text in batch] == texts
    assert len(batches) > 5
    assert all(sum(map(len, batch[:-1])) < 30 for batch in batches)
    file = pq.ParquetFile(path)
    assert file.num_row_groups > 5
    assert file.schema_arrow.names == ["text", "source", "origin", "hash"]
    assert file.read()["origin"].to_pylist() == [f"file:{i}" for i in range(40)]


def test_the_file_carries_its_provenance(tmp_path, write):
    path = tmp_path / "train.parquet"
    write(path, ["a"])
    found = json.loads(pq.read_schema(path).metadata[b"featflow"])
    assert (found["study"], found["stage"]) == ("s", "corpus")
    assert found["config"]["source"]["language"] == "lua"


def test_no_document_is_a_readable_file(tmp_path, write):
    write(tmp_path / "empty.parquet", [])
    assert list(documents.batches(tmp_path / "empty.parquet")) == []


def test_a_failure_leaves_no_file_and_the_old_one_untouched(tmp_path, write):
    def failing():
        yield "new"
        raise RuntimeError

    path = tmp_path / "train.parquet"
    write(path, ["old"])
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        write(path, failing())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really", None])
def test_a_foreign_or_missing_file_is_named(tmp_path, content):
    path = tmp_path / "train.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"train\.parquet"):
        list(documents.batches(path))


def test_a_truncated_file_is_named(tmp_path, write):
    path = tmp_path / "train.parquet"
    write(path, [f"text {i}" for i in range(100)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match=r"train\.parquet"):
        list(documents.batches(path))


def test_another_table_is_no_parquet_of_documents(tmp_path):
    import pandas as pd

    pd.DataFrame({"step": [1]}).to_parquet(tmp_path / "training.parquet")
    with pytest.raises(ArtifactError, match="no column source, text"):
        list(documents.batches(tmp_path / "training.parquet"))
