"""Data sets in the hub's layout: in a local folder, and from a server that speaks its protocol."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import datasets
import pandas as pd
import pytest

from featflow.artifacts.io import load_table
from featflow.config.corpora import Hub
from featflow.data.corpora import hub
from featflow.data.places import SourceError
from featflow.plan.stages.data import CorpusSlice
from tests.data.hub_server import INVALID, serving

ROOT = Path(__file__).parents[2]
TOKEN = "hf_theRightOne"
SHARDS = {"train-00000-of-00002": range(40), "train-00001-of-00002": range(40, 60)}
README = """---
configs:
- config_name: code
  data_files:
  - split: train
    path: data/train-*.parquet
  - split: test
    path: data/test-*.parquet
- config_name: prose
  data_files:
  - split: train
    path: prose/*.parquet
---
A data set.
"""


def fill(folder: Path) -> Path:
    """A data set as the hub holds it: two configurations, two splits, two shards."""
    (folder / "data").mkdir(parents=True)
    (folder / "prose").mkdir()
    (folder / "README.md").write_text(README)
    for name, rows in {**SHARDS, "test-00000-of-00001": [99]}.items():
        frame = pd.DataFrame({"content": [f"code {i}" for i in rows], "stars": list(rows)})
        frame.to_parquet(folder / f"data/{name}.parquet")
    pd.DataFrame({"text": ["once", None]}).to_parquet(folder / "prose/a.parquet")
    return folder


@pytest.fixture
def dataset(tmp_path):
    return fill(tmp_path / "small-stack")


def source(folder, **settings) -> Hub:
    given = {"dataset": str(folder), "config": "code", "text": "content", **settings}
    return Hub(kind="hub", **given)


def read(folder, seed=0, **settings) -> list[str]:
    return [document.text for document in hub.documents(source(folder, **settings), seed)]


# A folder of this machine.


def test_shards_are_read_in_order(dataset):
    found = list(hub.documents(source(dataset), seed=0))
    assert found == [
        (f"code {i}", "data/train.parquet", f"small-stack/train:{i}") for i in range(60)
    ]


def test_config_split_and_column_are_chosen(dataset, monkeypatch):
    assert read(dataset, split="test") == ["code 99"]
    monkeypatch.setenv("FEATFLOW_TEST_DATA", str(dataset.parent))
    prose = "${FEATFLOW_TEST_DATA}/small-stack"
    assert read(prose, config="prose", text="text") == ["once", ""]


def test_compressed_lines_without_a_readme(tmp_path):
    (tmp_path / "stories").mkdir()
    lines = '{"text": "once"}\n{"text": "upon"}\n'
    (tmp_path / "stories/train.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    found = hub.documents(source(tmp_path / "stories", config=None, text="text"), seed=0)
    assert list(found) == [
        ("once", "train.jsonl.gz", "stories/train:0"),
        ("upon", "train.jsonl.gz", "stories/train:1"),
    ]
    with pytest.raises(SourceError, match=r"^text: stories has no column 'body'; it has: text"):
        read(tmp_path / "stories", config=None, text="body")


def test_files_of_the_split_are_drawn_and_a_column_names_the_source(dataset):
    drawn = [read(dataset, seed=seed, files=1) for seed in range(20)]
    rows = [f"code {i}" for i in range(60)]
    assert {len(some) for some in drawn} == {20, 40}
    assert all(some in (rows[:40], rows[40:]) for some in drawn)
    assert len({tuple(some) for some in drawn}) == 2
    assert read(dataset, seed=0, files=7) == rows
    named = hub.documents(source(dataset, source="stars"), seed=0)
    assert [d.source for d in named] == [str(i) for i in range(60)]


def test_a_sample_is_each_rows_own_draw(dataset):
    half, tenth = (read(dataset, seed=7, sample=share) for share in (0.5, 0.1))
    rows = [f"code {i}" for i in range(60)]
    assert half == [text for i, text in enumerate(rows) if hub.drawn(i, 7, 0.5)]
    assert set(tenth) < set(half) < set(rows)
    assert half != read(dataset, seed=8, sample=0.5)
    (dataset / "data/train-00001-of-00002.parquet").unlink()  # a shorter data set: the same draws
    assert read(dataset, seed=7, sample=0.5) == [t for t in half if t in rows[:40]]


def test_a_sample_has_its_share():
    for share in (0.01, 0.3, 0.9):
        taken = sum(hub.drawn(row, 3, share) for row in range(20_000))
        assert abs(taken - 20_000 * share) < 5 * (20_000 * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "dev"}, r"^split: small-stack has no split 'dev'; it has: train, test"),
        ({"config": "lua"}, r"^config: .* has no config 'lua'; it has: code, prose"),
        ({"config": None}, r"^config: .* has several configs: code, prose"),
        ({"text": "body"}, r"^text: .*no column 'body'; it has: content, stars"),
        ({"text": "stars"}, r"^text: column 'stars' of small-stack holds int"),
        ({"revision": "v1"}, r"^revision: .* is a folder, which has none"),
        ({"dataset": "${FEATFLOW_TEST_UNSET}/x"}, r"^dataset: .*FEATFLOW_TEST_UNSET is not set"),
        ({"dataset": "/no/such/folder"}, r"^dataset: '/no/such/folder' is no folder here"),
    ],
)
def test_what_is_wrong_is_named(dataset, settings, message):
    with pytest.raises(SourceError, match=message):
        read(dataset, **settings)


def test_a_corrupt_shard_is_an_error(dataset):
    (dataset / "data/train-00001-of-00002.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match=r"^dataset: small-stack cannot be read: .*check"):
        read(dataset)


def test_a_token_with_a_character_that_no_token_has_is_not_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_se cret")
    with pytest.raises(SourceError, match=r"^dataset: HF_TOKEN holds characters") as error:
        read("owner/name")
    assert "cret" not in str(error.value)


def test_a_full_disk_is_told_from_data_that_cannot_be_read(monkeypatch):
    def download(self, url):
        raise datasets.exceptions.DatasetGenerationError("no") from OSError(28, "No space left")

    builder = SimpleNamespace(config=SimpleNamespace(data_files={"train": ["hf://a"]}))
    monkeypatch.setattr(hub, "_builder", lambda *_: builder)
    monkeypatch.setattr(datasets.DownloadManager, "download", download)
    with pytest.raises(SourceError, match=r"^dataset: no room for 'owner/name' in the hub's cache"):
        read("owner/name", streaming=False)


# The corpus stage against a server. HF_ENDPOINT is read when the hub's client is imported: hence
# another process, one for many runs, since imports take most of the time.

RUNS = """
import contextlib, io, json, os, sys
from pathlib import Path
from featflow.cli import main
results = {}
for name, run in json.load(sys.stdin).items():
    os.environ.pop("HF_TOKEN", None)
    os.environ.update({"HF_TOKEN": run["token"]} if run["token"] else {})
    said, code = io.StringIO(), 0
    splits = [s for x in ("train", "validation", "selection") for s in (f"--{x}", f"{name}/{x}")]
    with contextlib.redirect_stderr(said):
        try:
            main(["corpus", "--log", f"{name}.log", "--cfg", run["cfg"], *splits])
        except SystemExit as error:
            code = error.code
    left = sorted(p.name for p in Path(name).iterdir()) if Path(name).is_dir() else []
    log = Path(f"{name}.log").read_text()
    results[name] = {"code": code, "said": said.getvalue() + log, "left": left}
print(json.dumps(results))
"""


def run(folder: Path, endpoint: str, runs: dict[str, tuple[str, dict, str | None]]) -> dict:
    """Corpus stages in one process: name → data set, settings, HF_TOKEN."""
    asked = {}
    for name, (dataset, settings, token) in runs.items():
        given = source(dataset, validation=0.2, selection=0.2, **settings)
        cfg = CorpusSlice(study="s", corpus="lua", seed=1, source=given)
        asked[name] = {"cfg": cfg.dumps(), "token": token}
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home")}
    result = subprocess.run(
        [sys.executable, "-c", RUNS],
        input=json.dumps(asked),
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert TOKEN not in result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])


RIGHT = {
    "streamed": ("owner/open", {}, None),
    "few": ("owner/open", {"documents": 40}, None),
    "downloaded": ("owner/open", {"streaming": False}, None),
    "again": ("owner/open", {"streaming": False, "sample": 0.5}, None),
    "gated": ("owner/closed", {"revision": "main"}, TOKEN),
    "kept": ("owner/closed", {"streaming": False}, f"{TOKEN}\n"),
}
GATED = r"'owner/closed' is gated, and .*accept its terms at {}/datasets/owner/closed, and set the "
WRONG = {
    "terms": ("owner/closed", {}, None, "dataset", f"{GATED}.*HF_TOKEN"),
    "account": ("owner/closed", {}, "hf_other", "dataset", "the account of HF_TOKEN has no access"),
    "invalid": ("owner/open", {}, INVALID, "dataset", "the hub does not accept the token in HF_"),
    "unknown": ("owner/none", {}, None, "dataset", r"there is no data set 'owner/none' on the hub"),
    "revision": ("owner/open", {"revision": "v9"}, None, "revision", r"'v9'; it has: main"),
    "config": (
        "owner/open",
        {"config": "lua"},
        None,
        "config",
        "no config 'lua'; it has: code, pr",
    ),
    "split": ("owner/open", {"split": "dev"}, None, "split", "no split 'dev'; it has: train, test"),
    "column": ("owner/open", {"text": "body"}, None, "text", "'body'; it has: content, stars"),
    "corrupt": ("owner/corrupt", {}, None, "dataset", "owner/corrupt cannot be read: .*check its"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    for name in ("open", "closed", "corrupt"):
        fill(root / "datasets/owner" / name)
    (root / "datasets/owner/corrupt/data/train-00001-of-00002.parquet").write_bytes(b"PAR1 no")
    with serving(root, gated={"owner/closed": TOKEN}) as server:
        yield server


@pytest.fixture(scope="module")
def made(server, tmp_path_factory):
    """What the runs said and left, in the folder where they ran."""
    folder = tmp_path_factory.mktemp("runs")
    cases = {**RIGHT, **{name: case[:3] for name, case in WRONG.items()}}
    server.requests.clear()
    return folder, run(folder, server.endpoint, cases), list(server.requests)


def texts(folder: Path) -> list[str]:
    tables = [load_table(folder / s) for s in ("train", "validation", "selection")]
    assert all(len(table) for table in tables)
    rows = pd.concat(tables)
    assert rows.origin.str.startswith("owner/").all()
    return sorted(rows.text, key=lambda text: int(text.split()[1]))


def test_a_corpus_is_read_over_the_network(made):
    folder, results, _ = made
    assert {results[name]["code"] for name in RIGHT} == {0}, results
    everything = [f"code {i}" for i in range(60)]
    for name in ("streamed", "downloaded", "gated", "kept"):
        assert texts(folder / name) == everything
    few = texts(folder / "few")
    assert len(few) == 40
    assert set(few) < set(everything)
    assert few != everything[:40]
    half = [text for i, text in enumerate(everything) if hub.drawn(i, 1, 0.5)]
    assert texts(folder / "again") == half


def test_the_commit_is_told(made, server):
    commit = server.repository("datasets", "owner/open").commit
    assert f"owner/open: commit {commit} of {server.endpoint}" in made[1]["streamed"]["said"]


def test_only_the_split_is_downloaded_and_only_once(made):
    taken = [r.path for r in made[2] if r.method == "GET" and r.status == 200]
    files = [path for path in taken if path.endswith(".parquet") and "owner/open" in path]
    assert [path.rsplit("/", 1)[1] for path in files] == [f"{name}.parquet" for name in SHARDS]
    assert not any("test-00000" in request.path for request in made[2])


def test_the_token_goes_to_the_hub_and_nowhere_else(made):
    folder, results, requests = made
    sent = [r for r in requests if r.token and r.status in (200, 206)]
    assert sent and all("owner/closed" in request.path for request in sent)
    assert not any(TOKEN in result["said"] for result in results.values())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files and not any(TOKEN.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("name", WRONG)
def test_what_the_hub_refuses_is_explained(made, server, name):
    _, results, _ = made
    _, _, _, key, words = WRONG[name]
    words = words.format(server.endpoint)
    message = pd.Series(results[name]["said"].splitlines())
    assert message.str.contains(rf"corpus: studies\.s\.corpora\.lua\.{key}: .*{words}").any(), (
        results[name]["said"]
    )
    assert results[name]["code"] == 1 and results[name]["left"] == []
    assert "Traceback" not in results[name]["said"]


def test_a_hub_that_cannot_be_reached_is_told_soon(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    start = time.monotonic()
    result = run(tmp_path, endpoint, {"gone": ("owner/open", {}, None)})["gone"]
    assert time.monotonic() - start < 45
    assert result["code"] == 1 and result["left"] == []
    assert "studies.s.corpora.lua.dataset: the hub cannot be reached" in result["said"]
    for words in (endpoint, "snakemake --profile local fetch", "HF_ENDPOINT"):
        assert words in result["said"]


@pytest.mark.parametrize("name", ["train.jsonl", "train.csv", "train.txt", "train.parquet"])
def test_an_empty_split_is_told(tmp_path, name):
    folder = tmp_path / "hollow"
    folder.mkdir()
    if name.endswith("parquet"):
        pd.DataFrame({"text": pd.Series([], dtype=str)}).to_parquet(folder / name)
    else:
        (folder / name).write_text("text\n" if name.endswith("csv") else "")
    with pytest.raises(
        SourceError, match=r"hollow (has no rows in|cannot be read.*whether) split 't"
    ):
        list(hub.documents(Hub(kind="hub", dataset=str(folder)), seed=0))
