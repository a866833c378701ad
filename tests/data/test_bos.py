"""What begins a document is what a tokenizer's files say; else it is asked for, never guessed."""

import json

import pytest
from tokenizers import Tokenizer, models, processors

from featflow.config.errors import ConfigError
from featflow.config.tokenizers import Pretrained
from featflow.data import tokenizer
from featflow.data.bos import document_token
from featflow.data.tokens import encode
from featflow.plan.stages.data import TokenizerSlice
from tests.data.test_corpora_files import said  # noqa: F401

SPECIAL = [
    "<s>",
    "</s>",
    "<pad>",
    "<|endoftext|>",
    "<BOS_TOKEN>",
    "<｜begin▁of▁sentence｜>",
    "<a:b $A>",
    "[CLS]",
    "[SEP]",
]


def write(folder, processor=None, **files):
    """A tokenizer.json with all special tokens, and files beside it."""
    made = Tokenizer(models.WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    made.add_special_tokens(SPECIAL)
    if processor:
        made.post_processor = processor
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return made


def begins(folder, name="source", **settings):
    """What the stage takes from the tokenizer `source`, by the tokenizer.json that it writes."""
    found = Pretrained(kind="pretrained", name=str(folder / name), **settings)
    output = folder / "out/tokenizer.json"
    tokenizer.run(TokenizerSlice(study="s", tokenizer=found), corpora=[], output=output)
    token = document_token(tokenizer.load(output))
    record = json.loads(output.with_name("provenance.json").read_text())
    assert (record["document_token"], record["document_token_id"]) == (token or (None, None))
    assert token is None or Tokenizer.from_file(str(output)).encode("a").tokens == [token[0], "a"]
    return token and token[0]


def added(content: str) -> dict:
    """A token as older versions of transformers write it."""
    return {"__type": "AddedToken", "content": content, "lstrip": False, "special": True}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tokenizer_config": {"bos_token": "<BOS_TOKEN>"}}, "<BOS_TOKEN>"),
        ({"tokenizer_config": {"bos_token": added("</s>"), "add_bos_token": True}}, "</s>"),
        (
            {"special_tokens_map": {"bos_token": added("<｜begin▁of▁sentence｜>")}},
            "<｜begin▁of▁sentence｜>",
        ),
        # the config counts more than the map
        (
            {"special_tokens_map": {"bos_token": "<s>"}, "tokenizer_config": {"bos_token": "</s>"}},
            "</s>",
        ),
        ({"special_tokens_map": {"bos_token": "<a:b $A>"}}, "<a:b $A>"),
        # GPT-2: what ends a document begins the next
        (
            {
                "tokenizer_config": {
                    "bos_token": "<|endoftext|>",
                    "eos_token": "<|endoftext|>",
                    "add_bos_token": False,
                }
            },
            "<|endoftext|>",
        ),
        # Yi: a token that nobody puts there
        (
            {"tokenizer_config": {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}},
            None,
        ),
        # Qwen2: none, whatever a model's config.json says
        (
            {
                "tokenizer_config": {"bos_token": None, "eos_token": "<|endoftext|>"},
                "config": {"bos_token_id": 3},
            },
            None,
        ),
        ({"config": {"bos_token_id": 4}}, "</s>"),
    ],
)
def test_what_the_files_say(tmp_path, files, expected):
    write(tmp_path / "source", **files)
    assert begins(tmp_path) == expected
    assert begins(tmp_path, "source/tokenizer.json") == expected


TEMPLATE = processors.TemplateProcessing(
    single="<s> $A </s>", pair="<s> $A $B", special_tokens=[("<s>", 3), ("</s>", 4)]
)
ENDS = processors.TemplateProcessing(
    single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 4)]
)


def test_what_it_puts_in_front_itself(tmp_path):
    for processor in (
        processors.BertProcessing(("[SEP]", 11), ("[CLS]", 10)),
        processors.RobertaProcessing(("[SEP]", 11), ("[CLS]", 10)),
    ):
        made = write(tmp_path / "source", processor)
        assert document_token(made) == ("[CLS]", 10)
    assert document_token(write(tmp_path / "source", TEMPLATE)) == ("<s>", 3)
    both = processors.Sequence([processors.ByteLevel(), TEMPLATE])
    assert document_token(write(tmp_path / "source", both)) == ("<s>", 3)
    assert document_token(write(tmp_path / "source", ENDS)) is None


def test_the_config_says_otherwise(tmp_path):
    write(tmp_path / "source", TEMPLATE, tokenizer_config={"bos_token": "<s>"})
    assert begins(tmp_path, bos="</s>") == "</s>"
    assert begins(tmp_path, bos="b") == "b"  # no special token so far
    assert "b" in [
        t.content
        for t in tokenizer.load(tmp_path / "out/tokenizer.json").get_added_tokens_decoder().values()
    ]
    assert begins(tmp_path, bos=None) is None
    with pytest.raises(ConfigError, match=r"tokenizer\.bos: .*no token '<S>'; did you mean '<s>'"):
        begins(tmp_path, bos="<S>")


@pytest.mark.parametrize("processor", [None, ENDS])
def test_nothing_is_guessed(tmp_path, processor):
    """Though it has an `<s>`: many have one that nobody uses."""
    write(tmp_path / "source", processor, tokenizer_config={"model_max_length": 8})
    with pytest.raises(ConfigError) as error:
        begins(tmp_path)
    assert str(error.value).startswith("studies.s.tokenizer.bos: nothing says which token begins")
    assert "special tokens (<s>, </s>" in str(error.value) and "null" in str(error.value)
    assert not (tmp_path / "out").exists()
    assert begins(tmp_path, bos=None) is None


def test_a_token_that_is_not_there_and_a_broken_file_are_named(tmp_path):
    write(tmp_path / "source", tokenizer_config={"bos_token": "<begin>"})
    with pytest.raises(ConfigError, match="no token '<begin>', which by its own files begins"):
        begins(tmp_path)
    (tmp_path / "source/tokenizer_config.json").write_text('{"bos_token": ')
    with pytest.raises(ConfigError, match=r"tokenizer_config\.json cannot be read"):
        begins(tmp_path)
    (tmp_path / "source/tokenizer_config.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"tokenizer_config\.json is no JSON object"):
        begins(tmp_path)


def test_that_none_begins_a_document_is_said(tmp_path, said):  # noqa: F811
    write(tmp_path / "source", tokenizer_config={"bos_token": None})
    with said.at_level("WARNING", logger="featflow"):
        begins(tmp_path)
    assert "no token begins a document" in said.text and "<|endoftext|>" in said.text
    said.clear()
    with said.at_level("WARNING", logger="featflow"):
        begins(tmp_path, bos=None)
    assert not said.text


def test_documents_without_one_between(tmp_path):
    made = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    found = encode([["ab", "", "b"], ["ba"]], made)
    assert found.ids.tolist() == [0, 1, 1, 1, 0]
    assert found.document_starts.tolist() == [0, 2, 3]
