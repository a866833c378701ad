"""Model folders load wherever Hugging Face folders load."""

import logging
import shutil
import warnings
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, MistralForCausalLM

from featflow import cli
from featflow.artifacts.io import ArtifactError
from featflow.config.errors import FeatflowError
from featflow.config.merging import Slerp
from featflow.config.models import Architecture
from featflow.data.tokenizer import load
from featflow.models import merge, pretrained
from featflow.models.folder import load_model, written_folder
from featflow.models.hooked import HookedModel
from featflow.models.train import build
from featflow.plan.slices import Windows
from featflow.plan.stages.models import EvaluateSlice, PretrainedSlice, SweepSlice
from featflow.plan.stages.saes import ActivationsSlice
from tests.models.conftest import ARCHITECTURE, finetune_slice, merge_slice, train_slice


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(60, (2, 32), generator=torch.Generator().manual_seed(0))


def test_the_folder_loads_as_it_is_and_without_a_warning(base, ids, caplog):
    logging.getLogger("transformers").propagate = True
    with warnings.catch_warnings(), caplog.at_level("WARNING"):
        warnings.simplefilter("error")
        model = AutoModelForCausalLM.from_pretrained(base)
        tokenizer = AutoTokenizer.from_pretrained(base)
    assert not caplog.records
    assert type(model).__name__ == "MistralForCausalLM"
    assert tokenizer.bos_token == "<s>"
    assert model.config.bos_token_id == tokenizer.bos_token_id
    assert torch.equal(model(ids).logits, load_model(base)(ids).logits)


@pytest.fixture
def folders(base, children, model_folder, tokenizer_file, tmp_path) -> dict[str, Path]:
    """A folder of each stage that writes models."""
    merge.run(merge_slice(0.4), parents=children, output=tmp_path / "merge")
    brought = PretrainedSlice(study="demo", model="m", name=str(model_folder), context=32)
    pretrained.run(brought, tokenizer=tokenizer_file, output=tmp_path / "pretrained")
    return {
        "train": base,
        "finetune": children[0],
        "merge": tmp_path / "merge",
        "pretrained": tmp_path / "pretrained",
    }


def test_transformers_and_transformer_lens_give_equal_logits(folders, ids):
    from transformer_lens.model_bridge import TransformerBridge

    for folder in folders.values():
        with torch.no_grad():
            expected = load_model(folder)(ids).logits
            plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            assert torch.equal(plain(ids).logits, expected)
            bridge = TransformerBridge.boot_transformers(
                str(folder), device="cpu", dtype=torch.float32
            )
            torch.testing.assert_close(bridge(ids), expected, rtol=0, atol=1e-5)
        assert AutoTokenizer.from_pretrained(folder).bos_token == "<s>"


@pytest.mark.parametrize("tied", [False, True])
def test_the_architecture_is_the_slice_s(tokenizer_file, tied):
    cfg = train_slice(["one"], architecture=ARCHITECTURE.model_copy(update={"tied": tied}))
    vocabulary = load(tokenizer_file)
    model = build(cfg.architecture, vocabulary)
    config = model.config
    assert (config.hidden_size, config.intermediate_size, config.num_hidden_layers) == (32, 48, 1)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 2, 8)
    assert (config.max_position_embeddings, config.sliding_window) == (32, None)
    assert (config.vocab_size, config.bos_token_id) == (len(vocabulary.get_vocab()), 0)
    shared = model.lm_head.weight is model.model.embed_tokens.weight
    assert shared is tied


def test_the_paper_s_model_has_its_number_of_parameters():
    class Vocabulary:
        def get_vocab(self):
            return {str(i): i for i in range(32_000)}

        post_processor = None

    with torch.device("meta"):
        model = build(Architecture(), cast(Tokenizer, Vocabulary()))
    assert isinstance(model, MistralForCausalLM)
    assert model.num_parameters() == 35_128_832


def test_the_handle_comes_last_and_an_interrupted_write_leaves_none(tmp_path):
    folder = tmp_path / "m"
    with written_folder(folder) as temporary:
        (temporary / "config.json").write_text("old")
        (temporary / "zzz").write_text("old")
    with pytest.raises(RuntimeError), written_folder(folder) as temporary:
        (temporary / "config.json").write_text("new")
        raise RuntimeError
    assert (folder / "config.json").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def test_the_group_may_read_what_the_umask_lets_it(base):
    modes = {file.name: file.stat().st_mode & 0o777 for file in base.iterdir()}
    assert len(set(modes.values())) == 1, modes  # safetensors alone would give 0600


@pytest.fixture
def spoilt(base, tmp_path):
    """A copy of a model folder, as the workflow would have it, to be spoilt."""
    return Path(shutil.copytree(base, tmp_path / "results" / "demo" / "models" / "base"))


TARGET = "results/demo/models/base"
REBUILD = f"rebuild it with: snakemake --profile local {TARGET}/model.safetensors --forcerun"


def readers(folder, corpora, tmp_path) -> dict[str, list[str]]:
    """The command of every stage that reads a model folder."""
    common = {"study": "demo", "model": "m"}
    evaluated = EvaluateSlice(**common, corpora=["one"], tokens=100)
    tokens, output = ["--tokens", str(corpora["one"])], ["--output", str(tmp_path / "new" / "m")]
    swept = SweepSlice(
        **common,
        parents=["one", "two"],
        corpora=[["one"], ["one"]],
        method=Slerp(kind="slerp"),
        points=2,
        tokens=100,
    )
    dumped = ActivationsSlice(
        **common,
        hook="blocks.0.mlp.hook_post",
        corpora=["one"],
        windows=Windows(window=8, context="full", context_length=32),
        seed=0,
        shard=0,
        shard_tokens=64,
        tokens=64,
    )
    tuned = finetune_slice(["one"])
    parents = ["--parents", str(folder), str(folder)]
    model = ["--model", str(folder)]
    return {
        "evaluate": ["--cfg", evaluated.dumps(), *model, *tokens, *output],
        "finetune": ["--cfg", tuned.dumps(), "--parent", str(folder), *tokens, *output],
        "merge": ["--cfg", merge_slice(0.5).dumps(), *parents, *output],
        "sweep": ["--cfg", swept.dumps(), *parents, *tokens, *output],
        "activations": ["--cfg", dumped.dumps(), *model, *tokens, *output],
    }


@pytest.mark.parametrize("verb", ["evaluate", "finetune", "merge", "sweep", "activations"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), REBUILD),
        (lambda path: path.write_bytes(b"half"), REBUILD),
        (lambda path: path.unlink(), "no such file; make it with: snakemake --profile local"),
    ],
    ids=["truncated", "foreign", "missing"],
)
def test_every_stage_names_the_file_and_the_target(
    spoilt, corpora, tmp_path, capsys, verb, spoil, words
):
    spoil(spoilt / "model.safetensors")
    before = sorted(path for path in spoilt.rglob("*"))
    with pytest.raises(SystemExit) as exit:
        cli.main([verb, *readers(spoilt, corpora, tmp_path)[verb]])
    said = capsys.readouterr().err
    assert exit.value.code == 1
    assert f"{TARGET}/model.safetensors: " in said and words in said, said
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").iterdir())
    assert sorted(path for path in spoilt.rglob("*")) == before


def rewrite(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})


def test_other_weights_than_the_config_s_are_no_model(spoilt):
    """transformers would draw what is missing at random, and say so in a warning."""
    rewrite(spoilt, lambda weights: {n: w for n, w in weights.items() if "up_proj" not in n})
    lacking = (
        r"base/model\.safetensors: .* lacks model\.layers\.0\.mlp\.up_proj\.weight of a Mistral"
    )
    with pytest.raises(ArtifactError, match=lacking):
        load_model(spoilt)
    with pytest.raises(ArtifactError, match=lacking):
        HookedModel.load(spoilt, "blocks.0.mlp.hook_post")
    rewrite(spoilt, lambda weights: {"foreign": torch.ones(2)})
    with pytest.raises(ArtifactError, match=r"lacks lm_head\.weight, .* and 9 more of a Mistral"):
        load_model(spoilt)


def test_more_weights_than_the_config_s_are_no_model_either(spoilt):
    rewrite(spoilt, lambda weights: {**weights, "foreign": torch.ones(2)})
    with pytest.raises(ArtifactError, match="holds foreign, which the model does not have"):
        load_model(spoilt)


def test_weights_of_another_shape_are_named(spoilt):
    rewrite(spoilt, lambda weights: {**weights, "lm_head.weight": torch.ones(7, 32)})
    with pytest.raises(
        ArtifactError, match=r"lm_head\.weight is \(7, 32\), and \(290, 32\) in its"
    ):
        load_model(spoilt)


def test_a_weight_that_is_not_finite_is_named(spoilt):
    def with_nan(weights):
        weights["model.norm.weight"][3] = torch.nan
        return weights

    rewrite(spoilt, with_nan)
    with pytest.raises(
        FeatflowError, match=r"base/model\.safetensors: model\.norm\.weight has weights"
    ):
        load_model(spoilt)


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '{"model_type": "mistral", "vocab_size": "x"}'])
def test_a_broken_config_is_named(spoilt, text):
    (spoilt / "config.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"base/config\.json: cannot be read"):
        load_model(spoilt)


def test_a_missing_model_and_a_broken_tokenizer_are_named(spoilt, tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere/config\.json: no such file"):
        load_model(tmp_path / "nowhere")
    (spoilt / "tokenizer.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"base/tokenizer\.json: cannot be read"):
        HookedModel.load(spoilt, "blocks.0.mlp.hook_post")
    (spoilt / "tokenizer.json").unlink()
    with pytest.raises(ArtifactError, match=r"base/tokenizer\.json: no such file"):
        HookedModel.load(spoilt, "blocks.0.mlp.hook_post")
