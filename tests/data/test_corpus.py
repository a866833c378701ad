"""The corpus stage: normal form, duplicates, limits, and splits that hang on the text alone."""

import gzip
import hashlib
import json
import os
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from featflow.config.corpora import Files, Generated
from featflow.config.errors import FeatflowError
from featflow.data import corpus, shuffle
from featflow.data.sources import Document
from featflow.plan.stages.data import CorpusSlice

SPLITS = ("train", "validation", "selection")


def source(**settings) -> Files:
    return Files(kind="files", **{"paths": ["*"], **settings})


def slice_of(given, seed=3, **scale) -> CorpusSlice:
    return CorpusSlice(study="desk", corpus="real", seed=seed, source=given, **scale)


def kept(texts, seed=3, **settings):
    dropped: Counter[str] = Counter()
    documents = (Document(text, "here", str(i)) for i, text in enumerate(texts))
    return list(corpus.shuffled(documents, slice_of(source(**settings), seed), dropped)), dropped


def texts_of(found) -> list[str]:
    return [hashed.document.text for hashed in found]


def build(folder: Path, **settings) -> dict[str, list[tuple[str, str]]]:
    """Run the stage and read its three files: (text, origin) by split."""
    corpus.run(
        slice_of(source(**settings)), **{split: folder / f"{split}.parquet" for split in SPLITS}
    )
    tables = {split: pq.read_table(folder / f"{split}.parquet").to_pydict() for split in SPLITS}
    return {s: list(zip(t["text"], t["origin"], strict=True)) for s, t in tables.items()}


def write_jsonl(path: Path, texts) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_text_is_normalised_before_it_is_compared():
    found, dropped = kept(["café", "cafe\u0301", "", " \n", "other", "\ud800", "café"])
    assert {k.document for k in found} == {("café", "here", "0"), ("other", "here", "4")}
    assert [k.size for k in found] == [5, 5]
    assert dropped == {"duplicate": 2, "empty": 2, "mis-encoded": 1}


@pytest.mark.parametrize("held", [2**25, 300])
def test_the_order_is_the_seeds_and_nothing_elses(monkeypatch, held):
    monkeypatch.setattr(shuffle, "HELD", held)
    texts = [f"text {i}" for i in range(3000)]
    found = texts_of(kept(texts)[0])
    assert sorted(found) == sorted(texts)
    assert found == texts_of(kept(texts[::-1])[0]) != texts_of(kept(texts, seed=4)[0])
    places = np.array([int(text.split()[1]) for text in found])
    assert abs(np.corrcoef(places, np.arange(3000))[0, 1]) < 0.06


@pytest.mark.parametrize("held", [2**25, 300])
@pytest.mark.parametrize("limit", [1, 7, 500, 2999, 3000, 4000])
def test_documents_are_the_beginning_of_that_order(monkeypatch, held, limit):
    monkeypatch.setattr(shuffle, "HELD", held)
    texts = [f"text {i}" for i in range(3000)]
    assert texts_of(kept(texts, documents=limit)[0]) == texts_of(kept(texts)[0])[:limit]


@pytest.mark.parametrize("held", [2**25, 300])
@pytest.mark.parametrize("limit", [1, 3, 17, 1000, 20_000, 10**6])
def test_bytes_takes_the_longest_beginning_that_fits(monkeypatch, held, limit):
    monkeypatch.setattr(shuffle, "HELD", held)
    texts = [f"é{i}" * (i % 7 + 1) for i in range(2000)]
    order = texts_of(kept(texts)[0])
    ends = np.cumsum([len(text.encode()) for text in order])
    assert texts_of(kept(texts, bytes=limit)[0]) == order[: np.searchsorted(ends, limit, "right")]


def test_what_a_limit_cannot_reach_is_not_kept(monkeypatch):
    monkeypatch.setattr(shuffle, "HELD", 1000)
    with shuffle.Shuffle(0, documents=100) as drawn:
        for i in range(20_000):
            text = f"text {i}"
            digest = hashlib.sha256(text.encode()).digest()
            drawn.add(shuffle.Hashed(Document(text, "", ""), digest, len(text)))
        assert len(drawn._files) < 10
        assert len(list(drawn)) == 100


def test_a_limit_draws_from_all_sources_alike():
    """A limit took the first ones in name order, and lost whole sources."""
    texts = [f"text {i}" for i in range(4000)]
    found, _ = kept(texts, documents=1000)
    of = Counter(int(k.document.origin) // 1000 for k in found)
    assert len(of) == 4
    assert all(abs(count - 250) < 55 for count in of.values())  # four standard deviations


def test_the_split_is_the_hash_read_as_a_number():
    settings = slice_of(source(validation=0.25, selection=0.125))
    for i in range(500):
        digest = hashlib.sha256(str(i).encode()).digest()
        place = int(digest.hex()[:16], 16) / 16**16
        expected = "validation" if place < 0.25 else "selection" if place >= 0.875 else "train"
        assert corpus.split(digest, settings) == expected


def test_no_text_is_trained_on_in_one_corpus_and_held_out_in_another():
    shares = [(0.08, 0.02), (0.5, 0.02), (0.08, 0.3), (0.2, 0.1)]
    scale = {"validation": 0.5, "selection": 0.3}
    for i in range(2000):
        digest = hashlib.sha256(str(i).encode()).digest()
        found = [
            corpus.split(digest, slice_of(source(validation=v, selection=s), **scale))
            for v, s in shares
        ]
        assert len({*found} - {None}) <= 1
        for (v, s), one in zip(shares, found, strict=True):
            alone = corpus.split(digest, slice_of(source(validation=v, selection=s)))
            assert one == alone or (alone == "train" and one is None)


def test_shares_are_kept_and_order_does_not_matter():
    texts = [f"text {i}" for i in range(20_000)]
    found, _ = kept(texts)
    shares = Counter(corpus.split(k.digest, slice_of(source())) for k in found)
    assert abs(shares["validation"] / 20_000 - 0.08) < 0.006  # three standard deviations
    assert abs(shares["selection"] / 20_000 - 0.02) < 0.003


def test_one_share_moves_no_document_of_the_other():
    digests = [hashlib.sha256(f"text {i}".encode()).digest() for i in range(2000)]

    def members(split, **shares):
        settings = slice_of(source(**shares))
        return {digest for digest in digests if corpus.split(digest, settings) == split}

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
        corpus.run(
            slice_of(settings, seed),
            **{split: tmp_path / folder / f"{split}.parquet" for split in SPLITS},
        )
    one, same, other = ((tmp_path / f / "train.parquet").read_bytes() for f in "abc")
    assert one == same != other
    table = pq.read_table(tmp_path / "a/train.parquet").to_pydict()
    assert all(origin.startswith("generated:stories:") for origin in table["origin"])
    assert {*table["source"]} == {"stories"}
    hashes = [int(hashlib.sha256(t.encode()).hexdigest()[:16], 16) for t in table["text"]]
    assert table["hash"] == hashes


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
