"""Digests of artifacts: recorded by whoever writes, compared by whoever reads."""

import errno
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from featflow.artifacts import digests, io, producers
from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance, digest
from featflow.files import WriteError
from featflow.plan import names
from featflow.plan.stages.data import TokensSlice

TOKENS = "results/one/tokens/en/train.safetensors"
RECORD = "results/one/.sha256/tokens/en/train.safetensors.sha256"


def provenance(corpus: str = "en", inputs: list[Path] | None = None) -> Provenance:
    return Provenance("tokens", TokensSlice(study="one", corpus=corpus, split="train"), inputs)


def save(path: Path, value: int = 1, **of) -> Path:
    io.save_tensors(path, {"x": np.full(1000, value)}, provenance(**of))
    return path


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files(folder: str = ".") -> list[str]:
    return sorted(p.as_posix() for p in Path(folder).rglob("*") if p.is_file())


def test_sha256sum_itself_checks_a_study():
    save(Path(TOKENS))
    io.save_json(Path("results/one/evaluate/a.json"), {"loss": 1}, provenance())
    records = "".join(Path(f).read_text() for f in files("results/one/.sha256"))
    command = ["sha256sum", "--check", "--strict"]
    checked = subprocess.run(command, input=records, capture_output=True, text=True)
    assert checked.stdout == f"results/one/evaluate/a.json: OK\n{TOKENS}: OK\n"
    Path(TOKENS).write_bytes(b"other")
    assert subprocess.run(command, input=records, capture_output=True, text=True).returncode == 1


@pytest.mark.parametrize(
    "name",
    [
        "one/tokens/en/train.safetensors",
        "checkpoints/sae/000000001.safetensors",
        "results/one/.tokens/en/train.safetensors",
        "results/One/tokens/en/train.safetensors",
        "results/one/models/.lua.12.tmp/training.parquet",
        "results/one/train.safetensors",
        "results/scratch/checkpoints/a.safetensors",
    ],
)
def test_what_is_no_artifact_has_no_record(name):
    save(Path(name))
    assert files() == [name] and digests.recorded(Path(name)) is None


@pytest.mark.parametrize("root", ["", "/data/results/mine/"])
def test_a_record_and_its_artifact_name_each_other(root):
    path = Path(root, TOKENS)
    record = digests.record_of(path)
    assert record == Path(root, RECORD) and digests.artifact_of(record) == path


def flip(path: Path) -> None:
    """One bit in the middle, and the time as before."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_flipped_bit_is_found_by_the_next_stage_and_named_with_the_remedy():
    path = save(Path(TOKENS))
    provenance(inputs=[path])
    flip(path)
    with pytest.raises(ArtifactError) as error:
        provenance(inputs=[path])
    assert str(error.value) == (
        f"{TOKENS}: cannot be read: it is not what its stage wrote (SHA-256 differs); "
        f"rebuild it with: snakemake --profile local {TOKENS} --forcerun {TOKENS}"
    )
    save(path)
    provenance(inputs=[path])


def test_a_file_within_a_folder_is_rebuilt_by_the_folder_s_target():
    folder = Path("results/one/models/a")
    for name in ("config.json", "tokenizer.json"):
        io.save_json(folder / name, {}, provenance())
    before = digest(folder)
    (folder / ".config.json.7.tmp").write_text("of a killed job")
    assert digest(folder) == before
    flip(folder / "tokenizer.json")
    with pytest.raises(ArtifactError, match=r"a/tokenizer\.json: .* results/one/models/a/config"):
        provenance(inputs=[folder])


def test_what_has_no_record_is_accepted_and_a_damaged_record_is_not():
    path = save(Path(TOKENS))
    Path(RECORD).unlink()
    provenance(inputs=[path])
    for content in (b"", b"\xff\xfe", b"0" * 64 + b"  x\n"):
        Path(RECORD).write_bytes(content)
        with pytest.raises(ArtifactError, match="SHA-256 differs"):
            provenance(inputs=[path])


@pytest.mark.parametrize("at", [0, 1], ids=["before the record", "before the file"])
@pytest.mark.parametrize("there", [False, True], ids=["nothing there", "an old file there"])
def test_killed_between_the_renames(monkeypatch, at, there):
    """Never a whole file that nobody vouches for; and the same job again mends all."""
    path, rename, calls = Path(TOKENS), os.replace, []
    if there:
        save(path, 1)

    def killed(*names):
        calls.append(names)
        if len(calls) > at:
            raise KeyboardInterrupt
        rename(*names)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save(path, 2)
    assert path.exists() == there
    assert digests.recorded(path) is not None or not path.exists()
    if there and at == 0:  # nothing has happened yet
        provenance(inputs=[path])
    elif there:
        with pytest.raises(ArtifactError):
            provenance(inputs=[path])
    save(path, 2)
    provenance(inputs=[path])
    assert files() == [RECORD, TOKENS]


def test_a_disk_that_is_full_at_the_record_leaves_nothing(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WriteError, match="no space is left in results/one/tokens/en"):
        save(Path(TOKENS))
    assert files() == []


def test_files_exchanged_with_their_records_are_found_by_their_provenance():
    here, there = (Path(TOKENS.replace("/en/", f"/{corpus}/")) for corpus in ("en", "de"))
    save(here, 1, corpus="en")
    save(there, 2, corpus="de")
    for a, b in ((here, there), tuple(map(digests.record_of, (here, there)))):
        a.rename("x")
        b.rename(a)
        Path("x").rename(b)
    with pytest.raises(ArtifactError, match="it is of corpus de, by its own provenance"):
        provenance(inputs=[here])


def test_a_file_made_from_another_version_of_what_is_read_beside_it():
    source, path = save(Path(TOKENS)), Path("results/one/evaluate/a.json")
    io.save_json(path, {}, provenance(inputs=[source]))
    provenance(inputs=[source, path])
    save(source, 2)
    with pytest.raises(ArtifactError, match=f"a.json: it was made from another {TOKENS} than"):
        provenance(inputs=[source, path])
    newer = Path("results/one/evaluate/b.json")
    io.save_json(newer, {}, provenance(inputs=[source]))
    provenance(inputs=[source, newer])
    with pytest.raises(ArtifactError, match=r"b.json and .*a.json were made from different") as e:
        provenance(inputs=[path, newer])
    assert str(e.value).endswith(f"local {newer} {path} --forcerun {newer} {path}")


@pytest.mark.parametrize("template", names.TEMPLATES)
def test_every_template_is_told_from_the_others(template):
    given = {"study": "one", "a": "x.main", "b": "y.other", "hook": "blocks.0.hook", "shard": "3"}
    given |= {key: key for key in ("corpus", "split", "model", "sae", "figure", "format")}
    given |= {key: key for key in ("parent", "child", "case")}
    path = template.at(**given)
    found = names.parsed(path)
    assert found.template is template and template.at(**found.names) == path
    assert names.target(path) == path


def test_the_handle_of_a_folder_speaks_for_it():
    folder = Path("results/one/models/a")
    config = {"featflow": {"stage": "train", "config": {"model": "b"}, "inputs": {}}}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=r"a/config\.json: it is of model b"):
        provenance(inputs=[folder])


def test_files_of_corpora_come_in_the_order_of_the_slice():
    en, lua = (Path(f"results/one/tokens/{name}/train.safetensors") for name in ("en", "lua"))
    other = Path("results/one/models/lua/config.json")
    producers.check_order(["en", "lua"], [other, en, lua])
    producers.check_order([["lua"], ["en", "lua"]], [lua, en])
    producers.check_order({"en": "files"}, [lua, en])
    with pytest.raises(ArtifactError, match="of the corpora lua, en, the slice asks for en, lua"):
        producers.check_order(["en", "lua"], [other, lua, en])
    with pytest.raises(ArtifactError, match="of the corpora en, the slice"):
        producers.check_order(["en", "lua"], [en])
    dumps = [Path(f"results/one/features/a/main/{c}.safetensors") for c in ("en", "lua")]
    producers.check_order(["en", "lua"], [*dumps, *dumps, en, lua])
    with pytest.raises(ArtifactError, match="en, lua, lua, en"):
        producers.check_order(["en", "lua"], [*dumps, *dumps[::-1]])
