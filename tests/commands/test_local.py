"""What a study names and this machine lacks is said at once, with the keys."""

import pytest

from featflow.commands.local import problems
from featflow.config import Study
from featflow.data.places import SourceError, local_path

BASE = {"architecture": {"hidden": 32, "heads": 4, "kv_heads": 2}}


def study(tmp_path, **corpora) -> Study:
    return Study.model_validate(
        {
            "corpora": corpora,
            "tokenizer": {"kind": "pretrained", "name": str(tmp_path / "no-tokenizer")},
            "models": {"start": {"kind": "pretrained", "name": str(tmp_path), "corpora": ["a"]}},
        }
    )


def test_everything_missing_is_one_list(tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    found = problems(
        "mine",
        study(
            tmp_path,
            a={"kind": "files", "paths": [f"{tmp_path}/*.txt"]},
            b={"kind": "files", "paths": ["${NOT_SET}/*.txt"]},
            c={"kind": "hub", "dataset": f"{tmp_path}/data"},
            d={"kind": "hub", "dataset": "owner/data"},
        ),
    )
    words = [
        ("studies.mine.corpora.a.paths.0", "matches no file"),
        ("studies.mine.corpora.b.paths.0", "NOT_SET is not set"),
        ("studies.mine.corpora.c.dataset", "no file or folder here"),
        ("studies.mine.tokenizer.name", "no file or folder here"),
        ("studies.mine.models.start.name", "no config.json"),
    ]
    assert len(found) == len(words)
    for line, (key, said) in zip(found, words, strict=True):
        assert line.startswith(key) and said in line


def test_nothing_is_missing(tmp_path, model_folder, tokenizer_file):
    (tmp_path / "a.txt").write_text("a text")
    whole = {
        "corpora": {"a": {"kind": "files", "paths": [f"{tmp_path}/*.txt"]}},
        "tokenizer": {"kind": "pretrained", "name": str(tokenizer_file)},
        "models": {"start": {"kind": "pretrained", "name": str(model_folder), "corpora": ["a"]}},
    }
    assert problems("mine", Study.model_validate(whole)) == []


@pytest.mark.parametrize("name", ["gpt2", "owner/model"])
def test_a_name_on_the_hub_is_no_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_path(name, "name") is None


@pytest.mark.parametrize("name", ["/a/b", "./a", "~/a", "a/b/c", "a/tokenizer.json", "t.model"])
def test_what_can_only_be_a_path_must_be_there(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="no file or folder here"):
        local_path(name, "name")
