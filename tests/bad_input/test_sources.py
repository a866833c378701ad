"""Files that are no documents, through the corpus stage: left out and counted, or named."""

import gzip
import json
import random

import pandas as pd
import pytest
import zstandard

from featflow.artifacts.io import load_table
from featflow.config.corpora import Files
from featflow.plan.stages.data import CorpusSlice
from tests.bad_input.conftest import call

GOOD = [f"document {i} of many words" for i in range(40)]


@pytest.fixture
def folder(tmp_path):
    """A folder of forty good texts."""
    (tmp_path / "texts").mkdir()
    for i, text in enumerate(GOOD):
        (tmp_path / "texts" / f"{i:02}.txt").write_text(text)
    return tmp_path / "texts"


def arguments(folder):
    source = Files(kind="files", paths=[f"{folder}/**"], validation=0.3, selection=0.3, min_bytes=1)
    cfg = CorpusSlice(study="tiny", corpus="mine", seed=0, source=source)
    splits = ("train", "validation", "selection")
    out = folder.parent / "results" / "tiny" / "corpus" / "mine"
    return cfg, {split: out / f"{split}.parquet" for split in splits}


def test_binary_and_mis_encoded_files_are_named_counted_and_left_out(folder, capsys):
    (folder / "photo.txt").write_bytes(b"\x89PNG\0\0\0")
    (folder / "old.txt").write_bytes("café".encode("latin-1"))
    (folder / "wide.txt").write_bytes("two bytes a letter".encode("utf-16"))
    cfg, files = arguments(folder)
    call("corpus", cfg, **files)
    said = capsys.readouterr().err
    assert f"{folder}/photo.txt: binary, left out" in said
    assert f"{folder}/old.txt: not UTF-8, left out" in said
    assert f"{folder}/wide.txt: binary, left out" in said
    assert "left out of the files: 2 binary, 1 not UTF-8" in said
    kept = sorted(text for file in files.values() for text in load_table(file)["text"])
    assert kept == sorted(GOOD)


NOISE = random.Random(0).randbytes(200_000).hex()
LINE = json.dumps({"text": NOISE}).encode() + b"\n"
TABLE = pd.DataFrame({"text": [NOISE] * 5}).to_parquet(write_page_checksum=True)
CORRUPT = {
    "cut.txt.gz": (gzip.compress(NOISE.encode())[:-999], ["cut.txt.gz", "corrupt"]),
    "cut.jsonl.zst": (zstandard.compress(LINE * 3)[:-999], ["cut.jsonl.zst", "corrupt"]),
    "bad.jsonl": (LINE * 2 + LINE[:99] + b"\n" + LINE, ["bad.jsonl", "corrupt", "line 3"]),
    "bytes.jsonl": (LINE + b'{"text": "caf\xe9"}\n', ["bytes.jsonl", "line 2", "position 13"]),
    "cut.parquet": (TABLE[:-999], ["cut.parquet", "corrupt"]),
    "hole.parquet": (TABLE[:9999] + b"\0" * 9999 + TABLE[19998:], ["hole.parquet", "corrupt"]),
    "named.gz": (b"not compressed at all", ["named.gz", "corrupt"]),
    "other.jsonl": (b'{"body": "x"}\n', ["corpora.mine.text", "line 1", "no field 'text'", "body"]),
}


@pytest.mark.parametrize("name", CORRUPT)
def test_a_corrupt_file_is_named_and_no_split_is_written(folder, refused, name):
    content, words = CORRUPT[name]
    (folder / name).write_bytes(content)
    cfg, files = arguments(folder)
    said = refused("corpus", cfg, **files)
    assert all(word in said for word in words), said
    assert "exclude" in said or "text" in words[0]


def test_an_earlier_corpus_stays(folder, refused, capsys):
    cfg, files = arguments(folder)
    call("corpus", cfg, **files)
    (folder / "cut.txt.gz").write_bytes(CORRUPT["cut.txt.gz"][0])
    refused("corpus", cfg, **files)  # which compares every file with what it was
    assert len(load_table(files["train"])) > 0
