"""Models that exist: from folders in the hub's layout, and from a server that speaks like the hub.

What is wrong with one is said on the command line, and leaves nothing behind.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, processors
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from featflow import cli
from featflow.artifacts.io import load_json
from featflow.models import evaluate, pretrained
from featflow.models.folder import load_model
from featflow.models.hooked import HookedModel
from featflow.models.pretrained import of_text
from featflow.plan.stages.models import EvaluateSlice, PretrainedSlice
from tests.data.hub_server import serving
from tests.models.architectures import write_model

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    """A folder with a model in bf16, and no tokenizer."""
    folder = write_model("llama", tmp_path_factory.mktemp("hub") / "llama")
    model = AutoModelForCausalLM.from_pretrained(folder).bfloat16()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def source(llama, tmp_path) -> Path:
    """A copy of it that may be spoilt."""
    return shutil.copytree(llama, tmp_path / "source")


def slice_of(name: object, **changes) -> PretrainedSlice:
    fields = {"study": "demo", "model": "mine", "name": str(name), "context": 32, **changes}
    return PretrainedSlice(**fields)


def change(folder: Path, **keys) -> None:
    """Set keys of a config.json."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | keys))


@pytest.fixture
def bring(tokenizer_file, tmp_path):
    """Run the stage; gives the model folder."""

    def run(name, tokenizer=None, **changes) -> Path:
        output = tmp_path / "models" / "mine"
        tokenizer = tokenizer or tokenizer_file
        pretrained.run(slice_of(name, **changes), tokenizer=tokenizer, output=output)
        return output

    return run


@pytest.fixture
def refused(tokenizer_file, tmp_path, capsys):
    """Run the stage by its command; gives what it says when it fails and leaves nothing."""

    def run(name, tokenizer=None, **changes) -> str:
        output = tmp_path / "models" / "mine"
        words = ["pretrained", "--cfg", slice_of(name, **changes).dumps()]
        words += ["--tokenizer", str(tokenizer or tokenizer_file), "--output", str(output)]
        with pytest.raises(SystemExit) as exit:
            cli.main(words)
        assert exit.value.code == 1
        assert not output.parent.exists()
        said = capsys.readouterr().err
        assert "this is a fault of featflow" not in said
        return said

    return run


def test_a_folder_is_brought_as_it_is_stored(source, bring, tokenizer_file):
    output = bring(source)
    names = {path.name for path in output.iterdir()}
    assert names >= {"config.json", "generation_config.json", WEIGHTS, "tokenizer.json"}
    before, after = load_file(source / WEIGHTS), load_file(output / WEIGHTS)
    assert before.keys() == after.keys()
    for name in before:
        assert after[name].dtype == torch.bfloat16 and torch.equal(after[name], before[name])
    expected = Tokenizer.from_file(str(tokenizer_file)).encode("the cat sat").ids
    assert AutoTokenizer.from_pretrained(output)("the cat sat")["input_ids"] == expected
    record = json.loads((output / "config.json").read_text())["featflow"]
    assert record["stage"] == "pretrained" and record["config"]["context"] == 32
    assert record["inputs"].keys() == {"tokenizer.json", "config.json", WEIGHTS}
    assert len({path.stat().st_mode & 0o777 for path in output.iterdir()}) == 1


def test_shards_become_one_file(source, bring):
    whole = load_file(source / WEIGHTS)
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    (source / WEIGHTS).unlink()
    model.save_pretrained(source, max_shard_size="20KB")
    assert len(list(source.glob("model-*-of-*.safetensors"))) > 2
    output = bring(source)
    assert [path.name for path in output.glob("*.safetensors*")] == [WEIGHTS]
    found = load_file(output / WEIGHTS)
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_weights_of_several_dtypes_lose_nothing(source, bring):
    weights = load_file(source / WEIGHTS)
    weights["model.norm.weight"] = weights["model.norm.weight"].float() + 1e-4
    save_file(weights, source / WEIGHTS, metadata={"format": "pt"})
    found = load_file(bring(source) / WEIGHTS)
    assert {weight.dtype for weight in found.values()} == {torch.float32}
    assert all(torch.equal(found[name], weights[name].float()) for name in weights)


def test_old_names_of_weights_become_today_s(tmp_path, bring):
    folder = write_model("gpt2", tmp_path / "gpt2")
    new = load_file(folder / WEIGHTS)
    old = {name.removeprefix("transformer."): weight for name, weight in new.items()}
    old["h.0.attn.masked_bias"] = torch.tensor(-torch.inf)  # as such files have it
    save_file(old, folder / WEIGHTS, metadata={"format": "pt"})
    assert load_file(bring(folder) / WEIGHTS).keys() == new.keys()


def test_variables_and_the_home_folder_are_expanded(source, bring, monkeypatch):
    monkeypatch.setenv("MODELS", str(source.parent))
    output = bring("${MODELS}/source")
    config = (output / "config.json").read_text()
    assert "${MODELS}/source" in config and str(source.parent) not in config
    first = {path.name: path.read_bytes() for path in output.iterdir()}
    monkeypatch.setenv("HOME", str(source.parent))
    again = bring("~/source")
    assert (again / WEIGHTS).read_bytes() == first[WEIGHTS]
    assert str(source.parent) not in (again / "config.json").read_text()


def test_the_model_s_own_tokenizer_may_know_more(source, bring, tokenizer_file):
    own = Tokenizer.from_file(str(tokenizer_file))
    own.add_tokens(["<pad>"])
    own.save(str(source / "tokenizer.json"))
    assert bring(source).is_dir()


def test_a_study_that_starts_from_nothing_says_so(refused, tmp_path, monkeypatch):
    said = refused(tmp_path / "nowhere")
    assert "studies.demo.models.mine.name: " in said and "nowhere' is no folder here" in said
    monkeypatch.delenv("MODELS", raising=False)
    assert "the environment variable MODELS is not set" in refused("${MODELS}/x")
    (tmp_path / "file").write_text("")
    assert "is a file; give the folder" in refused(tmp_path / "file")


def test_the_command_fails_too(tokenizer_file, tmp_path):
    words = [sys.executable, "-m", "featflow", "pretrained"]
    words += ["--cfg", slice_of(tmp_path / "nowhere").dumps()]
    words += ["--tokenizer", str(tokenizer_file), "--output", str(tmp_path / "models" / "mine")]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 1 and "is no folder here" in result.stderr
    assert "Traceback" not in result.stderr and not (tmp_path / "models").exists()


def test_pickles_are_never_read(source, refused):
    (source / WEIGHTS).rename(source / "pytorch_model.bin")
    said = refused(source)
    assert f"neither {WEIGHTS} nor {WEIGHTS}.index.json" in said
    assert "Convert it first" in said and "pytorch_model.bin" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read"),
        (lambda data: b"half", "cannot be read"),
        (lambda data: b"", "cannot be read"),
    ],
)
def test_truncated_weights_are_named(source, refused, change, words):
    (source / WEIGHTS).write_bytes(change((source / WEIGHTS).read_bytes()))
    said = refused(source)
    assert f"source/{WEIGHTS} {words}" in said and "copy or download the model again" in said


def test_a_missing_shard_is_named(source, refused):
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    (source / WEIGHTS).unlink()
    model.save_pretrained(source, max_shard_size="20KB")
    shard = sorted(source.glob("model-*"))[1]
    shard.unlink()
    assert f"lacks {shard.name}, which its {WEIGHTS}.index.json names" in refused(source)
    (source / f"{WEIGHTS}.index.json").write_text('{"weight_map": 3}')
    assert "is no index" in refused(source)


def test_weights_of_another_model_are_refused(source, refused):
    save_file({"something": torch.ones(3)}, source / WEIGHTS, metadata={"format": "pt"})
    said = refused(source)
    assert f"{WEIGHTS}: it lacks lm_head.weight" in said and "of a LlamaForCausalLM" in said


def test_weights_of_another_shape_are_refused(source, refused):
    weights = load_file(source / WEIGHTS)
    weights["lm_head.weight"] = weights["lm_head.weight"][:-5].contiguous()
    save_file(weights, source / WEIGHTS, metadata={"format": "pt"})
    assert "lm_head.weight is (295, 32), and (300, 32) in its config.json" in refused(source)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_weight_that_is_not_finite_is_named(source, refused, value):
    weights = load_file(source / WEIGHTS)
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = value
    save_file(weights, source / WEIGHTS, metadata={"format": "pt"})
    assert (
        f"source/{WEIGHTS}: model.layers.1.mlp.up_proj.weight has weights that are not finite"
        in refused(source)
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "is a BertForMaskedLM"),
        ({"model_type": "t5"}, "is a t5, which is no causal language model"),
        ({"model_type": "llama", "architectures": ["LlamaModel"]}, "is a LlamaModel"),
        ({"model_type": "mine", "auto_map": {"AutoConfig": "mine.C"}}, "is never run"),
        ({"model_type": "llama", "hidden_size": "wide"}, "config.json cannot be used"),
        ({}, "config.json cannot be used"),
    ],
)
def test_other_architectures_are_refused(source, refused, config, words):
    (source / "config.json").write_text(json.dumps(config))
    (source / "mine.py").write_text("raise SystemExit('this code must never run')")
    assert words in refused(source)


def test_a_config_that_is_missing_or_broken_is_named(source, refused):
    (source / "config.json").write_text("{")
    assert "source/config.json cannot be used" in refused(source)
    (source / "config.json").unlink()
    assert "has no config.json" in refused(source)


def test_a_model_that_looks_ahead_is_no_causal_one(tmp_path, refused):
    from transformers import BertConfig, BertLMHeadModel

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    config = BertConfig(**sizes, num_attention_heads=4, vocab_size=300)
    model = BertLMHeadModel(config)
    torch.nn.init.normal_(model.get_input_embeddings().weight)
    model.save_pretrained(tmp_path / "bert")
    assert "a token changes what it predicts for the tokens before it" in refused(tmp_path / "bert")


def test_quantised_models_are_refused(source, refused):
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (source / "config.json").write_text(json.dumps(config))
    assert "is quantised (quantization_config" in refused(source)
    del config["quantization_config"]
    (source / "config.json").write_text(json.dumps(config))
    weights = load_file(source / WEIGHTS)
    weights["lm_head.weight"] = weights["lm_head.weight"].to(torch.float8_e4m3fn)
    save_file(weights, source / WEIGHTS, metadata={"format": "pt"})
    assert "is quantised (F8_E4M3)" in refused(source)


def test_ids_beyond_the_embeddings_are_refused(source, refused, tmp_path):
    tokens = {"<s>": 0} | {f"w{i}": i for i in range(1, 400)}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="<s>"))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.save(str(tmp_path / "large.json"))
    said = refused(source, tokenizer=tmp_path / "large.json")
    assert "has 300 rows of embeddings" in said and "ids up to 399 ('w399')" in said
    assert f"tokenizer: {{kind: pretrained, name: {source}}}" in said


def with_tokens(file, path, *, special=(), plain=()):
    """The tokenizer of a file with more entries, behind its own."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.add_special_tokens(list(special))
    tokenizer.add_tokens(list(plain))
    tokenizer.save(str(path))
    return path


def test_ids_that_no_text_gives_need_no_embeddings(source, bring, tokenizer_file, tmp_path):
    chat = ["<pad>", *(f"<|reserved_{i}|>" for i in range(300))]
    larger = with_tokens(tokenizer_file, source / "tokenizer.json", special=chat)
    assert bring(source, tokenizer=larger).is_dir()  # the model's own, and the study's
    (source / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    other = with_tokens(tokenizer_file, tmp_path / "study.json", special=chat)
    assert bring(source, tokenizer=other).is_dir()  # the study's alone


def test_a_model_s_own_tokenizer_that_does_not_fit_it(source, refused, tokenizer_file):
    plain = [f"{i} spaces" for i in range(300)]
    larger = with_tokens(tokenizer_file, source / "tokenizer.json", plain=plain)
    last = max(Tokenizer.from_file(str(larger)).get_vocab().values())
    said = refused(source, tokenizer=larger)
    assert f"ids up to {last} ('299 spaces')" in said and "it is the model's own tok" in said
    assert f"resize_token_embeddings({last + 1})" in said and "set the study's" not in said


def test_tokens_of_text():
    tokens = {"<s>": 0, "<unk>": 1, "a": 2, "<pad>": 3}
    words = Tokenizer(models.WordLevel(tokens, unk_token="<unk>"))
    words.add_special_tokens(["<s>", "<unk>", "<pad>"])
    assert of_text(words) == {"<unk>": 1, "a": 2}  # nothing begins a document
    words.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    assert of_text(words) == {"<s>": 0, "<unk>": 1, "a": 2}
    unigram = Tokenizer(models.Unigram([("<s>", 0.0), ("a", -1.0), ("<u>", -9.0)], unk_id=2))
    unigram.add_special_tokens(["<s>", "<u>", "<mask>"])
    unigram.post_processor = words.post_processor
    assert of_text(unigram) == {"<s>": 0, "a": 1, "<u>": 2}


def test_another_vocabulary_than_the_model_s_own_is_refused(source, refused, tokenizer_file):
    own = json.loads(tokenizer_file.read_text())
    vocabulary = own["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (source / "tokenizer.json").write_text(json.dumps(own))
    said = refused(source)
    assert "2 tokens differ, such as 'a'" in said and str(tokenizer_file) in said
    assert f"tokenizer: {{kind: pretrained, name: {source}}}" in said


def test_a_context_beyond_the_longest_input_is_refused(source, refused):
    said = refused(source, context=65)
    assert "studies.demo.models.mine.context: 65 is longer" in said and "at most 64" in said


def test_a_folder_here_has_no_revision(source, refused):
    assert "models.mine.revision: " in refused(source, revision="main")


@pytest.fixture
def hub(llama, tmp_path, monkeypatch):
    """A hub that has the model twice: open, and gated by a token."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name in ("open", "gated"):
        folder = shutil.copytree(llama, tmp_path / "hub" / "models" / "owner" / name)
        (folder / "pytorch_model.bin").write_bytes(b"a pickle")
        (folder / "consolidated.safetensors").write_bytes(b"the same weights again")
    with serving(tmp_path / "hub", gated={"owner/gated": "secret-token"}) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield server


def test_a_model_of_the_hub_is_fetched_and_nothing_else(hub, bring, llama):
    output = bring("owner/open")
    expected = load_file(llama / WEIGHTS)
    found = load_file(output / WEIGHTS)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    asked = " ".join(request.path for request in hub.requests)
    assert "pytorch_model" not in asked and "consolidated" not in asked
    assert not any(request.token for request in hub.requests)


def test_a_gated_model_needs_the_token_of_the_environment(hub, bring, refused, monkeypatch):
    said = refused("owner/gated")
    assert "gated" in said and "HF_TOKEN is not set" in said
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    output = bring("owner/gated")
    assert not any(b"secret-token" in path.read_bytes() for path in output.iterdir())


def test_what_the_hub_does_not_have_is_said(hub, refused):
    assert "there is no model 'owner/none' on the hub" in refused("owner/none")
    assert "no branch, tag or commit 'v9'" in refused("owner/open", revision="v9")


def test_a_hub_that_is_out_of_reach_is_said_with_the_remedy(hub, refused, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    said = refused("owner/open")
    assert "cannot be reached" in said and "snakemake --profile local fetch" in said


WORKS = {
    "padding behind the embeddings": {"pad_token_id": 300},
    "no padding": {"pad_token_id": -1},
    "flash attention": {"attn_implementation": "flash_attention_2"},
    "a kernel of the hub": {"attn_implementation": "kernels-community/flash-attn"},
    "an attention that is none": {"_attn_implementation": "hello"},
    "tuples": {"return_dict": False, "output_hidden_states": True, "use_cache": False},
    "attentions": {"output_attentions": True},
}


@pytest.mark.parametrize("name", WORKS)
def test_what_a_config_asks_of_its_caller_changes_nothing(source, bring, corpora, tmp_path, name):
    expected = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    change(source, **WORKS[name])
    folder = bring(source)
    ids = torch.arange(32)[None]
    with torch.no_grad():
        wanted = expected(ids).logits
        torch.testing.assert_close(load_model(folder)(ids).logits, wanted)
    cfg = EvaluateSlice(study="demo", model="mine", corpora=["one"], tokens=320, context=32)
    evaluate.run(cfg, model=folder, tokens=[corpora["one"]], output=tmp_path / "e.json")
    assert load_json(tmp_path / "e.json")["one"]["loss"] == pytest.approx(5.7, abs=0.5)
    assert HookedModel.load(folder, "blocks.0.mlp.hook_post").activations(ids).shape == (1, 32, 48)


FAILS = {
    "activation": ({"hidden_act": "nope"}, "cannot make a model of it and its config.json: Key"),
    "rope": ({"rope_parameters": {"rope_type": "hello", "rope_theta": 1.0}}, "KeyError: 'hello'"),
    "no heads": ({"num_attention_heads": 0}, "ZeroDivisionError"),
    "no head": ({"head_dim": 0}, "ZeroDivisionError"),
    "names": ({"architectures": 3}, "architectures is 3, not a list of names"),
    "part": ({"text_config": {"model_type": "llama"}}, "'dict' object has no attribute"),
    "epsilon": ({"rms_norm_eps": -100.0}, "logits are NaN or infinite, though its weights are not"),
    "type": ({"model_type": ["llama"]}, "unhashable type"),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_a_config_says_and_cannot_be_is_told(source, refused, name):
    changes, reason = FAILS[name]
    change(source, **changes)
    said = refused(source)
    assert "studies.demo.models.mine.name: " in said and reason in said
    assert "copy or download the model again" in said or "by itself can be used" in said


def test_the_remedy_for_a_broken_key_is_not_that_for_a_strange_architecture(source, refused):
    change(source, rms_norm_eps="small")
    said = refused(source)
    assert "correct what it says" in said and "by itself" not in said
    change(source, model_type="brand_new")
    assert "only architectures that the installed transformers knows by itself" in refused(source)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
def test_json_that_is_nested_too_deeply_is_told(source, refused, file):
    (source / file).write_text('{"a":' * 10_000 + "1" + "}" * 10_000)
    if file.endswith("index.json"):
        (source / WEIGHTS).unlink()
    said = refused(source)
    assert (str(source / file) in said and "again" in said) or "tokenizer.json" in said


def test_a_first_forward_pass_that_fails_is_told(source, refused, monkeypatch):
    def fails(*_, **__):
        raise IndexError("index out of range in self")

    monkeypatch.setattr(LlamaForCausalLM, "forward", fails)
    said = refused(source)
    assert "config.json: the model cannot be run: IndexError: index out of range in self" in said


def test_a_fault_of_featflow_itself_stays_marked_as_one(source, tokenizer_file, tmp_path, capsys,
                                                        monkeypatch):  # fmt: skip
    def broken(*_):
        raise KeyError("a mistake")

    monkeypatch.setattr(pretrained, "check_tokenizer", broken)
    words = ["pretrained", "--cfg", slice_of(source).dumps(), "--tokenizer", str(tokenizer_file)]
    with pytest.raises(SystemExit):
        cli.main([*words, "--output", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert "this is a fault of featflow" in said and "KeyError: 'a mistake'" in said
