"""The files of this machine that a study reads: which they are, and in which state."""

import os
import time

import pytest

from featflow.config import FeatflowError
from featflow.data.places import (
    DATA_FILES,
    MODEL_FILES,
    TOKENIZER_FILES,
    local_files,
    on_the_hub,
    state,
)


@pytest.fixture
def folder(tmp_path):
    """A folder with what a model, a tokenizer and featflow itself put into one."""
    found = tmp_path / 'it\'s a "folder" {x} $HOME; *'
    found.mkdir()
    names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    for name in [*names, "special_tokens_map.json", "training.parquet", "README.md"]:
        (found / name).write_text(name)
    (found / "notes").symlink_to("/gone/notes")
    (found / "tokenizer").mkdir()
    return found


def names(found) -> list[str]:
    return [os.path.basename(file) for file in found]


def test_only_what_is_read_counts(folder):
    beside = ["config.json", "special_tokens_map.json", "tokenizer_config.json"]
    tokenizer = sorted([*beside, "tokenizer.json"])
    assert names(local_files(str(folder), TOKENIZER_FILES, "k")) == tokenizer
    model = sorted([*tokenizer, "model.safetensors"])
    assert names(local_files(str(folder), MODEL_FILES, "k")) == model
    file = str(folder / "tokenizer.json")
    assert names(local_files(file, TOKENIZER_FILES, "k")) == ["tokenizer.json", *beside]
    assert local_files("owner/name", MODEL_FILES, "k") == []


def test_a_link_that_leads_nowhere_counts_where_it_would_be_read(folder):
    (folder / "model-2.safetensors").symlink_to("/gone/weights")
    assert local_files(str(folder), TOKENIZER_FILES, "k")
    words = r"^a\.key: .*model-2\.safetensors is a link to /gone/weights, which is not there; mend"
    with pytest.raises(FeatflowError, match=words):
        local_files(str(folder), MODEL_FILES, "a.key")
    assert len(local_files(str(folder.parent), DATA_FILES, "k")) == 7
    (folder / "train.PARQUET.gz").symlink_to("/gone/rows")
    (folder / "train.jsonl.gz").symlink_to("/gone/rows")
    with pytest.raises(FeatflowError, match=r"train\.jsonl\.gz is a link to /gone/rows"):
        local_files(str(folder.parent), DATA_FILES, "k")


def test_the_state_follows_content_and_time_also_a_future_one(folder):
    file = folder / "tokenizer.json"
    found = [str(file)]
    before = state(found)
    soon = time.time() + 10**8
    os.utime(file, (soon, soon))
    after = state(found)
    assert before != after == state(found)
    assert state([]) is None


def test_variables_are_those_in_braces(folder, monkeypatch):
    monkeypatch.setenv("FEATFLOW_TEST_ROOT", str(folder.parent))
    name = folder.name
    assert not on_the_hub("${FEATFLOW_TEST_ROOT}/" + name)
    assert local_files("${FEATFLOW_TEST_ROOT}/" + name, MODEL_FILES, "k")
    assert on_the_hub("$FEATFLOW_TEST_ROOT/" + name)
