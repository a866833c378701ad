"""Merging model folders."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from featflow import cli
from featflow.artifacts.io import ArtifactError, load_json
from featflow.config.errors import FeatflowError
from featflow.config.merging import Dare, Linear, Slerp, TaskArithmetic, Ties
from featflow.models import evaluate, finetune, merge, train
from featflow.plan.stages.models import EvaluateSlice
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


def all_of(method: str, children, base, weights, **parameters) -> dict:
    """A whole merge in mergekit's own configuration."""
    density = parameters.pop("density", None)
    each = {} if density is None else {"density": density}
    models = [
        {"model": str(child), "parameters": {"weight": weight, **each}}
        for child, weight in zip(children, weights, strict=True)
    ]
    found = {"merge_method": method, "models": models, "parameters": parameters}
    return found if method == "linear" else {**found, "base_model": str(base)}


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        (
            Linear(kind="linear", weights=[0.3, 1.2]),
            ("linear", {"normalize": True}),
        ),
        (
            Linear(kind="linear", weights=[0.3, 1.2], normalize=False),
            ("linear", {"normalize": False}),
        ),
        (
            TaskArithmetic(kind="task", weights=[0.3, 1.2], scale=0.6),
            ("task_arithmetic", {"lambda": 0.6}),
        ),
        (
            TaskArithmetic(kind="task", weights=[0.3, 1.2], normalize=True),
            ("task_arithmetic", {"normalize": True}),
        ),
        (
            Ties(kind="ties", weights=[0.3, 1.2], density=0.3, scale=1.1),
            ("ties", {"density": 0.3, "lambda": 1.1}),
        ),
        (
            Ties(kind="ties", weights=[0.3, 1.2], normalize=False),
            ("ties", {"density": 0.2, "normalize": False}),
        ),
        (
            Dare(kind="dare", weights=[0.3, 1.2], density=1),
            ("dare_linear", {"density": 1.0}),
        ),
        (
            Dare(kind="dare", weights=[0.3, 1.2], density=1, signs=True, normalize=True),
            ("dare_ties", {"density": 1.0, "normalize": True}),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_whole_models_are_those_of_mergekit(children, base, tmp_path, method, peer):
    config = pytest.importorskip("mergekit.config")
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    wanted = all_of(peer[0], children, base, [0.3, 1.2], **peer[1])
    run_merge(
        config.MergeConfiguration.model_validate(wanted),
        str(tmp_path / "peer"),
        MergeOptions(quiet=True, write_model_card=False, copy_tokenizer=False),
    )
    given = {} if peer[0] == "linear" else {"base": base}
    output = tmp_path / "merged"
    merge.run(merge_slice(method=method), parents=children, output=output, **given)
    expected = load_file(tmp_path / "peer" / "model.safetensors")
    found = load_file(output / "model.safetensors")
    assert found.keys() == expected.keys()
    start = load_file(base / "model.safetensors")
    assert any(not torch.allclose(found[name], start[name]) for name in found)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-6, atol=1e-7)


def test_the_report_tells_method_parents_base_and_weights(children, base, tmp_path):
    method = Ties(kind="ties", weights=[1.0, 0.5], density=0.4)
    merge.run(merge_slice(method=method), parents=children, output=tmp_path / "m", base=base)
    report = load_json(tmp_path / "m" / "merge.json")
    tensors = report.pop("tensors")
    assert report == {
        "method": "ties",
        "parents": ["one", "two"],
        "base": "base",
        "weights": [1.0, 0.5],
        "density": 0.4,
        "scale": 1.0,
        "normalize": True,
    }
    assert tensors.keys() == load_file(base / "model.safetensors").keys()
    assert all(-1 <= facts["cosine"] <= 1 for facts in tensors.values())
    assert all(0 <= facts["conflicts"] <= 1 for facts in tensors.values())
    merge.run(merge_slice(method=Linear(kind="linear")), parents=children, output=tmp_path / "l")
    assert load_json(tmp_path / "l" / "merge.json")["weights"] == [1.0, 1.0]


def test_dare_is_the_same_whatever_other_weights_there_are(children, base, tmp_path):
    cfg = merge_slice(method=Dare(kind="dare", density=0.5))
    merge.run(cfg, parents=children, output=tmp_path / "all", base=base)
    fewer = []
    for folder in (*children, base):
        other = shutil.copytree(folder, tmp_path / f"fewer-{folder.name}")
        weights = load_file(other / "model.safetensors")
        del weights["model.embed_tokens.weight"]
        save_file(weights, other / "model.safetensors")
        fewer.append(other)
    merge.run(cfg, parents=fewer[:2], output=tmp_path / "fewer", base=fewer[2])
    found = load_file(tmp_path / "fewer" / "model.safetensors")
    expected = load_file(tmp_path / "all" / "model.safetensors")
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_numbers_that_are_no_floats_are_copied_or_refused(children, tmp_path):
    def with_mask(folder, value):
        other = shutil.copytree(folder, tmp_path / f"{folder.name}-{value}")
        weights = load_file(other / "model.safetensors")
        weights["mask"] = torch.full((3,), value, dtype=torch.int64)
        save_file(weights, other / "model.safetensors")
        return other

    first, same, other = (
        with_mask(children[0], 1),
        with_mask(children[1], 1),
        with_mask(children[1], 2),
    )
    merge.run(merge_slice(0.5), parents=[first, same], output=tmp_path / "merged")
    assert load_file(tmp_path / "merged" / "model.safetensors")["mask"].tolist() == [1, 1, 1]
    with pytest.raises(FeatflowError, match=r"mask is torch\.int64, and differs"):
        merge.run(merge_slice(0.5), parents=[first, other], output=tmp_path / "other")


def test_other_shapes_name_parents_tensor_and_shapes(children, tmp_path):
    other = changed(children[1], tmp_path / "other", "lm_head.weight", lambda w: w[:-7])
    with pytest.raises(
        FeatflowError,
        match=r"one and other cannot be merged: lm_head\.weight is \(290, 32\) and \(283, 32\)",
    ):
        merge.run(merge_slice(0.5), parents=[children[0], other], output=tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def refused(cfg: str, folders: list, tmp_path, capsys, *more: str) -> str:
    """What the merge's command says when it fails and leaves nothing."""
    output = tmp_path / "models" / "merged"
    words = ["merge", "--cfg", cfg, "--parents", *map(str, folders), "--output", str(output)]
    with pytest.raises(SystemExit) as exit:
        cli.main([*words, *more])
    assert exit.value.code == 1 and not output.parent.exists()
    said = capsys.readouterr().err
    assert "this is a fault of featflow" not in said
    return said


def test_parents_that_do_not_fit_are_told_by_the_command(children, tmp_path, capsys):
    cfg = merge_slice(0.5).dumps()
    one, two = children
    extra = shutil.copytree(two, tmp_path / "extra")
    weights = load_file(extra / "model.safetensors")
    save_file({**weights, "model.more": torch.ones(2)}, extra / "model.safetensors")
    said = refused(cfg, [one, extra], tmp_path, capsys)
    assert "one and extra cannot be merged: only one of them has model.more" in said

    larger = changed(two, tmp_path / "larger", "lm_head.weight", lambda w: torch.ones(300, 32))
    said = refused(cfg, [one, larger], tmp_path, capsys)
    assert "lm_head.weight is (290, 32) and (300, 32)" in said and "tokenizer" in said

    other = shutil.copytree(two, tmp_path / "other")
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text.replace('"cat"', '"dog"'))
    assert text != (other / "tokenizer.json").read_text()
    said = refused(cfg, [one, other], tmp_path, capsys)
    assert "one and other cannot be merged: their tokenizer.json differ" in said

    heads = shutil.copytree(two, tmp_path / "heads")
    config = json.loads((heads / "config.json").read_text())
    config |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
    (heads / "config.json").write_text(json.dumps(config))
    said = refused(cfg, [one, heads], tmp_path, capsys)
    assert "one and heads cannot be merged: head_dim is 8 and 16" in said
    assert "num_attention_heads is 4 and 2, num_key_value_heads is 2 and 1 (in their" in said


def test_a_nan_a_truncated_and_a_foreign_file_are_told_by_the_command(children, tmp_path, capsys):
    cfg, (one, two) = merge_slice(0.5).dumps(), children
    bad = changed(two, tmp_path / "bad", "model.norm.weight", lambda w: w / 0)
    said = refused(cfg, [one, bad], tmp_path, capsys)
    assert "bad/model.safetensors: model.norm.weight has weights that are not finite" in said
    (bad / "model.safetensors").write_bytes((two / "model.safetensors").read_bytes()[:-1])
    assert "bad/model.safetensors: cannot be read" in refused(cfg, [one, bad], tmp_path, capsys)
    save_file({"foreign": torch.ones(2)}, bad / "model.safetensors")
    said = refused(cfg, [one, bad], tmp_path, capsys)
    assert "one and bad cannot be merged: only one of them has foreign" in said


def in_dtype(folder, target, dtype, size: float):
    """A copy of a model folder in a dtype, its embeddings `size` everywhere."""
    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors")
    weights["model.embed_tokens.weight"].fill_(size)
    weights = {name: weight.to(dtype) for name, weight in weights.items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


@pytest.mark.parametrize(
    ("dtypes", "method", "said"),
    [
        ("float16 float16", Linear(kind="linear", normalize=False), "linear of a (up to 4e+04)"),
        ("float16 bfloat16", Linear(kind="linear", weights=[0, 2]), "and b (up to"),
        ("float16 bfloat16", Slerp(kind="slerp", t=1), "the slerp of a (up to"),
    ],
)
def test_a_merge_that_overflows_says_so_itself(children, tmp_path, capsys, dtypes, method, said):
    first, second = (getattr(torch, name) for name in dtypes.split())
    a = in_dtype(children[0], tmp_path / "a", first, 4e4)
    b = in_dtype(children[1], tmp_path / "b", second, 4e4 if second == first else 1e5)
    found = refused(merge_slice(method=method).dumps(), [a, b], tmp_path, capsys)
    assert "model.embed_tokens.weight: the " in found and said in found
    assert "is not finite in float16, which holds numbers up to 6.55e+04" in found
    assert "store a in float32: AutoModelForCausalLM.from_pretrained(FOLDER).float()" in found
    assert "training" not in found.split("up to")[-1]


def test_the_same_merge_in_a_dtype_that_holds_it_is_right(children, tmp_path):
    a = in_dtype(children[0], tmp_path / "a", torch.bfloat16, 4e4)
    b = in_dtype(children[1], tmp_path / "b", torch.float16, 4e4)
    method = Linear(kind="linear", normalize=False)
    merge.run(merge_slice(method=method), parents=[a, b], output=tmp_path / "merged")
    found = load_file(tmp_path / "merged" / "model.safetensors")["model.embed_tokens.weight"]
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(
        found.float(), torch.full_like(found, 8e4).float(), rtol=5e-3, atol=0
    )


def test_what_a_method_needs_is_asked_for_by_the_command(children, base, tmp_path, capsys):
    cfg = merge_slice(0.5).dumps()
    said = refused(cfg.replace("0.5", "1.3"), children, tmp_path, capsys)
    assert "--cfg.method.t" in said and "less than or equal to 1" in said
    ties = merge_slice(method=Ties(kind="ties")).dumps()
    said = refused(ties, children, tmp_path, capsys)
    assert "ties adds up differences" in said and "(--base), base" in said
    said = refused(cfg, children, tmp_path, capsys, "--base", str(base))
    assert "--base: slerp measures from no base" in said
    said = refused(cfg, children[:1], tmp_path, capsys)
    assert "slerp merges exactly 2 parents" in said and "1 folders are given" in said
    shorter = changed(base, tmp_path / "shorter", "model.norm.weight", lambda w: w[:-1])
    said = refused(ties, children, tmp_path, capsys, "--base", str(shorter))
    assert "one and shorter cannot be merged: model.norm.weight is (32,) and (31,)" in said


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
