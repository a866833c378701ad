"""The hooked model against the Hugging Face model itself."""

import pytest
import torch

from featflow.artifacts.io import ArtifactError
from featflow.models import hooked as hooked_module
from featflow.models.folder import save_tokenizer
from featflow.models.hooked import HookedModel, HookError
from tests.models.architectures import SIZES

HOOK = "blocks.0.mlp.hook_post"


@pytest.fixture(scope="module")
def hooked(model_folder):
    return HookedModel.load(model_folder, HOOK, "cpu")


@pytest.fixture(scope="module")
def plain(model_folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)


@pytest.fixture
def ids():
    return torch.randint(0, 300, (3, 40), generator=torch.Generator().manual_seed(1))


def test_activations_are_the_input_of_down_proj(hooked, plain, ids):
    seen = []
    handle = plain.model.layers[0].mlp.down_proj.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    with torch.no_grad():
        plain(ids)
    handle.remove()
    found = hooked.activations(ids)
    assert hooked.width == found.shape[2] == 48
    torch.testing.assert_close(found, seen[0], rtol=1e-4, atol=1e-6)


def test_the_forward_pass_stops_at_the_hook(hooked, ids):
    def fail(*_):
        raise AssertionError("computed what lies behind the hook")

    handle = hooked._bridge.unembed.original_component.register_forward_pre_hook(fail)
    try:
        hooked.activations(ids)
        with pytest.raises(AssertionError):
            hooked.losses(ids)
    finally:
        handle.remove()


def test_losses_are_those_of_the_plain_model(hooked, plain, ids):
    with torch.no_grad():
        logits = plain(ids).logits
    expected = -logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(hooked.losses(ids), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(hooked.losses(ids, lambda x: x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [slice(8, 40), slice(0, 24), slice(39, 40), slice(5, 6)])
def test_losses_of_some_positions_have_the_bits_of_all(hooked, ids, monkeypatch, kept):
    expected = hooked.losses(ids, torch.sin)[:, kept]
    assert torch.equal(hooked.losses(ids, torch.sin, kept), expected)
    monkeypatch.setitem(hooked_module.CHUNK_BYTES, "cpu", 1)  # a block at a time
    assert torch.equal(hooked.losses(ids, torch.sin, kept), expected)


def test_replacing_the_activations_takes_the_mlp_out(hooked, plain, ids):
    weight = plain.model.layers[0].mlp.down_proj.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.zero_()
        logits = plain(ids).logits
        weight.copy_(kept)
    expected = -logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(hooked.losses(ids, torch.zeros_like), expected, rtol=1e-4, atol=1e-5)


def test_hooks_leave_nothing_behind(hooked, ids):
    before = hooked.losses(ids)
    hooked.activations(ids)
    hooked.losses(ids, torch.zeros_like)
    assert torch.equal(hooked.losses(ids), before)


def test_an_unknown_hook_is_named_with_those_there_are(model_folder):
    with pytest.raises(HookError) as error:
        HookedModel.load(model_folder, "blocks.0.mlp.hook_pots", "cpu")
    message = str(error.value)
    assert "hook_pots" in message and "did you mean 'blocks.0.mlp.hook_post'" in message
    assert "blocks.0.hook_resid_pre" in message
    assert "rotary_emb.hook_cos" not in message  # carries no vector a token


def test_a_missing_model_is_an_artifact_error(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        HookedModel.load(tmp_path / "results/demo/models/lua", HOOK, "cpu")


def test_a_model_that_transformer_lens_does_not_know_is_said(tmp_path, tokenizer_file):
    from transformers import CTRLConfig, CTRLLMHeadModel

    sizes = {"vocab_size": 300, "n_positions": 64, "n_embd": 32, "dff": 48, "n_layer": 1}
    CTRLLMHeadModel(CTRLConfig(**sizes, n_head=4)).save_pretrained(tmp_path / "ctrl")
    save_tokenizer(tokenizer_file, tmp_path / "ctrl")
    with pytest.raises(HookError) as error:
        HookedModel.load(tmp_path / "ctrl", HOOK)
    message = str(error.value)
    assert "ctrl: TransformerLens cannot open a CTRLLMHeadModel" in message
    assert "but have no SAE" in message and len(message) < 300


EXPERTS = {"num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("model_type", "sizes"),
    [
        ("mixtral", {"num_key_value_heads": 2, "num_local_experts": 4}),
        ("olmoe", EXPERTS),
        ("qwen2_moe", {**EXPERTS, "moe_intermediate_size": 24, "decoder_sparse_step": 2}),
    ],
)
def test_a_mixture_of_experts_has_no_inside_of_one_width(
    tmp_path, tokenizer_file, model_type, sizes
):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(model_type, **{**SIZES, **sizes})
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    save_tokenizer(tokenizer_file, tmp_path)
    for name, what in (("post", "output"), ("pre", "input")):
        with pytest.raises(HookError) as error:
            HookedModel.load(tmp_path, f"blocks.1.mlp.hook_{name}")
        message = str(error.value)
        assert f"blocks.1.mlp.hook_{name} would be the {what} of the whole MLP" in message
        assert f"ask for blocks.1.mlp.hook_{what.removesuffix('put')}\n" in message
        assert "mixture of experts" in message and "blocks.{0..1}.hook_resid_post" in message
    opened = HookedModel.load(tmp_path, "blocks.1.mlp.hook_out")
    assert opened.width == 32
    if model_type == "qwen2_moe":  # whose first block is dense
        assert HookedModel.load(tmp_path, "blocks.0.mlp.hook_post").width == 48
    else:
        assert ".mlp.hook_post" not in message.split("the hooks are")[1]
