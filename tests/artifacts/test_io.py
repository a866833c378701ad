"""Writing is atomic and repeatable; reading says what is wrong and what to do."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from featflow.artifacts import io
from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import KEY, Provenance, digest, named
from featflow.config.errors import FeatflowError
from featflow.plan.stages.data import TokensSlice

SLICE = TokensSlice(study="one", corpus="en", split="train")


@pytest.fixture
def provenance(tmp_path):
    source = tmp_path / "results" / "one" / "corpus" / "en" / "train.parquet"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"documents")
    return Provenance("tokens", SLICE, [source])


def test_tensors_round_trip_with_provenance_and_equal_bytes(tmp_path, provenance):
    tensors = {"b": np.arange(5), "a": np.ones((2, 3), np.float32)}
    for name in ("one", "two"):
        io.save_tensors(tmp_path / name, tensors, provenance)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    back = io.load_tensors(tmp_path / "one", "a", "b")
    assert all((back[key] == tensors[key]).all() for key in tensors)
    with safe_open(tmp_path / "one", "numpy") as file:
        said = json.loads(file.metadata()[KEY])
    assert said["stage"] == "tokens" and said["config"]["corpus"] == "en"
    assert list(said["inputs"]) == ["results/one/corpus/en/train.parquet"]
    assert str(tmp_path) not in json.dumps(said)


def test_tables_and_json_round_trip(tmp_path, provenance):
    table = pd.DataFrame({"feature": [1, 2], "r": [0.5, np.nan]})
    io.save_table(tmp_path / "t.parquet", table, provenance)
    io.save_table(tmp_path / "t.csv", table, provenance)
    for name in ("t.parquet", "t.csv"):
        pd.testing.assert_frame_equal(io.load_table(tmp_path / name), table)
    assert KEY.encode() in pq.read_schema(tmp_path / "t.parquet").metadata
    io.save_json(tmp_path / "t.json", {"loss": 1.5}, provenance)
    assert io.load_json(tmp_path / "t.json") == {"loss": 1.5}


def test_the_users_umask_decides_who_may_read(tmp_path, provenance):
    before = os.umask(0o027)
    try:
        io.save_tensors(tmp_path / "x", {"a": np.ones(3)}, provenance)
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(RuntimeError), io.written(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["x"] and path.read_text() == "old"


@pytest.mark.parametrize("kind", ["missing", "truncated", "foreign", "no key"])
def test_a_bad_tensor_file_is_named_with_the_remedy(tmp_path, provenance, kind):
    path = tmp_path / "results" / "one" / "tokens" / "en" / "train.safetensors"
    if kind != "missing":
        io.save_tensors(path, {"other": np.arange(100)}, provenance)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
    if kind == "foreign":
        path.write_bytes(b"PK\x03\x04 not tensors at all")
    with pytest.raises(ArtifactError) as error:
        io.load_tensors(path, "input_ids")
    assert str(path) in str(error.value)
    target = "results/one/tokens/en/train.safetensors"
    again = "" if kind == "missing" else f" --forcerun {target}"
    assert str(error.value).endswith(f"snakemake --profile local {target}{again}")


@pytest.mark.parametrize("content", [b"", b"PAR1 broken"])
def test_a_bad_table_is_named(tmp_path, content):
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"t\.parquet"):
        io.load_table(path)


def test_digest_of_a_folder_sees_content_and_names(tmp_path):
    (tmp_path / "a").write_text("1")
    before = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest(tmp_path) != before
    assert named(tmp_path / "b") == "b"


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), AssertionError(), RecursionError("too deep"), NotImplementedError("LZO")],
)
def test_whatever_a_library_raises_names_the_file(error):
    with pytest.raises(ArtifactError) as found, io.readable("results/one/x.safetensors"):
        raise error
    said = str(found.value)
    assert said.startswith(f"results/one/x.safetensors: cannot be read: {type(error).__name__}")
    assert "rebuild it with: snakemake" in said


def test_what_is_not_about_the_file_passes_through():
    for error in (MemoryError(), FeatflowError("a disk is full")):
        with pytest.raises(type(error)) as found, io.readable("x.json"):
            raise error
        assert found.value is error


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_json_that_is_nested_too_deeply_is_told(tmp_path, opening):
    path = tmp_path / "deep.json"
    path.write_text(opening * 10_000 + "1" + {"[": "]"}.get(opening, "}") * 10_000)
    for read in (io.load_json, io.load_provenance):
        with pytest.raises(
            ArtifactError, match=r"deep\.json: cannot be read: it is nested too deep"
        ):
            read(path)
