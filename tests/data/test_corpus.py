"""The corpus stage: normal form, duplicates, limits, and splits that hang on the text alone."""

import gzip
import hashlib
import json
import os
import random
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from featflow.core.config.corpora import Files, Generated
from featflow.core.config.errors import FeatflowError
from featflow.core.slices import CorpusSlice
from featflow.data import corpus
from featflow.data.sources import Document

SPLITS = ("train", "validation", "selection")


def source(**settings) -> Files:
    return Files(kind="files", **{"paths": ["*"], **settings})


def kept(texts, **settings):
    dropped: Counter[str] = Counter()
    documents = (Document(text, str(i)) for i, text in enumerate(texts))
    return list(corpus.select(documents, source(**settings), dropped)), dropped


def build(folder: Path, **settings) -> dict[str, list[tuple[str, str]]]:
    """Run the stage and read its three files: (text, source) by split."""
    cfg = CorpusSlice(study="desk", corpus="real", seed=3, source=source(**settings))
    corpus.run(cfg, **{split: folder / f"{split}.parquet" for split in SPLITS})
    tables = {split: pq.read_table(folder / f"{split}.parquet").to_pydict() for split in SPLITS}
    return {s: list(zip(t["text"], t["source"], strict=True)) for s, t in tables.items()}


def write_jsonl(path: Path, texts) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_text_is_normalised_before_it_is_compared():
    found, dropped = kept(["café", "cafe\u0301", "", " \n", "other", "\ud800", "café"])
    assert [k.document for k in found] == [("café", "0"), ("other", "4")]
    assert [k.size for k in found] == [5, 5]
    assert dropped == {"duplicate": 2, "empty": 2, "mis-encoded": 1}


def test_documents_ends_the_reading_at_once():
    def endless():
        for i in range(10):
            yield Document(f"text {i // 2}", str(i))
        raise AssertionError("read too far")

    found = list(corpus.select(endless(), source(documents=3), Counter()))
    assert [k.document.source for k in found] == ["0", "2", "4"]


@pytest.mark.parametrize("limit", [1, 5, 6, 17, 18, 19, 100])
def test_bytes_takes_the_longest_beginning_that_fits(limit):
    texts = ["aé", "bbbb", "ccccc", "dddddd", "e"]  # 3, 4, 5, 6, 1 bytes
    fits = max(n for n in range(6) if len("".join(texts[:n]).encode()) <= limit)
    found, _ = kept(texts, bytes=limit)
    assert [k.document.text for k in found] == texts[:fits]


def test_the_split_is_the_hash_read_as_a_number():
    settings = source(validation=0.25, selection=0.125)
    for i in range(500):
        digest = hashlib.sha256(str(i).encode()).digest()
        place = int(digest.hex()[:16], 16) / 16**16
        expected = "validation" if place < 0.25 else "selection" if place >= 0.875 else "train"
        assert corpus.split(digest, settings) == expected


def test_shares_are_kept_and_order_does_not_matter():
    texts = [f"text {i}" for i in range(20_000)]
    there, _ = kept(texts)
    shares = Counter(k.split for k in there)
    assert abs(shares["validation"] / 20_000 - 0.08) < 0.006  # three standard deviations
    assert abs(shares["selection"] / 20_000 - 0.02) < 0.003
    random.Random(0).shuffle(texts)
    back, _ = kept(texts)
    assert {k.document.text: k.split for k in back} == {k.document.text: k.split for k in there}


def test_one_share_moves_no_document_of_the_other():
    texts = [f"text {i}" for i in range(2000)]

    def members(split, **shares):
        return {k.document.text for k in kept(texts, **shares)[0] if k.split == split}

    assert members("selection") == members("selection", validation=0.5)
    assert members("validation") == members("validation", selection=0.5)
    assert members("validation") < members("validation", validation=0.2)


def test_python_itself_is_split_without_overlap_or_loss(tmp_path):
    settings = {"paths": ["{stdlib}/**/*.py"], "exclude": ["**/test/**", "**/tests/**"]}
    found = build(tmp_path, **settings, validation=0.3, selection=0.1, documents=300)
    texts = [text for split in SPLITS for text, _ in found[split]]
    assert len(texts) == len({*texts}) == 300
    import sysconfig

    library = Path(sysconfig.get_path("stdlib"))
    for text, origin in found["validation"]:
        content = (library / origin).read_bytes().decode("utf-8-sig")
        assert text == unicodedata.normalize("NFC", content)


@pytest.mark.skipif("FEATFLOW_CORPORA" not in os.environ, reason="FEATFLOW_CORPORA is not set")
def test_stories_come_from_a_compressed_jsonl(tmp_path):
    found = build(tmp_path, paths=["${FEATFLOW_CORPORA}/tinystories.jsonl.gz"])
    file = Path(os.environ["FEATFLOW_CORPORA"], "tinystories.jsonl.gz")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        texts = [unicodedata.normalize("NFC", json.loads(line)["text"]) for line in lines]
    assert {text for split in SPLITS for text, _ in found[split]} == {*texts}
    for text, origin in found["selection"]:
        name, number = origin.split(":")
        assert name == "tinystories.jsonl.gz"
        assert texts[int(number) - 1] == text


def test_the_same_files_in_another_place_give_the_same_bytes(tmp_path, monkeypatch):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        write_jsonl(tmp_path / place / "a.jsonl", [f"text {i}" for i in range(300)])
        monkeypatch.setenv("FEATFLOW_TEST_ROOT", str(tmp_path / place))
        build(tmp_path / f"{place}.out", paths=["${FEATFLOW_TEST_ROOT}/*.jsonl"])
    for split in SPLITS:
        one = (tmp_path / "one.out" / f"{split}.parquet").read_bytes()
        assert one == (tmp_path / "two.out" / f"{split}.parquet").read_bytes()
        assert str(tmp_path).encode() not in one


def test_generated_text_gives_the_same_bytes_for_the_same_seed(tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = Generated(kind="generated", language="stories", documents=200)
        cfg = CorpusSlice(study="demo", corpus="stories", seed=seed, source=settings)
        corpus.run(cfg, **{split: tmp_path / folder / f"{split}.parquet" for split in SPLITS})
    one, same, other = ((tmp_path / f / "train.parquet").read_bytes() for f in "abc")
    assert one == same != other
    origins = pq.read_table(tmp_path / "a/train.parquet")["source"].to_pylist()
    assert all(origin.startswith("generated:stories:") for origin in origins)


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        ([""], {}, r"desk\.corpora\.real\.kind: this files source has no document"),
        (["four"], {"bytes": 3}, r"desk\.corpora\.real\.bytes: 3 are fewer"),
        (
            ["one"],
            {"validation": 1e-9},
            r"desk\.corpora\.real\.validation: none of the 1 documents",
        ),
        (
            [f"text {i}" for i in range(50)],
            {"validation": 0.4, "selection": 1e-9},
            r"desk\.corpora\.real\.selection: none of the 50 documents",
        ),
        (["a"], {"paths": ["/nowhere/*.txt"]}, r"desk\.corpora\.real\.paths\.0: .*no file"),
        (["a"], {"text": "body"}, r"desk\.corpora\.real\.text: .*no field 'body'"),
    ],
)
def test_an_empty_corpus_or_split_is_named_and_nothing_written(tmp_path, texts, settings, message):
    file = write_jsonl(tmp_path / "a.jsonl", texts)
    with pytest.raises(FeatflowError, match=r"^studies\." + message):
        build(tmp_path / "out", **{"paths": [str(file)], **settings})
    assert not list((tmp_path / "out").iterdir())


def test_a_corrupt_file_is_named_and_nothing_written(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [f"text {i}" for i in range(300)])
    (tmp_path / "b.jsonl").write_text('{"text": "cut')
    with pytest.raises(FeatflowError, match=r"b\.jsonl: corrupt"):
        build(tmp_path / "out", paths=[str(tmp_path / "*.jsonl")])
    assert not list((tmp_path / "out").iterdir())
