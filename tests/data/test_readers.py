"""Every format reads the same documents; every broken file is named."""

import gzip
import json
import random
from collections.abc import Callable

import pandas as pd
import pytest
import zstandard

from featflow.config.errors import FeatflowError
from featflow.data import readers
from featflow.data.places import SourceError
from featflow.data.readers import Unsuitable, has_fields, texts

DOCUMENTS = ["plain", "two\nlines", "naïve 日本 😀", "", "  "]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}


def jsonl(records) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def parquet(frame: pd.DataFrame) -> bytes:
    content = frame.to_parquet()
    assert content is not None
    return content


def read(path, field="text", max_bytes=1000):
    return [found[:2] for found in texts(path, field, max_bytes)]


@pytest.fixture(params=COMPRESS)
def file(request, tmp_path):
    """Write content, compressed or not, under a name."""

    def write(name: str, content: bytes):
        path = tmp_path / (name + request.param)
        path.write_bytes(COMPRESS[request.param](content))
        return path

    return write


def test_a_text_file_is_one_document(file):
    assert read(file("a.py", "x = 'é'\n".encode())) == [(None, "x = 'é'\n")]


def test_a_byte_order_mark_is_no_text(file):
    assert read(file("a.txt", "x".encode("utf-8-sig"))) == [(None, "x")]


def test_jsonl_counts_lines_from_1_and_skips_blank_ones(file):
    content = b"\n" + jsonl({"text": d, "other": 1} for d in DOCUMENTS)
    assert read(file("a.jsonl", content)) == list(enumerate(DOCUMENTS, 2))


def test_parquet_counts_rows_from_0_over_batches(file):
    many = [f"{d} {i}" for i in range(200) for d in DOCUMENTS]
    content = parquet(pd.DataFrame({"n": range(len(many)), "body": many}))
    assert read(file("a.parquet", content), field="body") == list(enumerate(many))


def test_null_is_an_empty_document(file):
    assert read(file("a.jsonl", jsonl([{"text": None}]))) == [(1, "")]
    assert read(file("a.parquet", parquet(pd.DataFrame({"text": ["x", None]})))) == [
        (0, "x"),
        (1, ""),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"ab\0c", "binary"), (b"caf\xe9", "not UTF-8"), (b"x" * 1001, "too large")],
)
def test_an_unsuitable_text_file_says_why(file, content, reason):
    with pytest.raises(Unsuitable, match=reason):
        read(file("a.txt", content))


def test_the_largest_size_is_still_read(file):
    assert read(file("a.txt", b"x" * 1000)) == [(None, "x" * 1000)]


def test_concatenated_members_are_all_read(tmp_path):
    for suffix, compress in list(COMPRESS.items())[1:]:
        path = tmp_path / f"a.txt{suffix}"
        path.write_bytes(compress(b"one ") + compress(b"two"))
        assert read(path) == [(None, "one two")]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_a_truncated_compressed_file_is_named(tmp_path, suffix, name):
    noise = random.Random(0).randbytes(300_000).hex()
    table = parquet(pd.DataFrame({"text": [noise]}))
    content = {"a.txt": noise.encode(), "a.jsonl": jsonl([{"text": noise}] * 3), "a.parquet": table}
    whole = COMPRESS[suffix](content[name])
    path = tmp_path / (name + suffix)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FeatflowError, match=rf"{name}{suffix}: corrupt"):
        read(path, max_bytes=10_000_000)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.zst", "a.jsonl", "a.parquet", "a.parquet.gz"])
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else, long enough to hold a footer")
    with pytest.raises(FeatflowError, match=rf"{name}: corrupt.*`exclude`"):
        read(tmp_path / name)


@pytest.mark.parametrize("line", [b'{"text": "cut', b'{"text": "caf\xe9"}', b"[" * 10_000])
def test_a_corrupt_line_is_named(file, line):
    with pytest.raises(FeatflowError, match=r"a\.jsonl.*: corrupt.*line 2"):
        read(file("a.jsonl", b'{"text": "good"}\n' + line + b"\n"))


def test_a_missing_field_names_the_key_and_what_there_is(file):
    with pytest.raises(SourceError, match=r"^text: .*line 1.* no field 'body'; it has: text, n"):
        read(file("a.jsonl", jsonl([{"text": "x", "n": 1}])), field="body")
    with pytest.raises(SourceError, match=r"^text: .* no column 'body'; it has: text, n"):
        content = parquet(pd.DataFrame({"text": ["x"], "n": [1]}))
        read(file("a.parquet", content), field="body")


def test_a_field_that_is_not_text_is_an_error(file):
    with pytest.raises(SourceError, match=r"^text: field 'n' of .*line 1, holds int"):
        read(file("a.jsonl", jsonl([{"n": 1}])), field="n")
    with pytest.raises(SourceError, match=r"line 1, holds list, not an object"):
        read(file("a.jsonl", b"[1]\n"))
    with pytest.raises(SourceError, match=r"column 'n' of .* holds int"):
        read(file("a.parquet", parquet(pd.DataFrame({"n": [1]}))), field="n")


def test_a_file_that_vanished_is_named(tmp_path):
    with pytest.raises(FeatflowError, match=r"gone\.txt: no such file"):
        read(tmp_path / "gone.txt")


# What a file holds is known by its content, whatever its name.

RECORDS = [{"n": 1, "body": "one"}, {"n": 2, "body": "two\n,lines"}, {"n": 3, "body": ""}]
BODIES = [record["body"] for record in RECORDS]
LINES = jsonl(RECORDS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            (name, LINES)
            for name in ("a.json", "a.ndjson", "a.JSONL", "a.Jsonl", "a.txt", "part-0")
        ),
        ("a.jsonlines", LINES),
        ("a.json", LINES.replace(b"\n", b"\r\n")),
        ("a.json", b"\xef\xbb\xbf" + LINES),
        ("a.json", json.dumps(RECORDS).encode()),
        ("a.JSON", b"\xef\xbb\xbf\n " + json.dumps(RECORDS, indent=2).encode() + b"\n"),
        ("a.data", json.dumps(RECORDS, indent=1).encode()),
        ("a.json", b"\n".join(json.dumps(record, indent=2).encode() for record in RECORDS)),
        ("a.parquet", parquet(pd.DataFrame(RECORDS))),
        ("A.PARQUET", parquet(pd.DataFrame(RECORDS))),
        ("a.bin", parquet(pd.DataFrame(RECORDS))),
        *(
            (name, pd.DataFrame(RECORDS).to_csv(index=False, sep=separator).encode())
            for name, separator in [
                ("a.csv", ","),
                ("a.CSV", ","),
                ("a.csv", ";"),
                ("a.csv", "|"),
                ("a.csv", "\t"),
                ("a.tsv", "\t"),
                ("a.TSV", "\t"),
            ]
        ),
        ("a.csv", b"\xef\xbb\xbf" + pd.DataFrame(RECORDS).to_csv(index=False).encode()),
    ],
)
def test_records_are_known_by_name_and_content(file, name, content):
    path = file(name, content)
    assert [text for _, text in read(path, "body")] == BODIES
    assert has_fields(path, "body")


@pytest.mark.parametrize("suffix", ["", ".GZ", ".Zst", ".data"])
@pytest.mark.parametrize("kind", [".gz", ".zst"])
def test_packing_is_known_too(tmp_path, suffix, kind):
    if suffix in ("", ".data") or suffix.lower() == kind:
        path = tmp_path / f"a.txt{suffix}"
        path.write_bytes(COMPRESS[kind](b"a text"))
        assert read(path) == [(None, "a text")]
        path.write_bytes(COMPRESS[kind](LINES))
        assert [text for _, text in read(path, "body")] == BODIES


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package.json", '{\n  "name": "x",\n  "version": "1"\n}\n'),
        ("tsconfig.json", "[1, 2]"),
        ("a.md", "[link](x) {y}\n"),
        ("a.py", "{'a': 1}\n{'b': 2}\n"),
        ("a.js", '{"a": 1}; f()\n'),
        ("a.txt", '["one", "two"]'),
        ("deep.json", '{"a":' * 10_000),
        ("deep.json", "[" * 10_000),
    ],
)
def test_what_only_looks_like_records_is_a_text(file, name, content):
    path = file(name, content.encode())
    assert read(path, max_bytes=10**6) == [(None, content)]
    assert not has_fields(path, "text")


def test_an_object_alone_is_a_record_if_it_has_the_field(file):
    assert read(file("a.json", b'{"text": "x", "n": 1}')) == [(0, "x")]
    assert read(file("b.json", json.dumps({"text": "x"}, indent=2).encode())) == [(0, "x")]


def test_an_array_of_texts_has_no_fields(file):
    path = file("a.json", b'["one", "two"]')
    assert read(path) == [(0, "one"), (1, "two")] and not has_fields(path, "text")


def test_records_below_a_key_are_pointed_at(file):
    path = file("a.json", b'{"version": 1, "data": [{"text": "x"}, {"text": "y"}]}')
    with pytest.raises(SourceError, match=r"^text: the records are in a list, 'data', .*jq -c"):
        read(path)


def test_a_large_array_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "CHUNK", 7)
    many = [{"text": f"é {i}" * (i % 5)} for i in range(200)]
    for indent in (None, 2):
        (tmp_path / "a.json").write_text(json.dumps(many, indent=indent, ensure_ascii=False))
        assert read(tmp_path / "a.json") == [(i, each["text"]) for i, each in enumerate(many)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b'[{"text": "x"}, {"text": ', "behind"),
        ("a.json", b'[{"text": "x"}', "behind"),
        ("a.json", b'[{"text": "x"}] and more', "follows the array"),
        ("a.json", b'{"text": "x"}\n{"text": "cut', "line 2"),
        ("a.json", b'{"text": "x"}\nnot JSON', "line 2"),
        ("a.jsonl", b"[" * 10_000, "line 1"),
        ("a.csv", b'text,n\n"cut', "unexpected end"),
        ("a.csv", b"text,n\none,1\ntwo,2,3\n", "line 3 has 3 columns, and the first 2"),
        ("a.csv", b"text,n\ncaf\xe9,1\n", "utf-8"),
    ],
)
def test_records_that_end_in_the_middle_are_named(file, name, content, words):
    with pytest.raises(FeatflowError, match=rf"{name}.*: (corrupt.*{words}|the records)"):
        read(file(name, content))


def test_a_missing_column_of_a_table_is_named(file):
    with pytest.raises(SourceError, match=r"^text: .* no column 'text'; it has: n, body"):
        read(file("a.csv", pd.DataFrame(RECORDS).to_csv(index=False).encode()))
    with pytest.raises(SourceError, match=r"^text: .*, record 1, has no field 'text'; it has: a"):
        read(file("a.json", b'[{"text": "x"}, {"a": 1}]'))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"text": "one", "site": "x"}\n{"text": "two", "site": 7}\n'),
        ("a.json", b'[{"text": "one", "site": "x"}, {"text": "two", "site": 7}]'),
        ("a.csv", b"site,text\nx,one\n7,two\n"),
        ("a.parquet", None),
    ],
)
def test_a_field_says_what_a_document_is_a_part_of(tmp_path, name, content):
    path = tmp_path / name
    if content is None:
        pd.DataFrame({"text": ["one", "two"], "site": ["x", "7"]}).to_parquet(path)
    else:
        path.write_bytes(content)
    found = list(texts(path, "text", 1000, "site"))
    assert [(f.text, f.source) for f in found] == [("one", "x"), ("two", "7")]
    with pytest.raises(SourceError, match=r"^source: .*has no (field|column) 'page'; it has: "):
        list(texts(path, "text", 1000, "page"))
