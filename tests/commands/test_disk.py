"""The disk estimate against the formats' own arithmetic and transformers' parameter count."""

import pytest

from featflow.commands.disk import estimate
from featflow.commands.sizes import StudySizes
from featflow.commands.widths import shape_in, shape_of
from featflow.config import Study
from featflow.data.corpora.generated import DOCUMENT
from featflow.plan.slicer import Slices
from featflow.plan.stages.data import TOKEN_BYTES


def changed(slices: Slices, **keys) -> Slices:
    study = slices.study.model_dump(mode="json")
    return Slices(slices.name, Study.model_validate(study | keys))


def test_the_parts_of_the_tiny_study(tiny):
    parts = estimate(tiny).parts
    n, m, rows = 32, 4 * 32, 50_000
    assert parts["activations"] == 5 * rows * n * 2
    assert parts["sae"] == 6 * 4 * (2 * n * m + n + m)
    # twice where one side has seen a corpus more: base-lua, more-merged, and the span base-merged
    assert parts["correlation"] == (2 * 3 + 2) * 4 * m * m + 5 * 2 * m * 10 * 30
    english = round(150 * 970 * 0.2 / 3.2 * 24 / 64)  # rows that its validation split can give
    assert parts["features"] == 6 * (english + 2 * 5_000) * (
        16 + 8 * 30
    )  # l1: L0 supposed to be 30
    assert parts["corpus"] == round(0.3 * 150 * (970 + 1970 + 1880))


def test_tokens_count_every_split_and_obey_limits(tiny):
    text = 150 * sum(DOCUMENT[language] for language in ("english", "python", "lua"))
    swept = 150 * (DOCUMENT["english"] + DOCUMENT["lua"])  # the merge's parents
    tokens = (0.7 * text + 0.2 * text + 0.1 * swept) / TOKEN_BYTES
    assert estimate(tiny).parts["tokens"] == pytest.approx(4 * tokens, abs=1)
    corpora = tiny.study.model_dump(mode="json")["corpora"]
    few = {name: corpus | {"tokens": 1000} for name, corpus in corpora.items()}
    tokens = 3 * 1000 + (0.2 * text + 0.1 * swept) / TOKEN_BYTES
    assert estimate(changed(tiny, corpora=few)).parts["tokens"] == pytest.approx(4 * tokens, abs=1)


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_those_of_transformers(tiny, tied):
    from transformers import MistralConfig, MistralForCausalLM

    models = tiny.study.model_dump(mode="json")["models"]
    models["base"]["architecture"] |= {"layers": 2, "tied": tied}
    a = models["base"]["architecture"]
    real = MistralForCausalLM(
        MistralConfig(
            vocab_size=512,
            hidden_size=a["hidden"],
            intermediate_size=a["intermediate"],
            num_hidden_layers=2,
            num_attention_heads=a["heads"],
            num_key_value_heads=a["kv_heads"],
            head_dim=a["hidden"] // a["heads"],
            tie_word_embeddings=tied,
        )
    )
    shape = shape_of(changed(tiny, models=models), "merged")
    assert shape.parameters(512) == real.num_parameters()


def test_the_paper_has_the_parameters_that_were_published(shipped):
    paper = Slices("paper", shipped.studies["paper"])
    assert shape_of(paper, "babypython").parameters(32_000) == 35_128_832


def test_what_is_unknown_is_named(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no results/ of an earlier run
    found = estimate(Slices("paper", shipped.studies["paper"]))
    text = "; ".join(found.unknown)
    assert "nilq/babylm-100M (corpus babylm)" in text
    assert "the vocabulary of mistralai/Mistral-7B-v0.1" in text
    assert found.parts["activations"] == 7 * 15_000_000 * 1024 * 2


def test_a_pretrained_model(tiny, model_folder):
    models = {
        "start": {"kind": "pretrained", "name": "owner/model", "corpora": ["english"]},
        "lua": tiny.study.models["lua"].model_dump() | {"parent": "start"},
    }
    keys = {
        "models": models,
        "figures": {"draw": None},
        "saes": {"main": {"kind": "relu", "hook": "blocks.0.hook_resid_post"}},
    }
    unknown = estimate(changed(tiny, **keys))
    assert "the size of owner/model" in unknown.unknown and "activations" not in unknown.parts
    models["start"]["name"] = str(model_folder)
    weights = (model_folder / "model.safetensors").stat().st_size
    known = estimate(changed(tiny, **keys))
    assert known.parts["models"] == 2 * weights
    assert known.parts["activations"] == 2 * 50_000 * 32 * 2
    shape = shape_in(model_folder)
    assert (shape.width("blocks.0.mlp.hook_post"), shape.width("blocks.0.attn.hook_q")) == (
        48,
        None,
    )


def test_without_kept_shards_there_are_none(tiny):
    settings = tiny.study.activations.model_dump() | {"keep": False}
    assert "activations" not in estimate(changed(tiny, activations=settings)).parts


def test_files_are_what_they_hold(tmp_path, tiny):
    for name, size in (("a.txt", 1000), ("b.txt", 3000), ("c.jsonl.gz", 2000), ("d.txt", 9000)):
        (tmp_path / name).write_bytes(b"x" * size)
    source = {"kind": "files", "paths": [f"{tmp_path}/*"], "max_bytes": 8000}

    def found(**keys) -> float:
        corpora = {
            "english": source | keys,
            **{c: tiny.study.corpora[c] for c in ("python", "lua")},
        }
        return StudySizes(changed(tiny, corpora=corpora)).text("english")

    assert found() == 1000 + 3000 + 3 * 2000
    assert found(bytes=5000) == 5000
    only = [f"{tmp_path}/a.txt", f"{tmp_path}/b.txt"]
    assert found(paths=only, documents=1) == 2000
