"""Arrays in files without names, mapped tensors, and how much memory there is."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from featflow.artifacts.mapping import map_tensors
from featflow.artifacts.reading import ArtifactError
from featflow.files import WriteError
from featflow.runtime import memory, scratch


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATFLOW_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("FEATFLOW_SCRATCH_BYTES", "100")
    return tmp_path / "checkpoints"


def anonymous() -> int:
    """Bytes of this process that are no file's."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("RssAnon"))


def test_large_arrays_are_mapped_from_files_that_have_no_name(folder):
    small, large = scratch.empty(24, np.float32), scratch.empty(25, np.float32)
    assert not folder.is_dir() or list(folder.iterdir()) == []
    large[:] = np.arange(25)
    assert small.base is None and isinstance(large.base, np.memmap) and type(large) is np.ndarray
    assert large.sum() == 300 and list(folder.iterdir()) == []


def test_their_memory_is_no_more_the_process_s_own(folder):
    before = anonymous()
    in_a_file, in_memory = scratch.empty(2**24, np.float32), np.empty(2**24, np.float32)
    in_a_file[:] = 1
    assert anonymous() - before < 2**22
    in_memory[:] = 1
    assert anonymous() - before > 2**25


def test_what_is_written_piece_by_piece_is_read_as_one(folder):
    pieces = [np.arange(n, dtype=np.int32) for n in (3, 0, 100, 1)]
    with scratch.Writer() as writer, scratch.Writer() as empty:
        for piece in pieces:
            writer.add(piece)
        found, nothing = writer.array(np.int32), empty.array(np.float32)
    np.testing.assert_array_equal(found, np.concatenate(pieces))
    assert found.dtype == np.int32 and nothing.shape == (0,)
    np.testing.assert_array_equal(scratch.joined(pieces), found)
    assert scratch.joined([found]) is found


@pytest.mark.parametrize("count", [0, 1, 9, 1000])
def test_what_comes_in_pieces_is_one_array_in_memory_or_in_a_file(folder, count):
    pieces = [np.arange(n, dtype=np.int32) for n in [3] * count]
    found = scratch.gathered(iter(pieces), np.int32)
    np.testing.assert_array_equal(found, np.tile(np.arange(3), count))
    assert found.dtype == np.int32
    assert isinstance(found.base, np.memmap) == (12 * count >= scratch.limit())


def test_nothing_is_left_after_a_kill(folder):
    code = (
        "import os, signal, numpy as np; from featflow.runtime import scratch;"
        "a = scratch.empty(10**6, float); a[:] = 1; os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert folder.is_dir() and list(folder.iterdir()) == []


def test_a_full_disk_is_met_before_anything_is_written(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WriteError, match=r"no space is left.*FEATFLOW_CHECKPOINTS"):
        scratch.empty(1000, float)


def test_mapped_tensors_are_those_that_were_saved(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "t.safetensors"
    saved = {
        "a": rng.random((3, 4)).astype(np.float32), "b": np.arange(5), "none": np.empty((0, 2)),
        "odd": np.arange(3, dtype=np.uint8), "one": np.array(3.0),
        "flags": np.array([True, False]),
    }  # fmt: skip
    save_file(saved, path)
    found = map_tensors(path)
    assert found.keys() == saved.keys()
    for name, array in saved.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and type(found[name]) is np.ndarray
    assert list(map_tensors(path, "b", "a")) == ["b", "a"]
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = 1
    with pytest.raises(ArtifactError, match="no tensor c"):
        map_tensors(path, "a", "c")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ArtifactError, match="cannot be read"):
        map_tensors(path)
    with pytest.raises(ArtifactError, match="no such file"):
        map_tensors(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("line", "file", "limit"),
    [
        ("0::/job/step", "job/memory.max", 4096),
        ("0::/job/step", "job/step/memory.max", 4096),
        ("9:memory:/job", "memory/job/memory.limit_in_bytes", 4096),
        ("0::/job/step", "job/memory.max", None),
        ("3:cpu:/job", "job/memory.max", None),
    ],
)
def test_a_job_s_limit_counts_where_it_has_one(tmp_path, line, file, limit):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    groups, process = tmp_path / "cgroup", tmp_path / "process"
    process.write_text(line + "\n")
    (groups / file).parent.mkdir(parents=True)
    (groups / file).write_text("max\n" if limit is None else f"{limit}\n")
    assert memory.available(process, groups) == (limit or machine)
    assert memory.available(tmp_path / "no Linux", groups) == machine
    assert 0 < memory.available() <= machine
