"""The model's own attention against TransformerLens's, which is computed step by step."""

import pytest
import torch
from transformer_lens.model_bridge.generalized_components import AttentionBridge

from featflow.models import hooked as hooked_module
from featflow.models.attention import use_own
from featflow.models.folder import save_tokenizer
from featflow.models.hooked import HookedModel
from tests.models.architectures import KINDS, write_model

HOOKS = ("blocks.0.mlp.hook_post", "blocks.0.hook_resid_post", "blocks.0.hook_attn_out")


@pytest.fixture
def ids():
    return torch.randint(1, 290, (3, 32), generator=torch.Generator().manual_seed(1))


def stepwise(folder, hook, monkeypatch) -> HookedModel:
    with monkeypatch.context() as patch:
        patch.setattr(hooked_module, "use_own", lambda *_: False)
        return HookedModel.load(folder, hook)


def own(model: HookedModel) -> bool:
    """Whether its attention is its own."""
    blocks = [m for m in model._bridge.modules() if isinstance(m, AttentionBridge)]
    return any("forward" in vars(m) for m in blocks)


@pytest.mark.parametrize("hook", HOOKS)
def test_activations_and_losses_are_those_of_the_steps(model_folder, ids, hook, monkeypatch):
    expected, found = (
        stepwise(model_folder, hook, monkeypatch),
        HookedModel.load(model_folder, hook),
    )
    assert own(found) and not own(expected)
    torch.testing.assert_close(found.activations(ids), expected.activations(ids))
    for replace in (None, torch.sin):
        torch.testing.assert_close(found.losses(ids, replace), expected.losses(ids, replace))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hook", ["blocks.1.mlp.hook_post", "blocks.1.hook_resid_post"])
def test_every_architecture_gives_what_its_steps_give(
    kind, hook, tokenizer_file, ids, tmp_path, monkeypatch
):
    folder = write_model(kind, tmp_path / kind)
    save_tokenizer(tokenizer_file, folder)
    expected = stepwise(folder, hook, monkeypatch).activations(ids)
    found = HookedModel.load(folder, hook).activations(ids)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_a_fused_kernel_the_steps_stay(tokenizer_file, tmp_path):
    folder = write_model("gemma2", tmp_path / "capped")  # no kernel caps scores as Gemma 2 does
    save_tokenizer(tokenizer_file, folder)
    assert not own(HookedModel.load(folder, HOOKS[0]))


def test_a_hook_among_the_steps_keeps_them(model_folder):
    bridge = HookedModel.load(model_folder, HOOKS[0])._bridge
    for module in bridge.modules():
        vars(module).pop("forward", None)
    before = bridge.original_model.config._attn_implementation = "eager"
    assert not use_own(bridge, "sdpa", iter([torch.ones(2, 3, 4), None]).__next__)
    assert not use_own(bridge, "sdpa", iter([torch.ones(2, 3, 4), torch.zeros(2, 3, 4)]).__next__)
    assert bridge.original_model.config._attn_implementation == before
    assert not any("forward" in vars(m) for m in bridge.modules())
