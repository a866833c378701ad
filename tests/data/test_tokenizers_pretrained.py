"""Tokenizers that exist: SentencePiece models with the library's own ids, folders, the hub."""

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import ByteLevelBPETokenizer

from featflow.config.errors import ConfigError
from featflow.config.tokenizers import Pretrained
from featflow.data import spm, tokenizer
from featflow.plan.stages.data import TokenizerSlice
from tests.data.hub_server import serving

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv.peers/lib/python3.11/site-packages/mistral_common/data"
MISTRAL = PEERS / "tokenizer.model.v1"
TEXTS = [
    "Hello world",
    " lead",
    "  two  spaces ",
    "\ttab\n\n  y  \r\n",
    "",
    "   ",
    "a" * 60,
    "def f(x):\n    return {x: [1, 20.5]}  # a sum\n\n\n\tpass\n",
    "naïve café — 日本語 한국어 العربية 😀 👩‍👩‍👧 🇩🇪 \u200b\x07 ½ ﬁ \u3000全角 nbsp\u00a0x",
    "<s> </s> <unk> <s></s>a <0x0A>x<0x41> [INST]",  # what text must not be able to set
    "▁ ▁▁ a▁b _ __init__",
]
PIECES = [*"abcdefghij   \n\t<>s/0xA▁éß日😀.,;()_=", "the ", "return ", "self.", "import "]


def settings(name, **changes) -> TokenizerSlice:
    found = Pretrained(kind="pretrained", name=str(name), **changes)
    return TokenizerSlice(study="s", tokenizer=found)


def built(name, folder, **changes):
    output = folder / "out/tokenizer.json"
    tokenizer.run(settings(name, **changes), corpora=[], output=output)
    return tokenizer.load(output)


@pytest.fixture(scope="module")
def texts():
    """Varied text: what is above, this repository's own, and characters at random."""
    found = [*TEXTS, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    draw = random.Random(0)
    found += ["".join(draw.choices(PIECES, k=draw.randint(1, 40))) for _ in range(500)]
    return found


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Train a small SentencePiece model on this repository's code and docs."""
    paths = [*(ROOT / "featflow/data").rglob("*.py"), ROOT / "README.md"]
    lines = [line for path in paths for line in path.read_text().splitlines() if line.strip()]

    def to(**options) -> Path:
        model = io.BytesIO()
        options = {"vocab_size": 700, "minloglevel": 3, "character_coverage": 0.999, **options}
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, **options
        )
        path = tmp_path_factory.mktemp("spm") / "small.model"
        path.write_bytes(model.getvalue())
        return path

    return to


def assert_same(ours, path: Path, texts: list[str]) -> None:
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    assert ours.get_vocab_size() == theirs.vocab_size()
    for text in texts:
        expected = theirs.encode(text)
        assert ours.encode(text, add_special_tokens=False).ids == expected, text
        if theirs.unk_id() not in expected and not text.startswith("▁"):
            assert ours.decode(expected, skip_special_tokens=False) == theirs.decode(expected), text


@pytest.mark.skipif(not MISTRAL.is_file(), reason="mistral-common is not in .venv.peers")
def test_mistrals_first_tokenizer(texts, tmp_path):
    ours = built(MISTRAL, tmp_path)
    assert_same(ours, MISTRAL, texts)
    assert tokenizer.document_token(ours) == ("<s>", 1) and ours.get_vocab_size() == 32_000
    assert ours.encode("Hello world").ids == [1, 22557, 1526]


KEPT = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
"""Mistral's and Llama's way: text as it is."""


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize(
    "options",
    [
        {"byte_fallback": True, **KEPT},
        {"byte_fallback": False, **KEPT},
        {"byte_fallback": True},
        {"byte_fallback": True, "add_dummy_prefix": False, "normalization_rule_name": "identity"},
    ],
    ids=["kept", "unknown", "nmt_nfkc", "no-prefix"],
)
def test_small_models_give_the_librarys_ids(train, texts, tmp_path, kind, options):
    path = train(model_type=kind, **options)
    if kind == "unigram":  # cuts of a long text that score alike are decided by rounding
        texts = [text[:2000] for text in texts]
    ours = built(path, tmp_path)
    assert_same(ours, path, texts)
    assert tokenizer.document_token(ours) == ("<s>", 1)
    for text in TEXTS:  # no text begins a document
        assert not {1, 2} & {*ours.encode(text, add_special_tokens=False).ids}


def test_a_symbol_of_the_user_is_one_token(train, tmp_path):
    path = train(model_type="bpe", user_defined_symbols=["<code>"], **KEPT)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ours = built(path, tmp_path)
    text = "a list <code>"  # behind it the two differ: see spm.py
    assert ours.encode(text, add_special_tokens=False).ids == theirs.encode(text)
    assert theirs.piece_to_id("<code>") in theirs.encode(text)


def test_transformers_reads_what_is_written(train, tmp_path):
    from transformers import PreTrainedTokenizerFast

    path = train(model_type="bpe", byte_fallback=True, **KEPT)
    ours = built(path, tmp_path)
    peer = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "out/tokenizer.json"))
    assert (
        peer("def f(x):\n    return x")["input_ids"] == ours.encode("def f(x):\n    return x").ids
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[: len(content) // 2 + 1], "no SentencePiece model, or a trunc"),
        (lambda content: b"\x89PNG\r\n\x1a\n" + content, "no SentencePiece model"),
        (lambda content: b"", "it has no pieces"),
        (lambda content: b'{"model": 1}', r"is no tokenizer\.json"),
    ],
    ids=["truncated", "foreign", "empty", "json"],
)
def test_a_broken_file_is_named(train, tmp_path, change, words):
    path = tmp_path / "broken.model"
    path.write_bytes(change(train(model_type="bpe").read_bytes()))
    with pytest.raises(ConfigError, match=rf"^studies\.s\.tokenizer\.name: .*broken.*{words}"):
        built(path, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_type_is_refused(train, tmp_path):
    with pytest.raises(ConfigError, match="of type unigram and bpe"):
        built(train(model_type="char", vocab_size=90), tmp_path)


# Folders, and the hub.


def test_a_folder_with_a_sentencepiece_model_alone(train, tmp_path):
    path = train(model_type="bpe", byte_fallback=True, **KEPT)
    (tmp_path / "tokenizer.model").write_bytes(path.read_bytes())
    assert_same(built(tmp_path, tmp_path), path, TEXTS)


def test_a_folder_with_vocabulary_and_merges(tmp_path):
    trained = ByteLevelBPETokenizer()
    text = "hello you there, hello you"
    trained.train_from_iterator([text] * 9, 280, special_tokens=["<|endoftext|>"])
    trained.save_model(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    ours = built(tmp_path, tmp_path)
    assert ours.encode(text, add_special_tokens=False).ids == trained.encode(text).ids
    assert tokenizer.document_token(ours)[0] == "<|endoftext|>"


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    with pytest.raises(ConfigError, match=r"no tokenizer\.json, no tokenizer\.model.*config\.json"):
        built(tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"\.revision: .* lies here and has none"):
        built(tmp_path, tmp_path, revision="v1")


def test_what_would_run_code_is_not_asked_about(tmp_path, monkeypatch):
    """A folder that brings its own class is refused, on a terminal too."""
    config = {"tokenizer_class": "X", "auto_map": {"AutoTokenizer": ["x.X", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "x.py").write_text("raise SystemExit('run')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(ConfigError, match="nothing else that transformers reads"):
        built(tmp_path, tmp_path)


def stage(folder: Path, name: str, endpoint: str, **environment: str):
    cfg = settings(name).dumps()
    output = str(folder / "out/tokenizer.json")
    command = [sys.executable, "-m", "featflow", "tokenizer", "--cfg", cfg, "--output", output]
    given = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "--corpora"],
        cwd=folder,
        env={**os.environ, **given, **environment},
        capture_output=True,
        text=True,
    )


def test_the_hub_gives_a_tokenizer_and_says_what_is_missing(train, tmp_path):
    path = train(model_type="bpe", byte_fallback=True, **KEPT)
    repository = tmp_path / "models/owner/model"
    repository.mkdir(parents=True)
    (repository / "tokenizer.model").write_bytes(path.read_bytes())
    (repository / "model.safetensors").write_bytes(b"weights")
    with serving(tmp_path, gated={"owner/model": "hf_theRightOne"}) as server:
        refused = stage(tmp_path, "owner/model", server.endpoint)
        assert refused.returncode == 1 and not (tmp_path / "out").exists()
        assert "studies.s.tokenizer.name: 'owner/model' is gated, and HF_TOKEN is not set" in (
            refused.stderr
        )
        assert f"terms at {server.endpoint}/owner/model" in refused.stderr
        done = stage(tmp_path, "owner/model", server.endpoint, HF_TOKEN="hf_theRightOne")
        asked = [request.path for request in server.requests]
    assert done.returncode == 0, done.stderr
    assert_same(tokenizer.load(tmp_path / "out/tokenizer.json"), path, TEXTS)
    assert not any("safetensors" in name for name in asked)
    assert "hf_theRightOne" not in done.stderr + (tmp_path / "out/provenance.json").read_text()
    offline = stage(tmp_path, "owner/none", server.endpoint)
    assert offline.returncode == 1 and "the hub cannot be reached" in offline.stderr


def test_conversion_says_what_it_cannot_read(tmp_path):
    (tmp_path / "x.model").write_bytes(b"words")
    with pytest.raises(ValueError, match="no SentencePiece model"):
        spm.convert(tmp_path / "x.model")
