"""Models whose weights fit, and whose config.json makes them compute something else."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from featflow.artifacts.io import ArtifactError
from featflow.config.errors import FeatflowError
from featflow.models import merge, sweep
from featflow.models.likeness import check_alike
from tests.models.architectures import write_model
from tests.models.conftest import merge_slice, sweep_slice

GONE = object()


def edited(folder, target, **changes):
    """A copy of a model folder with keys of its config.json changed, or taken out (GONE)."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not GONE}
    (target / "config.json").write_text(json.dumps(config))
    return target


def logits(folder) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model(torch.arange(12)[None]).logits


ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
MEANINGFUL = {
    "epsilon": ({"rms_norm_eps": 0.5}, "rms_norm_eps is 1e-06 and 0.5"),
    "theta": (
        {"rope_parameters": ROPE | {"rope_theta": 50.0}},
        "rope_parameters.rope_theta is 10000.0 and 50.0",
    ),
    "old theta": (
        {"rope_parameters": GONE, "rope_theta": 50.0},
        "rope_parameters.rope_theta is 10000.0 and 50.0",
    ),
    "scaling": (
        {"rope_parameters": ROPE | {"rope_type": "linear", "factor": 4.0}},
        "rope_parameters.rope_type is default and linear",
    ),
    "old scaling": (
        {"rope_scaling": {"type": "linear", "factor": 4.0}},
        "rope_parameters.factor is not set and 4.0",
    ),
    "activation": ({"hidden_act": "relu"}, "hidden_act is silu and relu"),
    "window": ({"sliding_window": 2}, "sliding_window is not set and 2"),
    "two": (
        {"hidden_act": "gelu", "rms_norm_eps": 0.5},
        "hidden_act is silu and gelu, rms_norm_eps is 1e-06 and 0.5",
    ),
    "unknown": ({"logit_multiplier": 3.0}, "logit_multiplier is not set and 3.0"),
}


@pytest.mark.parametrize("name", MEANINGFUL)
def test_keys_that_change_logits_are_named_with_both_values(children, tmp_path, name):
    changes, said = MEANINGFUL[name]
    other = edited(children[1], tmp_path / "other", **changes)
    for run in (
        lambda: merge.run(merge_slice(1), parents=[children[0], other], output=tmp_path / "merged"),
        lambda: sweep.run(
            sweep_slice(), parents=[children[0], other], tokens=[], output=tmp_path / "s.parquet"
        ),
    ):
        with pytest.raises(FeatflowError) as found:
            run()
        assert str(found.value).startswith("one and other cannot be merged: ")
        assert said in str(found.value) and "(in their config.json)" in str(found.value)
    assert not (tmp_path / "merged").exists()


HARMLESS = {
    "versions": {"transformers_version": "4.30.0", "unsloth_version": "2024.1"},
    "names": {"_name_or_path": "/somewhere", "architectures": GONE},
    "calls": {"use_cache": False, "return_dict": False, "output_hidden_states": True},
    "kernels": {"attn_implementation": "flash_attention_2"},
    "dtype": {"dtype": GONE, "torch_dtype": "bfloat16"},
    "generation": {"temperature": 0.3, "do_sample": True, "max_new_tokens": 9, "max_length": 4},
    "ids": {"pad_token_id": 3, "eos_token_id": [1, 2]},
    "training": {"attention_dropout": 0.1, "initializer_range": 0.5},
    "heads": {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}},
    "defaults": {"rms_norm_eps": GONE, "hidden_act": GONE, "tie_word_embeddings": GONE},
    "old name": {"rope_parameters": GONE, "rope_theta": 10_000.0, "rope_scaling": None},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_keys_that_change_no_logit_are_let_pass(children, tmp_path, name):
    other = edited(children[1], tmp_path / "other", **HARMLESS[name])
    check_alike("one and other", (children[0], other))


def test_at_t_1_a_merge_is_the_second_parent_to_the_last_bit(children, tmp_path):
    changes = {key: value for keys in HARMLESS.values() for key, value in keys.items()}
    other = edited(children[1], tmp_path / "other", **changes)
    merge.run(merge_slice(1), parents=[children[0], other], output=tmp_path / "merged")
    assert torch.equal(logits(tmp_path / "merged"), logits(children[1]))


def test_other_architectures_are_compared_by_their_own_keys(tmp_path):
    folders = [write_model("gpt2", tmp_path / name) for name in ("a", "b")]
    check_alike("a and b", (folders[0], folders[1]))
    other = edited(folders[1], tmp_path / "c", activation_function="relu", n_inner=None)
    with pytest.raises(FeatflowError, match=r"activation_function is gelu_new and relu \("):
        check_alike("a and c", (folders[0], other))
    other = edited(folders[1], tmp_path / "d", scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(FeatflowError, match="scale_attn_by_inverse_layer_idx is False and True"):
        check_alike("a and d", (folders[0], other))


def test_a_config_that_cannot_be_read_is_named(children, tmp_path):
    other = edited(children[1], tmp_path / "other", architectures=3)
    with pytest.raises(ArtifactError, match=r"other/config\.json: cannot be read: transformers"):
        check_alike("one and other", (children[0], other))
