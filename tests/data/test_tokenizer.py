"""The tokenizer stage: a trained BPE and existing ones."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, pre_tokenizers

from featflow.artifacts.io import ArtifactError
from featflow.config.errors import ConfigError
from featflow.config.tokenizers import Bpe, Pretrained
from featflow.data import tokenizer
from featflow.data.tokenizers import bpe
from featflow.plan.stages.data import TokenizerSlice

ROOT = Path(__file__).parents[2]
CODE = "def add(a, b):\n    # a sum\n    total = a + b == 1024\n\n    return total\n"
PROSE = "The cat's hat isn't here — she'd said so; naïve 日本 😀 at 10:45.\n"


def settings() -> TokenizerSlice:
    bpe = Bpe(kind="bpe", corpora=["code", "prose"], vocabulary=320)
    return TokenizerSlice(study="desk", tokenizer=bpe)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory, write):
    """Two corpora of 200 documents each."""
    folder = tmp_path_factory.mktemp("corpora")
    code = write(folder / "code/train.parquet", [f"{CODE}x_{i} = {i}\n" for i in range(200)])
    return [
        code,
        write(folder / "prose/train.parquet", [f"{PROSE}Story {i}.\n" for i in range(200)]),
    ]


@pytest.fixture(scope="module")
def file(corpora, tmp_path_factory):
    """A trained tokenizer.json."""
    output = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.run(settings(), corpora=corpora, output=output)
    return output


def test_special_tokens_have_mistrals_ids(file):
    trained = tokenizer.load(file)
    assert [trained.id_to_token(i) for i in range(3)] == ["<unk>", "<s>", "</s>"]
    assert tokenizer.document_token(trained) == ("<s>", 1)
    assert trained.get_vocab_size() == 320


def test_any_text_comes_back_byte_for_byte(file):
    trained = tokenizer.load(file)
    for text in [CODE, PROSE, " lead", "\t\tx\r\n\r\n  y  ", "\x07\u200b𝔘", "<s> </s>", ""]:
        ids = trained.encode(text, add_special_tokens=False).ids
        assert trained.decode(ids, skip_special_tokens=False) == text
        assert not {0, 1, 2} & {*ids}


def pieces(text: str) -> list[str]:
    split = pre_tokenizers.Split(bpe.Regex(bpe.PIECES), "isolated")
    return [piece for piece, _ in split.pre_tokenize_str(text)]


def test_code_is_cut_where_code_wants_it():
    assert pieces("x_max = 1024") == ["x", "_max", " =", " ", "1", "0", "2", "4"]
    assert pieces("f():\n        return a\n") == ["f", "():\n", "       ", " return", " a", "\n"]
    assert pieces("it's We'LL") == ["it", "'s", " We", "'LL"]
    assert pieces("a\n\n\nb") == ["a", "\n\n\n", "b"]


def test_no_token_joins_digits_or_crosses_a_piece(file):
    trained = tokenizer.load(file)
    for token, number in trained.get_vocab().items():
        text = trained.decode([number])
        if number > 2 and "\ufffd" not in text:
            assert sum(c.isdigit() for c in text) <= 1, token
            assert len(pieces(text)) == 1, token


def test_transformers_reads_it_and_begins_a_document(file):
    from transformers import PreTrainedTokenizerFast

    peer = PreTrainedTokenizerFast(tokenizer_file=str(file), bos_token="<s>")
    ids = tokenizer.load(file).encode(CODE, add_special_tokens=False).ids
    assert peer(CODE)["input_ids"] == [1, *ids]
    assert peer(CODE, add_special_tokens=False)["input_ids"] == ids


def test_training_gives_the_same_bytes_in_another_process(corpora, file, tmp_path):
    code = (
        "import sys; from pathlib import Path; from featflow.data import tokenizer; "
        "from featflow.plan.stages.data import TokenizerSlice; "
        "cfg = TokenizerSlice.model_validate_json(sys.argv[1]); "
        "tokenizer.run(cfg, corpora=list(map(Path, sys.argv[3:])), output=Path(sys.argv[2]))"
    )
    for i, threads in enumerate(("1", "2")):
        output = tmp_path / str(i) / "tokenizer.json"
        arguments = [settings().dumps(), str(output), *map(str, corpora)]
        environment = {**os.environ, "PYTHONHASHSEED": str(i), "RAYON_NUM_THREADS": threads}
        command = [sys.executable, "-c", code, *arguments]
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
        assert output.read_bytes() == file.read_bytes()
        assert output.with_name("provenance.json").read_bytes() == (
            file.with_name("provenance.json").read_bytes()
        )


def test_the_record_lies_beside_it(file):
    record = json.loads(file.with_name("provenance.json").read_text())
    assert (record["document_token"], record["document_token_id"]) == ("<s>", 1)
    assert record["vocabulary"] == 320
    assert record["featflow"]["stage"] == "tokenizer"
    assert record["featflow"]["config"]["tokenizer"]["corpora"] == ["code", "prose"]


def test_a_sample_takes_the_same_bytes_of_each_corpus_in_hash_order(tmp_path, write):
    letters = {name: [f"{name}{i}" * (i % 7 + 1) for i in range(300)] for name in "ab"}
    paths = [write(tmp_path / name, texts) for name, texts in letters.items()]
    taken = list(bpe.sample(paths, 1000))
    for name, texts in letters.items():
        mine = [text for text in taken if text.startswith(name)]
        order = sorted(texts, key=lambda t: hashlib.sha256(t.encode()).digest()[8:24])
        assert sum(map(len, mine)) == 1000
        beginning = "".join(order)[:1000]
        assert sorted("".join(mine)) == sorted(beginning)
    # the order of a corpus's documents changes nothing
    again = write(tmp_path / "c", letters["a"][::-1])
    assert sorted(bpe.sample([again], 1000)) == sorted(bpe.sample(paths[:1], 1000))


def test_the_smallest_corpus_limits_the_sample(tmp_path, write):
    paths = [write(tmp_path / "a", ["é" * 10]), write(tmp_path / "b", ["b" * 300])]
    assert list(bpe.sample(paths, 1000)) == ["é" * 10, "b" * 20]
    assert list(bpe.sample(paths, 5)) == ["éé", "b" * 5]  # not half a character


@pytest.fixture(scope="module")
def existing(file, tmp_path_factory):
    """A folder with the tokenizer of another project, which truncates and pads."""
    other = Tokenizer.from_file(str(file))
    other.enable_truncation(8)
    other.enable_padding(length=8)
    folder = tmp_path_factory.mktemp("existing")
    other.save(str(folder / "tokenizer.json"))
    return folder


def pretrained(name, output, **changes):
    settings = Pretrained(kind="pretrained", name=str(name), **changes)
    cfg = TokenizerSlice(study="desk", tokenizer=settings)
    tokenizer.run(cfg, corpora=[], output=output)


@pytest.mark.parametrize("name", ["", "tokenizer.json"])
def test_an_existing_tokenizer_is_taken_whole_and_cuts_nothing(existing, file, tmp_path, name):
    pretrained(existing / name, tmp_path / "tokenizer.json")
    ours, theirs = (json.loads(p.read_text()) for p in (tmp_path / "tokenizer.json", file))
    assert ours == theirs
    assert len(tokenizer.load(tmp_path / "tokenizer.json").encode(CODE * 5).ids) > 100


def test_what_is_no_tokenizer_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text('{"model": 1}')
    with pytest.raises(ConfigError, match=r"tokenizer\.name: the folder .* has no tokenizer\.json"):
        pretrained(tmp_path / "empty", tmp_path / "tokenizer.json")
    with pytest.raises(ConfigError, match=r"broken\.json is no tokenizer\.json"):
        pretrained(tmp_path / "broken.json", tmp_path / "tokenizer.json")
    with pytest.raises(ArtifactError, match=r"broken\.json: cannot be read"):
        tokenizer.load(tmp_path / "broken.json")
    assert not (tmp_path / "tokenizer.json").exists()
