"""What `init` finds in folders as people have them."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featflow.commands.folders import is_name, look, name_for, read
from featflow.config import FeatflowError
from tests.commands.conftest import prose


def test_the_text_files_of_a_folder(texts):
    found = look(f"{texts}/notes")
    assert found.paths == [f"{texts}/notes/**/*.txt"] and found.text == "text"
    assert found.files == 100 and found.bytes == sum(len(prose(i + 5000)) for i in range(100))


def test_a_kind_with_a_share_of_the_text_is_read_too(tmp_path):
    (tmp_path / "a.lua").write_text("x = 1\n" * 100)
    (tmp_path / "b.md").write_text("text\n" * 30)
    (tmp_path / "c.rst").write_text("a")
    (tmp_path / "bare").write_text("text\n" * 60)
    assert look(str(tmp_path)).paths == [f"{tmp_path}/**/*.lua", f"{tmp_path}/**/*.md"]


def test_the_column_of_records(texts, tmp_path):
    assert look(f"{texts}/talks")[:3] == ([f"{texts}/talks/**/*.jsonl"], "body", 1)
    lines = "\n".join(json.dumps({"key": "k" * 90, "story": "s"}) for _ in range(3))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert look(str(tmp_path))[:2] == ([f"{tmp_path}/**/*.jsonl.gz"], "story")
    table = pa.table({"id": ["1", "2"], "words": ["a long text", "another one"], "n": [1, 2]})
    pq.write_table(table, tmp_path / "b.parquet")
    found = look(str(tmp_path / "b.parquet"))
    assert found[:3] == ([f"{tmp_path}/b.parquet"], "words", 1)
    assert sorted(read(found).texts) == ["a long text", "another one"]


def test_folders_with_characters_of_globs(tmp_path):
    folder = tmp_path / "notes [2024]*"
    folder.mkdir()
    (folder / "a.txt").write_text("one text")
    assert read(look(f"{folder}/")).texts == ["one text"]


def test_documents_are_those_of_the_corpus_stage(tmp_path):
    for name, text in (("a", "one"), ("b", "two " * 100), ("c", "one"), ("d", "three " * 100)):
        (tmp_path / f"{name}.txt").write_text(text)
    found = look(str(tmp_path))
    whole = read(found).texts
    assert sorted(whole) == ["one", "three " * 100, "two " * 100]  # each text once
    few = read(found, limit=700).texts
    assert few == whole[: len(few)] and 0 < len(few) < 3


@pytest.mark.parametrize(
    ("name", "words"), [("gone", "no folder"), ("empty", "has no text"), ("bin", "has no text")]
)
def test_no_text_is_said(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "a.png").write_bytes(b"\0\1\2")
    with pytest.raises(FeatflowError, match=words):
        look(str(tmp_path / name))


def test_what_is_not_there_is_told_from_what_is_empty(tmp_path, monkeypatch):
    (tmp_path / "empty" / ".hidden").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "a.txt").write_text("text")
    said = {}
    for name in ("gone", "empty", "link"):
        with pytest.raises(FeatflowError) as error:
            look(str(tmp_path / name), "--base")
        said[name] = str(error.value)
    assert "--base: no folder " in said["gone"] and "it is not there; check" in said["gone"]
    assert "it is a link to nothing" in said["link"]
    assert "is empty, so it has no text" in said["empty"]
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(FeatflowError, match=r"closed/a.txt cannot be read; change the permissions"):
        look(str(tmp_path / "closed"))

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refused)
    with pytest.raises(FeatflowError, match=r"cannot be read: Permission denied \(.*closed\)"):
        look(str(tmp_path / "closed"))


def test_braces_are_refused():
    with pytest.raises(FeatflowError, match="without braces"):
        look("${HOME}/notes")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/a/Code-2/", "code2"),
        ("texts.jsonl.gz", "texts"),
        ("2024 notes", "notes"),
        ("/a/ÄÖ", "corpus"),
        ("no", "corpusno"),
        ("a/python", "python2"),
    ],
)
def test_names_of_corpora(folder, name):
    assert name_for(folder, {"python"}) == name


def test_names_that_yaml_takes_for_something_else():
    assert [
        n for n in ("mine", "no", "on", "true", "null", "Mine", "2a", "a-b", "") if is_name(n)
    ] == ["mine"]


def test_records_are_those_that_a_corpus_reads(tmp_path):
    """Whatever the name, its case and the form: what `init` writes is what the stage reads."""
    records = [{"n": i, "body": f"text {i}"} for i in range(30)]
    lines = "\n".join(map(json.dumps, records))
    table = "n,body\n" + "\n".join(f"{each['n']},{each['body']}" for each in records)
    contents = {
        **dict.fromkeys(("a.json", "a.ndjson", "a.JSONL", "a.txt", "a"), lines),
        "b.json": json.dumps(records),
        "a.csv": table,
        "a.CSV": table,
        "a.TSV": table.replace(",", "\t"),
    }
    for i, (name, content) in enumerate(contents.items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / name).write_text(content)
        found = look(str(folder))
        assert found.text == "body" and sorted(read(found).texts) == sorted(
            each["body"] for each in records
        )
    (tmp_path / "A.TXT.GZ").write_bytes(gzip.compress(b"one text"))
    assert read(look(str(tmp_path / "A.TXT.GZ"))).texts == ["one text"]


@pytest.mark.parametrize("name", ["home", "shift"])
def test_a_name_that_no_corpus_may_have(name):
    assert name_for(f"/{name}", set()) == f"corpus{name}"
