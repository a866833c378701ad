"""Every format reads the same documents; every broken file is named."""

import gzip
import json
import random
from collections.abc import Callable

import pandas as pd
import pytest
import zstandard

from featflow.core.config.errors import FeatflowError
from featflow.data.readers import Unsuitable, texts
from featflow.data.sources import SourceError

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
    return list(texts(path, field, max_bytes))


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
