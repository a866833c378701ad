"""Rows that grow on the disk, against the same rows in memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from featflow.artifacts.provenance import Provenance
from featflow.features import dump, spool
from featflow.features.spool import TYPES, Spool
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
    monkeypatch.setattr(spool, "ROWS", at_a_time)
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


@pytest.mark.parametrize("part", TYPES)
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
    monkeypatch.setattr(spool, "ROWS", 500)
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
