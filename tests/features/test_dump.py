"""A dump comes back as it was written, and says what is wrong with it if not.

Rows that grow on the disk, in a spool, give the bytes of the same rows in memory.
"""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from featflow.artifacts.io import ArtifactError, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.features import dump
from featflow.features.dump import SPOOLED, Spool
from featflow.files import WriteError
from featflow.plan.slices import Windows
from featflow.plan.stages.features import FeaturesSlice
from tests.features import dense


@pytest.fixture(scope="module")
def provenance() -> Provenance:
    windows = Windows(window=4, context="truncated", context_length=64)
    cfg = FeaturesSlice(
        study="tiny", model="base", sae="main", hook='a "hook" with ü', corpora=["text"],
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


def drawn(seed: int, rows: int, features: int, density: float) -> dump.Dump:
    rng = np.random.default_rng(seed)
    kept = rng.random((rows, features)) < density
    matrix = csr_array((rng.random((rows, features)) * kept).astype(np.float32))
    return dump.Dump(matrix, np.cumsum(rng.integers(1, 9, rows)))


def fill(into: Spool, whole: dump.Dump, start: int, size: int) -> None:
    """Add the rows from `start` on, so many at a time."""
    for first in range(start, len(whole.positions), size):
        rows = slice(first, first + size)
        into.add(dense.codes(whole.activations[rows].toarray()), whole.positions[rows])


def same(found: Spool, whole: dump.Dump, folder: Path, provenance: Provenance) -> None:
    """The file's bytes, and the rows that are read back."""
    found.write(folder / "spooled.safetensors", provenance)
    dump.write(folder / "plain.safetensors", whole, provenance)
    written = (folder / "spooled.safetensors").read_bytes()
    assert written == (folder / "plain.safetensors").read_bytes()
    parts, matrix = list(found.parts()), whole.activations
    assert sum(len(part.positions) for part in parts) == len(whole.positions)
    for name, expected in (
        ("indices", matrix.indices),
        ("values", matrix.data),
        ("positions", whole.positions),
    ):
        back = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(back, expected)
    counts = np.concatenate([np.diff(part.indptr) for part in parts])
    np.testing.assert_array_equal(counts, np.diff(matrix.indptr))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, 2**32), st.integers(1, 50), st.integers(1, 9), st.integers(1, 20),
    st.sampled_from([0.0, 0.2, 1.0]), st.integers(1, 30),
)  # fmt: skip
def test_the_same_bytes_as_from_memory(
    tmp_path, monkeypatch, provenance, seed, rows, features, size, density, at_a_time
):
    """Rows on which nothing fires, one feature, nothing at all."""
    monkeypatch.setattr(dump, "ROWS_AT_ONCE", at_a_time)
    whole = drawn(seed, rows, features, density)
    found = Spool(tmp_path, "x", features)
    fill(found, whole, 0, size)
    assert (found.rows, found.pairs) == (rows, whole.activations.nnz)
    same(found, whole, tmp_path, provenance)


def test_what_is_behind_the_note_is_cut_off(tmp_path, provenance):
    whole = drawn(0, 40, 9, 0.3)
    first = Spool(tmp_path, "x", 9)
    fill(first, dump.Dump(whole.activations[:20], whole.positions[:20]), 0, 5)
    noted = first.note()
    fill(first, whole, 20, 5)
    second = Spool(tmp_path, "x", 9, *noted)
    assert second.rows == 20
    fill(second, whole, 20, 7)
    same(second, whole, tmp_path, provenance)


@pytest.mark.parametrize("part", SPOOLED)
def test_where_rows_were_lost_it_begins_again(tmp_path, provenance, part):
    whole = drawn(0, 40, 9, 0.3)
    first = Spool(tmp_path, "x", 9)
    fill(first, whole, 0, 5)
    noted = first.note()
    with open(tmp_path / f"x.{part}", "r+b") as file:
        file.truncate(30)
    second = Spool(tmp_path, "x", 9, *noted)
    assert second.rows == second.pairs == 0
    fill(second, whole, 0, 7)
    same(second, whole, tmp_path, provenance)
    second.delete()
    assert not list(tmp_path.glob("x.*"))


def test_a_full_disk_is_said_with_what_helps(tmp_path):
    found = Spool(tmp_path, "x", 9)
    (tmp_path / "x.indices").unlink()
    (tmp_path / "x.indices").symlink_to("/dev/full")
    with pytest.raises(WriteError, match=r"x\.indices: no space .* set FEATFLOW_CHECKPOINTS"):
        fill(found, drawn(0, 5, 9, 0.5), 0, 5)


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch, provenance):
    monkeypatch.setattr(dump, "ROWS_AT_ONCE", 500)
    batch, found = drawn(0, 500, 40, 0.5), Spool(tmp_path, "x", 40)
    codes, peaks = dense.codes(batch.activations.toarray()), []
    for count in (20, 100):  # the first one, too, has more than any buffer
        tracemalloc.start()
        for turn in range(count):
            found.add(codes, batch.positions + turn)
        assert sum(len(part.positions) for part in found.parts()) == found.rows
        found.write(tmp_path / "x.safetensors", provenance)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "x.safetensors").stat().st_size > 8_000_000
    assert peaks[1] < 1.2 * peaks[0] + 100_000
