"""Data sets in the hub's layout, from a local folder: no network."""

import gzip

import pandas as pd
import pytest

from featflow.core.config.corpora import Hub
from featflow.data.corpora import hub
from featflow.data.sources import SourceError

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


@pytest.fixture
def dataset(tmp_path):
    """A folder as the hub would hold it: two configurations, two splits, two shards."""
    folder = tmp_path / "small-stack"
    (folder / "data").mkdir(parents=True)
    (folder / "prose").mkdir()
    (folder / "README.md").write_text(README)
    for name, rows in {
        "train-00000": range(3),
        "train-00001": range(3, 5),
        "test-00000": [9],
    }.items():
        frame = pd.DataFrame({"content": [f"code {i}" for i in rows], "stars": list(rows)})
        frame.to_parquet(folder / f"data/{name}.parquet")
    pd.DataFrame({"text": ["once", None]}).to_parquet(folder / "prose/a.parquet")
    return folder


def source(folder, **settings) -> Hub:
    given = {"dataset": str(folder), "config": "code", "text": "content", **settings}
    return Hub(kind="hub", **given)


def test_shards_are_read_in_order(dataset):
    read = list(hub.documents(source(dataset), seed=0))
    assert read == [(f"code {i}", f"small-stack/train:{i}") for i in range(5)]


def test_config_split_and_column_are_chosen(dataset, monkeypatch):
    assert [d.text for d in hub.documents(source(dataset, split="test"), seed=0)] == ["code 9"]
    monkeypatch.setenv("FEATFLOW_TEST_DATA", str(dataset.parent))
    prose = source("${FEATFLOW_TEST_DATA}/small-stack", config="prose", text="text")
    assert [d.text for d in hub.documents(prose, seed=0)] == ["once", ""]


def test_compressed_lines_without_a_readme(tmp_path):
    folder = tmp_path / "stories"
    folder.mkdir()
    lines = '{"text": "once"}\n{"text": "upon"}\n'
    (folder / "train.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    read = hub.documents(source(folder, config=None, text="text"), seed=0)
    assert list(read) == [("once", "stories/train:0"), ("upon", "stories/train:1")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "dev"}, r"^dataset: .*check dataset, config, split"),
        ({"config": "lua"}, r"^dataset: .*check dataset, config, split"),
        ({"text": "body"}, r"^text: .*no column 'body'; it has: content, stars"),
        ({"text": "stars"}, r"^text: column 'stars' of small-stack holds int"),
        ({"dataset": "${FEATFLOW_TEST_UNSET}/x"}, r"^dataset: .*FEATFLOW_TEST_UNSET is not set"),
    ],
)
def test_what_is_wrong_is_named(dataset, settings, message):
    with pytest.raises(SourceError, match=message):
        list(hub.documents(source(dataset, **settings), seed=0))


def test_a_corrupt_shard_is_an_error(dataset):
    (dataset / "data/train-00001.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match="cannot be read"):
        list(hub.documents(source(dataset), seed=0))


@pytest.mark.parametrize("token", [None, "hf_secret"])
def test_the_token_comes_from_the_environment_alone(dataset, monkeypatch, token):
    seen: dict[str, object] = {}

    def load_dataset(dataset, /, **options):
        seen.update(options, dataset=dataset)
        return iter([{"content": "x"}])

    monkeypatch.setattr(hub.datasets, "load_dataset", load_dataset)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN", raising=False)
    read = list(hub.documents(source("owner/name", revision="abc"), seed=0))
    assert read == [("x", "owner/name/train:0")]
    assert seen == {
        "dataset": "owner/name",
        "name": "code",
        "split": "train",
        "revision": "abc",
        "token": token or False,
        "streaming": True,
    }
