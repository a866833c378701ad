"""A spoilt file of every kind: found by the next stage that reads it, and by `featflow verify`.

The tiny study is built once; each test spoils one file of a copy. Stages run in this process, by
the commands that Snakemake's dry run prints.
"""

import os
import re
import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from featflow.artifacts import digests
from featflow.cli import main
from featflow.commands import planned
from featflow.plan import paths
from featflow.plan.names import TEMPLATES, parsed, target
from featflow.runtime.log import log
from tests.workflow.conftest import snakemake

pytestmark = pytest.mark.workflow

BESIDE = (
    "results/tiny/tokenizer/provenance.json",
    "results/tiny/models/merged/tokenizer.json",
    "results/tiny/models/lua/tokenizer_config.json",
    "results/tiny/models/base/model.safetensors",
)
"""What stages write beside their targets."""

UNREAD = (paths.REPORT, paths.EXPLORER, paths.SCALING, paths.FLOW_SHARES)
"""What no stage reads (of figures the JSON is read)."""

KINDS = [t for t in TEMPLATES if t not in UNREAD]


@pytest.fixture(scope="module")
def copy(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(tiny / "results", folder / "results")
    shutil.copy(tiny / "workflow_config.yaml", folder)
    return folder


@pytest.fixture(scope="module")
def commands(tiny) -> list[tuple[planned.Job, list[str]]]:
    """Every job of the study, and its command's words behind `featflow`."""
    done = snakemake(tiny, "--profile", "local", "-n", "-p", "--forceall", "--quiet", "host")
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    found = {}
    for words in map(
        shlex.split, re.findall(r"^Shell command: (.* -m featflow .*)$", printed, re.M)
    ):
        words = words[words.index("featflow") + 1 :]
        found[words[words.index("--log") + 1]] = words
    logs = re.findall(r"^    log: (.*)$", printed, re.M)
    jobs = planned.read(printed)
    assert len(jobs) == len(logs) == len(found) > 40
    return [(job, found[name]) for job, name in zip(jobs, logs, strict=True)]


@pytest.fixture(autouse=True)
def _here(copy, monkeypatch):
    monkeypatch.chdir(copy)
    monkeypatch.setenv("FEATFLOW_DEVICE", "cpu")
    handlers, propagate = log.handlers, log.propagate
    yield
    log.handlers, log.propagate = handlers, propagate


@contextmanager
def spoilt(path: Path, how: str):
    """A file with one bit flipped in its middle, or cut; its times are as before."""
    stat, content = path.stat(), path.read_bytes()
    bad = bytearray(content if how == "flipped" else content[: len(content) * 3 // 5])
    if how == "flipped":
        bad[len(bad) // 2] ^= 1
    path.write_bytes(bad)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def a_file(template: str) -> Path:
    """One file of a kind: of figures the one that is read, of models and SAEs the root's."""
    files = sorted(p for p in Path("results/tiny").rglob("*") if p.is_file())
    of_kind = [p for p in files if (found := parsed(p.as_posix())) and found.template == template]
    read = [p for p in of_kind if template != paths.FIGURE or p.suffix == ".json"]
    if template == paths.MATRIX:  # of reseeds only the matches are read
        read = [p for p in read if "reseed" not in str(p)]
    assert read, template
    return read[0]


def reader(path: Path, commands) -> list[str]:
    """The first command that reads a file, by itself or with its folder."""
    handle = target(path.as_posix())
    for job, words in commands:
        if path.parent.name == "tokenizer" and path.as_posix() != handle and job.stage != "report":
            continue  # the report alone reads provenance.json
        if {path.as_posix(), handle} & set(job.inputs):
            return words
    raise AssertionError(f"no stage reads {path}")


@pytest.mark.parametrize("how", ["flipped", "truncated"])
@pytest.mark.parametrize("name", [*KINDS, *BESIDE])
def test_what_is_spoilt_is_found_by_its_reader(copy, commands, capsys, name, how):
    path = Path(name) if name in BESIDE else a_file(name)
    rebuilt = target(path.as_posix())
    with spoilt(path, how), pytest.raises(SystemExit) as end:
        main(reader(path, commands))
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert f"{path}: cannot be read: it is not what its stage wrote (SHA-256 differs)" in said
    assert f"rebuild it with: snakemake --profile local {rebuilt} --forcerun {rebuilt}\n" in said
    assert digests.recorded(path) == digests.sha256(path)  # it was the file, and is whole again


@pytest.mark.parametrize("how", ["flipped", "truncated"])
@pytest.mark.parametrize("name", [*TEMPLATES, *BESIDE])
def test_what_is_spoilt_is_found_by_verify(copy, capsys, name, how):
    path = Path(name) if name in BESIDE else a_file(name)
    rebuilt = target(path.as_posix())
    with spoilt(path, how), pytest.raises(SystemExit) as end:
        main(["verify"])
    said = capsys.readouterr().out
    assert end.value.code == 1 and said.count(str(path)) == (3 if rebuilt == str(path) else 1)
    assert re.search(rf"^{re.escape(str(path))}: (changed|truncated)", said, re.M)
    assert f"snakemake --profile local {rebuilt} --forcerun {rebuilt}\n" in said
    assert re.search(r"^study tiny: \d+ files, \d+ MB: 1 broken$", said, re.M)


def test_a_whole_study_is_one_line(copy, capsys):
    main(["verify", "tiny"])
    assert re.fullmatch(
        r"study tiny: \d+ files, \d+ MB: nothing is broken\n", capsys.readouterr().out
    )
    files = [p for p in Path("results/tiny").rglob("*") if p.is_file()]
    of_digests = [p for p in files if digests.FOLDER in p.parts]
    assert len(files) == 2 * len(of_digests)  # every artifact has its digest, and nothing else


def swap(one: Path, other: Path) -> None:
    one.rename("swapped")
    other.rename(one)
    Path("swapped").rename(other)


@pytest.mark.parametrize("digests_too", [False, True])
@pytest.mark.parametrize(
    ("template", "one", "other"),
    [
        (paths.EVALUATE, {"model": "lua"}, {"model": "more"}),
        (paths.SAE, {"model": "lua", "sae": "main"}, {"model": "more", "sae": "main"}),
        (
            paths.ACTIVATIONS,
            {"model": "lua", "hook": "blocks.0.mlp.hook_post", "shard": 0},
            {"model": "more", "hook": "blocks.0.mlp.hook_post", "shard": 0},
        ),
        (
            paths.TOKENS,
            {"corpus": "lua", "split": "validation"},
            {"corpus": "python", "split": "validation"},
        ),
    ],
    ids=["evaluate", "sae", "activations", "tokens"],
)
def test_files_exchanged_are_found(copy, commands, capsys, template, one, other, digests_too):
    a, b = (Path(template.at(study="tiny", **names)) for names in (one, other))
    pairs = [(a, b), (digests.record_of(a), digests.record_of(b))][: 1 + digests_too]
    for pair in pairs:
        swap(*pair)
    try:
        with pytest.raises(SystemExit):
            main(reader(a, commands))
        of_reader = capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["verify"])
        of_verify = capsys.readouterr().out
    finally:
        for pair in pairs:
            swap(*pair)
    key = "corpus" if "corpus" in one else "model"
    words = f"it is of {key} {other[key]}" if digests_too else f"it is {b}"
    assert f"{a}: foreign: {words}\n" in of_verify
    assert (f"it is of {key} " if digests_too else "SHA-256 differs") in of_reader


def test_an_sae_of_another_version_of_its_model(copy, commands, capsys):
    """The model was trained again meanwhile, and is whole: its SAE is of the old one."""
    config = Path(paths.MODEL.at(study="tiny", model="lua"))
    sae = Path(paths.SAE.at(study="tiny", model="lua", sae="main"))
    words = next(words for job, words in commands if job.label == "features lua/main")
    before = {path: path.read_bytes() for path in (config, digests.record_of(config))}
    config.write_text(config.read_text() + "\n")
    digests.record(config, config)
    try:
        with pytest.raises(SystemExit):
            main(words)
        main(["verify"])
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    said = capsys.readouterr()
    assert f"{sae}: it was made from another {config.parent} than the one that is there" in said.err
    assert f"snakemake --profile local {sae} --forcerun {sae}\n" in said.err
    assert f"note: made from another {config.parent} than is there: " in said.out
