"""A dump comes back as it was written, and says what is wrong with it if not."""

import numpy as np
import pytest

from featflow.artifacts.io import ArtifactError, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.features import dump
from featflow.plan.slices import Windows
from featflow.plan.stages.features import FeaturesSlice


@pytest.fixture
def provenance() -> Provenance:
    windows = Windows(window=4, context="truncated", context_length=64)
    cfg = FeaturesSlice(
        study="tiny", model="base", sae="main", hook="h", corpora=["text"],
        windows=windows, tokens_per_corpus=100,
    )  # fmt: skip
    return Provenance("features", cfg)


def good() -> dict[str, np.ndarray]:
    return {
        "indptr": np.array([0, 2, 2, 3], np.int64),
        "indices": np.array([1, 4, 0], np.int32),
        "values": np.array([0.5, 2, 1], np.float32),
        "positions": np.array([3, 5, 8], np.int64),
    }


def test_round_trip_and_fixed_types(tmp_path, provenance):
    path = tmp_path / "text.safetensors"
    whole = dump.csr(*(good()[name] for name in ("indptr", "indices", "values")), 5)
    dump.write(path, dump.Dump(whole, good()["positions"]), provenance)
    found = dump.read(path, 5)
    dense = [[0, 0.5, 0, 0, 2], [0] * 5, [1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(found.activations.toarray(), dense)
    np.testing.assert_array_equal(found.positions, [3, 5, 8])
    assert found.activations.indices.dtype == np.int32  # scipy would have made it int64
    from safetensors.numpy import load_file

    for key, value in good().items():
        stored = load_file(path)[key]
        assert stored.dtype == value.dtype
        np.testing.assert_array_equal(stored, value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("indptr", np.array([0, 2, 3], np.int64), "indptr has 3 entries for 3 positions"),
        ("indptr", np.array([0, 3, 2, 3], np.int64), "indptr does not ascend"),
        ("indptr", np.array([1, 2, 2, 3], np.int64), "indptr does not ascend from 0"),
        ("indptr", np.array([0, 2, 2, 4], np.int64), "indptr ends at 4, with 3 indices"),
        ("indices", np.array([1, 5, 0], np.int32), "outside the SAE's 5 features"),
        ("indices", np.array([1, -1, 0], np.int32), "outside the SAE's 5 features"),
        ("indices", np.array([4, 1, 0], np.int32), "indices of a row do not ascend"),
        ("indices", np.array([1, 1, 0], np.int32), "indices of a row do not ascend"),
        ("values", np.array([0.5, np.nan, 1], np.float32), "an activation is not positive"),
        ("values", np.array([0.5, 0, 1], np.float32), "an activation is not positive"),
        ("positions", np.array([3, 3, 8], np.int64), "positions do not ascend"),
    ],
)
def test_what_is_no_dump_is_refused_by_name(tmp_path, provenance, key, value, message):
    path = tmp_path / "results" / "tiny" / "features" / "base" / "main" / "text.safetensors"
    save_tensors(path, {**good(), key: value}, provenance)
    with pytest.raises(ArtifactError, match=message) as error:
        dump.read(path, 5)
    target = "results/tiny/features/base/main/text.safetensors"
    assert str(path) in str(error.value)
    assert f"--forcerun {target}" in str(error.value)


def test_a_truncated_or_foreign_file_is_refused_by_name(tmp_path, provenance):
    path = tmp_path / "text.safetensors"
    save_tensors(path, good(), provenance)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match=r"text\.safetensors: cannot be read"):
        dump.read(path, 5)
    save_tensors(path, {"input_ids": np.zeros(3, np.int32)}, provenance)
    with pytest.raises(ArtifactError, match="it has no tensor"):
        dump.read(path, 5)
    with pytest.raises(ArtifactError, match="no such file"):
        dump.read(tmp_path / "absent.safetensors", 5)


def test_the_width_of_an_sae(tmp_path):
    (tmp_path / "cfg.json").write_text('{"d_sae": 12}')
    assert dump.d_sae(tmp_path) == 12
    (tmp_path / "cfg.json").write_text("{}")
    with pytest.raises(ArtifactError, match="d_sae"):
        dump.d_sae(tmp_path)
