"""Models of other architectures than featflow's own, through every stage that reads a model."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    PreTrainedTokenizerFast,
)

from featflow.artifacts.io import load_json, load_tensors
from featflow.config.errors import FeatflowError
from featflow.config.merging import Linear, Slerp
from featflow.data.windows import drawn
from featflow.models import evaluate, finetune, merge, pretrained, sweep, training
from featflow.models.folder import block_length, load_model
from featflow.models.hooked import HookedModel
from featflow.models.readout import multiplies
from featflow.plan.stages.models import EvaluateSlice, PretrainedSlice, SweepSlice
from tests.conftest import TEXT
from tests.models.architectures import KINDS, write_model
from tests.models.conftest import finetune_slice, merge_slice
from tests.models.test_evaluate import direct

HOOK = "blocks.0.mlp.hook_post"
PLAIN = {"gpt2", "llama", "qwen2", "neox"}


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def source(kind, tmp_path_factory):
    return write_model(kind, tmp_path_factory.mktemp("source") / kind)


@pytest.fixture(scope="module")
def brought(kind, source, tokenizer_file, tmp_path_factory):
    """The model folder that the stage `pretrained` makes."""
    cfg = PretrainedSlice(study="demo", model=kind, name=str(source), context=32)
    output = tmp_path_factory.mktemp("brought") / kind
    pretrained.run(cfg, tokenizer=tokenizer_file, output=output)
    return output


@pytest.fixture(scope="module")
def descendants(kind, brought, corpora, tmp_path_factory):
    """Fine-tunes of it on `one` and on `two`."""
    root = tmp_path_factory.mktemp("descendants")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATFLOW_CHECKPOINTS", str(root / "checkpoints"))
        for name in ("one", "two"):
            cfg = finetune_slice([name]).model_copy(update={"context": 32})
            finetune.run(cfg, parent=brought, tokens=[corpora[name]], output=root / name)
    return [root / "one", root / "two"]


@pytest.fixture
def ids():
    return torch.randint(290, (3, 32), generator=torch.Generator().manual_seed(1))


def test_it_is_the_same_model(source, brought, ids):
    before = AutoModelForCausalLM.from_pretrained(source).eval()
    with torch.no_grad():
        assert torch.equal(load_model(brought)(ids).logits, before(ids).logits)


def test_its_tokenizer_is_the_study_s(kind, brought, tokenizer_file):
    expected = Tokenizer.from_file(str(tokenizer_file)).encode(TEXT[:200]).ids
    assert PreTrainedTokenizerFast.from_pretrained(brought)(TEXT[:200])["input_ids"] == expected
    if kind != "qwen2":  # where AutoTokenizer cuts words as Qwen's own does, whatever the file says
        assert AutoTokenizer.from_pretrained(brought)(TEXT[:200])["input_ids"] == expected


def test_the_hook_is_the_input_of_the_down_projection(kind, brought, ids):
    seen = []
    model = load_model(brought)
    down = model.get_submodule(KINDS[kind].down)
    down.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        expected = model(ids).logits
    hooked = HookedModel.load(brought, HOOK)
    found = hooked.activations(ids)
    assert hooked.width == found.shape[2] == KINDS[kind].width
    torch.testing.assert_close(found, seen[0].view(found.shape), rtol=1e-4, atol=1e-5)
    losses = F.cross_entropy(expected[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    torch.testing.assert_close(hooked.losses(ids), losses, rtol=1e-4, atol=1e-5)


def test_models_with_more_than_a_product_are_found_out(kind, brought):
    assert multiplies(load_model(brought)) == (kind in PLAIN)


def test_loss_and_accuracy_are_the_model_s_own(brought, corpora, tmp_path):
    cfg = EvaluateSlice(study="demo", model="m", corpora=["one"], tokens=1000, context=32)
    evaluate.run(cfg, model=brought, tokens=[corpora["one"]], output=tmp_path / "m.json")
    ids = load_tensors(corpora["one"])["input_ids"]
    blocks = ids.reshape(-1, 32)[drawn(len(ids) // 32, 31, 0)]
    loss, accuracy = direct(load_model(brought), blocks)
    found = load_json(tmp_path / "m.json")["one"]
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert found["accuracy"] == accuracy


def test_the_training_loss_and_its_gradient_are_the_model_s_own(brought, ids):
    model = load_model(brought)
    expected = F.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    expected.backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    loss = training.next_token_loss(model, ids, torch.float32)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for name, parameter in model.named_parameters():
        if name in wanted:
            torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-6)


def test_fine_tunes_learn_and_their_merges_are_swept(descendants, brought, corpora, tmp_path):
    tokens = [corpora["one"], corpora["two"]]
    logs = [pd.read_parquet(folder / "training.parquet").loss for folder in descendants]
    assert all(log.iloc[-1] < log.iloc[0] - 0.05 for log in logs)
    cfg = SweepSlice(
        study="demo",
        model="merged",
        parents=["one", "two"],
        corpora=[["one"], ["two"]],
        method=Slerp(kind="slerp"),
        points=3,
        tokens=1000,
        context=32,
    )
    sweep.run(cfg, parents=descendants, tokens=tokens, output=tmp_path / "sweep.parquet")
    table = pd.read_parquet(tmp_path / "sweep.parquet").set_index(["t", "corpus"])
    merge.run(merge_slice(0.5), parents=descendants, output=tmp_path / "merged")
    merged = EvaluateSlice(study="demo", model="m", corpora=["one", "two"], tokens=1000, context=32)
    evaluate.run(merged, model=tmp_path / "merged", tokens=tokens, output=tmp_path / "m.json")
    for name, found in load_json(tmp_path / "m.json").items():
        assert table.loss[0.5, name] == pytest.approx(found["loss"], rel=1e-6)
        assert table.accuracy[0.5, name] == found["accuracy"]
    first, second, base = (load_file(f / "model.safetensors") for f in (*descendants, brought))
    assert first.keys() == second.keys() == base.keys()


def test_a_merge_with_the_pretrained_model_itself(descendants, brought, tmp_path):
    cfg = merge_slice(method=Linear(kind="linear"))
    merge.run(cfg, parents=[descendants[0], brought], output=tmp_path / "merged")
    assert load_model(tmp_path / "merged").num_parameters() > 0
    assert (tmp_path / "merged" / "generation_config.json").is_file()


def test_dropout_is_a_function_of_the_step_alone(corpora, tokenizer_file, tmp_path, monkeypatch):
    """GPT-2 drops out; a run that stops and goes on still gives the bytes of one that did not."""
    monkeypatch.setenv("FEATFLOW_CHECKPOINT_SECONDS", "0")
    source = write_model("gpt2", tmp_path / "gpt2")
    cfg = PretrainedSlice(study="demo", model="gpt2", name=str(source), context=32)
    pretrained.run(cfg, tokenizer=tokenizer_file, output=tmp_path / "m")
    child = finetune_slice(["one"]).model_copy(update={"context": 32})
    given = {"parent": tmp_path / "m", "tokens": [corpora["one"]]}
    finetune.run(child, **given, output=tmp_path / "whole" / "child")
    calls = []
    loss = training.next_token_loss

    def stopping(*arguments):
        calls.append(None)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return loss(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "next_token_loss", stopping)
        with pytest.raises(KeyboardInterrupt):
            finetune.run(child, **given, output=tmp_path / "again" / "child")
    torch.manual_seed(5)
    finetune.run(child, **given, output=tmp_path / "again" / "child")
    found, expected = (
        (tmp_path / name / "child" / "model.safetensors").read_bytes()
        for name in ("again", "whole")
    )
    assert found == expected


def test_blocks_are_as_long_as_the_study_or_the_model_says(model_folder, tmp_path):
    model = load_model(model_folder)
    assert block_length(model, 20, tmp_path) == 20
    assert block_length(model, None, tmp_path) == 64
    with pytest.raises(FeatflowError, match="context 65 is longer than the model's longest"):
        block_length(model, 65, tmp_path)
    endless = BloomForCausalLM(BloomConfig(hidden_size=8, n_layer=1, n_head=2, vocab_size=300))
    assert block_length(endless, 65, tmp_path) == 65
    with pytest.raises(FeatflowError, match="how long an input may be"):
        block_length(endless, None, tmp_path)
