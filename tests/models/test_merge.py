"""Merging model folders."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from featflow.core.artifacts import ArtifactError, load_json
from featflow.core.config.errors import FeatflowError
from featflow.core.slices import EvaluateSlice
from featflow.models import evaluate, finetune, merge, train
from tests.models.conftest import ARCHITECTURE, finetune_slice, merge_slice, train_slice
from tests.models.test_slerp import in_numpy


def changed(folder, target, name: str, change):
    """A copy of a model folder with one weight changed."""
    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors")
    weights[name] = change(weights[name]).contiguous()
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_every_weight_is_merged_and_told_of(children, tmp_path):
    merge.run(merge_slice(0.3), parents=children, output=tmp_path / "merged")
    first, second = (load_file(parent / "model.safetensors") for parent in children)
    found = load_file(tmp_path / "merged" / "model.safetensors")
    report = load_json(tmp_path / "merged" / "merge.json")
    assert found.keys() == first.keys() == report["tensors"].keys()
    for name, weight in found.items():
        expected = in_numpy(first[name], second[name], 0.3)
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6, atol=1e-9)
        assert report["tensors"][name]["branch"] in ("slerp", "linear")
        assert -1 <= report["tensors"][name]["cosine"] <= 1
    assert {weight["branch"] for weight in report["tensors"].values()} == {"slerp", "linear"}
    assert (report["method"], report["parents"]) == ("slerp", ["one", "two"])
    assert (report["t"], report["t_from"]) == (0.3, "config")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").config.vocab_size == 290
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert config["featflow"]["stage"] == "merge"


@pytest.mark.parametrize("t", [0, 1])
def test_the_ends_are_the_parents(children, tmp_path, t):
    merge.run(merge_slice(t), parents=children, output=tmp_path / "merged")
    found = load_file(tmp_path / "merged" / "model.safetensors")
    expected = load_file(children[t] / "model.safetensors")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_tied_weights_are_merged_once(corpora, tokenizer_file, tmp_path):
    cfg = train_slice(["one"], architecture=ARCHITECTURE.model_copy(update={"tied": True}))
    train.run(cfg, tokens=[corpora["one"]], tokenizer=tokenizer_file, output=tmp_path / "base")
    for name in ("one", "two"):
        child = finetune_slice([name])
        finetune.run(
            child, parent=tmp_path / "base", tokens=[corpora[name]], output=tmp_path / name
        )
    parents = [tmp_path / "one", tmp_path / "two"]
    merge.run(merge_slice(0.5), parents=parents, output=tmp_path / "merged")
    assert "lm_head.weight" not in load_json(tmp_path / "merged" / "merge.json")["tensors"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    both = [
        load_file(parent / "model.safetensors")["model.embed_tokens.weight"] for parent in parents
    ]
    expected = in_numpy(both[0], both[1], 0.5)
    np.testing.assert_allclose(model.lm_head.weight.detach(), expected, rtol=1e-6, atol=1e-9)


def test_other_shapes_name_parents_tensor_and_shapes(children, tmp_path):
    other = changed(children[1], tmp_path / "other", "lm_head.weight", lambda w: w[:-7])
    with pytest.raises(
        FeatflowError,
        match=r"one and other cannot be merged: lm_head\.weight is \(290, 32\) and \(283, 32\)",
    ):
        merge.run(merge_slice(0.5), parents=[children[0], other], output=tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_nan_names_file_and_tensor(children, tmp_path):
    def spoilt(weight):
        weight[3, 4] = torch.nan
        return weight

    name = "model.layers.0.mlp.up_proj.weight"
    other = changed(children[1], tmp_path / "other", name, spoilt)
    with pytest.raises(FeatflowError, match=rf"other/model\.safetensors: {name} has weights that"):
        merge.run(merge_slice(0.5), parents=[children[0], other], output=tmp_path / "merged")


def test_a_truncated_parent_is_named(children, tmp_path):
    other = shutil.copytree(children[1], tmp_path / "other")
    (other / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ArtifactError, match=r"other/model\.safetensors: cannot be read"):
        merge.run(merge_slice(0.5), parents=[children[0], other], output=tmp_path / "merged")


def test_equilibrium_comes_from_the_sweep(swept, children, tmp_path):
    merge.run(merge_slice("equilibrium"), parents=children, output=tmp_path / "m", sweep=swept)
    report = load_json(tmp_path / "m" / "merge.json")
    table = pd.read_parquet(swept).pivot(index="t", columns="corpus", values="accuracy")
    assert report["t_from"] == "equilibrium"
    at = [np.interp(report["t"], table.index, table[name]) for name in ("one", "two")]
    assert at[0] == pytest.approx(at[1])


def test_balanced_comes_from_the_sweep_and_the_ancestor(swept, children, base, corpora, tmp_path):
    cfg = EvaluateSlice(study="demo", model="base", corpora=["one", "two"], tokens=3000)
    tokens = [corpora["one"], corpora["two"]]
    evaluate.run(cfg, model=base, tokens=tokens, output=tmp_path / "base.json")
    merge.run(
        merge_slice("balanced"),
        parents=children,
        output=tmp_path / "m",
        sweep=swept,
        ancestor=tmp_path / "base.json",
    )
    report = load_json(tmp_path / "m" / "merge.json")
    assert report["t_from"] == "balanced" and report["t"] in pd.read_parquet(swept).t.tolist()


def test_what_a_choice_of_t_needs_is_asked_for(swept, children, tmp_path):
    for t, given, needed in [
        ("equilibrium", {}, "--sweep"),
        ("balanced", {}, "--sweep"),
        ("balanced", {"sweep": swept}, "--ancestor"),
    ]:
        with pytest.raises(FeatflowError, match=needed):
            merge.run(merge_slice(t), parents=children, output=tmp_path / "m", **given)
