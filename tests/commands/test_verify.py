"""A planted study with everything that can be wrong: each is named once, with what rebuilds it."""

import json
from pathlib import Path

import pytest

from featflow.artifacts import digests, io
from featflow.artifacts.provenance import Provenance
from featflow.commands.integrity import whole
from featflow.commands.verify import told, verify
from featflow.config import FeatflowError
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from tests.workflow.conftest import ROOT


def at(template, **names) -> Path:
    return Path(template.at(study="tiny", **names))


EVALUATE = [at(paths.EVALUATE, model=model) for model in ("base", "lua", "more", "merged")]
SWEEP, EDGES = at(paths.SWEEP, model="merged"), at(paths.FLOW_EDGES, sae="main")


@pytest.fixture
def planted(tiny: Slices, tmp_path, monkeypatch) -> Path:
    """The evaluations and the sweep of the tiny study, whole."""
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    (tmp_path / "workflow_config.yaml").write_text((ROOT / "tests/workflow/tiny.yaml").read_text())
    for path in EVALUATE:
        provenance = Provenance("evaluate", STAGES["evaluate"].slice(tiny, path.stem))
        io.save_json(path, {"lua": path.stem}, provenance)
    table = pd.DataFrame({"t": range(1000)})
    io.save_table(SWEEP, table, Provenance("sweep", STAGES["sweep"].slice(tiny, "merged")))
    io.save_table(EDGES, table, Provenance("flow", STAGES["flow"].slice(tiny, "main")))
    return tmp_path


def said(capsys, code: int) -> list[str]:
    if code:
        with pytest.raises(SystemExit) as end:
            verify("tiny")
        assert end.value.code == code
    else:
        verify("tiny")
    return capsys.readouterr().out.splitlines()


def test_a_whole_study(planted, capsys):
    assert said(capsys, 0) == [f"study tiny: 6 files, {bytes_of(planted)}: nothing is broken"]


def bytes_of(folder: Path) -> str:
    from featflow.commands.terminal import size

    files = [p for p in (folder / "results").rglob("*") if p.is_file()]
    return size(sum(p.stat().st_size for p in files if digests.FOLDER not in p.parts))


def test_each_kind_of_harm_is_named_once_with_the_remedy(planted, capsys):
    changed, foreign, missing, _ = EVALUATE
    changed.write_text(changed.read_text().replace('"lua": "base"', '"lua": "bose"'))
    foreign.write_bytes(EVALUATE[3].read_bytes())
    missing.unlink()
    SWEEP.write_bytes(SWEEP.read_bytes()[:-1])
    EDGES.write_bytes(b"")
    lines = said(capsys, 1)
    assert lines[:5] == [
        f"{missing}: missing: its stage wrote it, and it is gone",
        f"{changed}: changed: its bytes are not those that its stage wrote",
        f"{foreign}: foreign: it is {EVALUATE[3]}",
        f"{EDGES}: truncated, or not whole",
        f"{SWEEP}: truncated, or not whole",
    ]
    rest = f"{changed} {foreign} {EDGES} {SWEEP}"
    remedy = f"snakemake --profile local {missing} {rest} --forcerun {rest}"
    assert lines[5:8] == ["", f"rebuild with: {remedy}", ""]
    assert lines[8].endswith(": 5 broken") and len(lines) == 9


def test_a_file_without_a_digest_must_at_least_be_what_it_says(planted, capsys):
    for path in EVALUATE:
        digests.record_of(path).unlink()
    lines = said(capsys, 0)
    assert lines[0] == "note: without a digest (older, or from elsewhere): 4 files"
    EVALUATE[0].write_bytes(EVALUATE[1].read_bytes())
    EVALUATE[2].write_text("{")
    lines = said(capsys, 1)
    assert f"{EVALUATE[0]}: foreign: it is of model lua" in lines
    assert f"{EVALUATE[2]}: it cannot be read, and has no digest" in lines
    assert "note: without a digest (older, or from elsewhere): 2 files" in lines


def test_what_is_beside_but_broken_is_not(planted, tiny, capsys):
    stale = STAGES["evaluate"].slice(tiny, "lua").model_copy(update={"tokens": 7})
    io.save_json(EVALUATE[1], {}, Provenance("evaluate", stale))
    stranger = at(paths.EVALUATE, model="other")
    io.save_json(stranger, {}, Provenance("evaluate", STAGES["evaluate"].slice(tiny, "base")))
    digests.record_of(stranger).unlink()
    stranger.write_text("{}")
    gone = at(paths.EVALUATE, model="gone")
    io.save_json(gone, {}, Provenance("evaluate", STAGES["evaluate"].slice(tiny, "base")))
    gone.unlink()
    killed = SWEEP.with_name(".merged.parquet.17.tmp")
    killed.write_text("half")
    lines = said(capsys, 0)
    assert f"note: made with other settings or code than now: {EVALUATE[1]}" in lines
    assert f"note: not of this config: {stranger}" in lines
    assert f"note: not of this config, and gone: only its digest is left: {gone}" in lines
    assert f"    where no job runs, delete: rm -r {killed}" in lines
    assert lines[-1].startswith("study tiny: 7 files") and "nothing is broken" in lines[-1]


def test_made_from_another_file_than_is_there(planted, tiny, capsys):
    made = Provenance("evaluate", STAGES["evaluate"].slice(tiny, "lua"), [SWEEP])
    io.save_json(EVALUATE[1], {}, made)
    assert len(said(capsys, 0)) == 1
    SWEEP.write_bytes(SWEEP.read_bytes() + b"PAR1")
    assert not any(line.startswith("note") for line in said(capsys, 1))  # the sweep is at fault
    digests.record(SWEEP, SWEEP)
    assert said(capsys, 0)[0] == f"note: made from another {SWEEP} than is there: {EVALUATE[1]}"


def test_a_lost_tokenizer_of_a_model_is_rebuilt_with_its_folder(planted, capsys):
    model = at(paths.MODEL, model="base")
    for name in ("config.json", "tokenizer.json"):
        path = model.with_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({}))
        digests.record(path, path)
    model.with_name("tokenizer.json").unlink()
    lines = said(capsys, 1)
    assert f"rebuild with: snakemake --profile local {model} --forcerun {model}" in lines


def test_a_study_of_which_nothing_is_there(planted):
    with pytest.raises(FeatflowError, match="no study named 'tyni'"):
        verify("tyni")
    (planted / "results").rename(planted / "elsewhere")
    with pytest.raises(FeatflowError, match="results/tiny: nothing of study tiny is there yet"):
        verify("tiny")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.parquet", b"PAR1 ... PAR1", True),
        ("a.parquet", b"PAR1 ...", False),
        ("a.json", b"{}\n", True),
        ("a.json", b'{"a": ', False),
        ("a.csv", b"a\n1\n", True),
        ("a.csv", b"a\n1", False),
        ("a.png", b"any", True),
        ("a.png", b"", False),
        ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", True),
        ("a.safetensors", b"\x09\0\0\0\0\0\0\0{}      ", False),
    ],
)
def test_whole(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert whole(tmp_path / name) is expected


def test_notes_name_a_few_files_and_count_the_rest():
    from featflow.commands.integrity import STALE, Checked, FoundFile

    found = [FoundFile(f"f{i}", STALE, False) for i in range(9)]
    assert told("x", Checked(9, 1000, 0, found)) == [
        f"note: {STALE}: f0, f1, f2, f3, f4 and 4 more",
        "study x: 9 files, 1.0 kB: nothing is broken",
    ]
