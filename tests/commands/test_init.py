"""The studies that `init` writes: valid, commented on every line, made of what is there."""

import json
import re
from itertools import pairwise

import pytest

from featflow.commands import init as init_module
from featflow.commands.estimates import of_study
from featflow.commands.init import IN_TIME, init, root_of
from featflow.config import FeatflowError, load
from featflow.data.windows import layout
from featflow.plan.lineage import Lineage
from featflow.plan.slicer import Slices
from tests.commands.conftest import CONFIG


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "workflow_config.yaml"
    path.write_bytes(CONFIG.read_bytes())
    return path


@pytest.fixture(autouse=True)
def cost(request, monkeypatch):
    """What `plan` says of the study: of Snakemake's two dry runs, for the tests that ask for it."""
    if "cost" not in request.function.__code__.co_varnames:
        monkeypatch.setattr(init_module, "_outlook", lambda name, config: [])


def written(config) -> list[str]:
    """The lines that were added."""
    text = config.read_text()
    return text[len(CONFIG.read_text()) :].splitlines()


def uncommented(lines: list[str]) -> list[str]:
    """Keys without a comment, behind them or above them; the study's own name leads them all."""
    found = []
    for before, line in pairwise(lines):
        if line.strip() and "#" not in line and not before.strip().startswith("#"):
            found.append(line)
    return found


def test_two_folders(texts, config, capsys):
    init("mine", folders=[f"{texts}/notes", f"{texts}/Code-2"], config=config)
    study = load(config).studies["mine"]
    assert list(study.corpora) == ["notes", "code2"]
    assert {n: m.kind for n, m in study.models.items()} == {
        "notes": "base",
        "code2": "finetune",
        "random": "random",
    }
    assert [str(p) for p in Lineage(study).pairs()] == [
        "notes.main-code2.main",
        "notes.main-notes.reseed",
    ]
    assert config.read_text().startswith(CONFIG.read_text())
    assert uncommented(written(config)) == [] and max(map(len, written(config))) <= 100 + 2 * len(
        str(texts)  # the first line has both folders
    )
    said = capsys.readouterr().out
    assert "featflow check mine" in said and "results/mine/report/index.html" in said
    assert load(config).study == "demo"


def test_three_folders_and_a_merge(texts, config):
    folders = [f"{texts}/{name}" for name in ("notes", "Code-2", "talks")]
    init("mine", folders=folders, set_default=True, config=config)
    workflow = load(config)
    study = workflow.studies["mine"]
    assert workflow.study == "mine"
    merged = study.models["merged"]
    assert (merged.parents, merged.method.t) == (["code2", "talks"], "equilibrium")
    assert study.corpora["talks"].text == "body"
    shape = layout(Slices("mine", study).windows())
    assert study.probe.tokens_per_corpus >= shape.windows * study.activations.window


def test_the_paper_s_form(texts, config, capsys, cost):
    """One base on two corpora, two fine-tunes, their merge."""
    folders = [f"{texts}/{name}" for name in ("notes", "Code-2", "talks")]
    tuned = [[folders[2]], [folders[1], folders[2]]]
    init("mine", base=folders[:2], finetune=tuned, merge=True, config=config)
    models = load(config).studies["mine"].models
    assert list(models) == ["base", "talks", "code2", "merged", "random"]
    assert models["base"].corpora == ["notes", "code2"]
    assert (models["talks"].corpora, models["code2"].corpora) == (["talks"], ["code2", "talks"])
    assert {models[name].parent for name in ("talks", "code2")} == {"base"}
    assert models["merged"].parents == ["talks", "code2"]
    assert models["merged"].method.t == "equilibrium"
    assert uncommented(written(config)) == []
    said = capsys.readouterr().out  # what it takes, as `plan` says it
    assert "as `featflow plan mine --config" in said and "all of it, with" in said
    assert re.search(r"  disk: \d", said)


def test_without_a_merge_there_is_none(texts, config):
    folders = [f"{texts}/{name}" for name in ("notes", "Code-2", "talks")]
    init("mine", base=folders[:1], finetune=[[f] for f in folders[1:]], config=config)
    assert list(load(config).studies["mine"].models) == ["notes", "code2", "talks", "random"]


@pytest.fixture
def large_model(model_folder, tmp_path):
    """The settings of a model of 135 million parameters in bf16, and a file as large as them."""
    folder = tmp_path / "large"
    folder.mkdir()
    settings = {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "max_position_embeddings": 8192,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_bytes((model_folder / "tokenizer.json").read_bytes())
    with open(folder / "model.safetensors", "wb") as file:
        file.truncate(269_000_000)
    return folder


def test_sizes_follow_the_model_s_cost(texts, config, model_folder, large_model, capsys):
    folders = [f"{texts}/{name}" for name in ("notes", "Code-2", "talks")]
    given = {"base": folders[:1], "finetune": [[f] for f in folders[1:]], "merge": True}
    init("small", **given, model=str(model_folder), config=config)
    assert "a model for a GPU" not in capsys.readouterr().out
    init("large", **given, model=str(large_model), config=config)
    said = capsys.readouterr().out
    workflow = load(config)
    small, large = (workflow.studies[name] for name in ("small", "large"))
    assert large.activations.tokens < small.activations.tokens / 2
    assert large.saes["main"].tokens < small.saes["main"].tokens / 2
    assert large.models["code2"].training.epochs < small.models["code2"].training.epochs / 5
    assert large.evaluation.tokens < small.evaluation.tokens
    assert large.models["merged"].method.t == small.models["merged"].method.t == "balanced"
    # A study of a model of 135 M parameters is not promised in minutes.
    assert "a model for a GPU" in said
    assert of_study(workflow, "small", 2) < IN_TIME < of_study(workflow, "large", 2) < 2 * 3600


def test_a_model_on_the_hub_is_assumed_and_said_so(texts, config, capsys, cost):
    init("mine", folders=[f"{texts}/notes", f"{texts}/talks"], model="owner/model", config=config)
    said = capsys.readouterr().out
    assert "owner/model is on the hub, and is not asked now: the sizes are for a model of" in said
    assert re.search(r"all of it, with \d+ cores: \d+ \w+ \+ \?", said)
    assert load(config).studies["mine"].activations.tokens < 300_000


def test_a_model_that_exists(texts, config, model_folder):
    init("mine", folders=[f"{texts}/notes"], model=str(model_folder), config=config)
    study = load(config).studies["mine"]
    assert study.models["start"].name == study.tokenizer.name == str(model_folder)
    assert study.models["start"].context == 64  # all that this one can read
    assert study.models["notes"].parent == "start" and study.corpora.keys() == {"notes"}
    assert uncommented(written(config)) == []
    init("two", folders=[f"{texts}/notes", f"{texts}/talks"], model="owner/model", config=config)
    models = load(config).studies["two"].models
    assert models["start"].corpora == ["notes"] and list(models) == ["start", "talks", "random"]


def test_the_hook_is_in_the_middle_and_the_sae_of_a_bearable_size(tmp_path):
    settings = {"n_embd": 768, "n_layer": 12, "n_positions": 1024}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    root = root_of(str(tmp_path))
    assert root[1:] == ("blocks.6.mlp.hook_post", 1, 128)


def test_the_paper(config, shipped):
    init("big", paper=True, config=config)
    study = load(config).studies["big"]
    assert study == shipped.studies["paper"]  # what is spelt out is what it has
    assert uncommented(written(config)) == []


def test_a_file_is_made_where_there_is_none(texts, tmp_path):
    path = tmp_path / "new.yaml"
    init("mine", folders=[f"{texts}/notes", f"{texts}/talks"], config=path)
    assert load(path).study == "mine"
    assert path.read_text().startswith("# yaml-language-server:")


@pytest.mark.parametrize(
    ("name", "keys", "words"),
    [
        ("mine", {}, r"say what to start from:\n.*--folders A B(.|\n)*--model(.|\n)*--paper"),
        ("demo", {"paper": True}, "there is a study 'demo' already"),
        ("My-Study", {"paper": True}, "no name for a study: small letters.*'mystudy'"),
        ("no", {"paper": True}, "no name for a study.*'mine'"),
        ("mine", {"paper": True, "folders": ["a"]}, "--paper goes without"),
        ("mine", {"model": "gpt2"}, "name a folder of text"),
        ("mine", {"folders": ["a"]}, "name a second folder"),
        ("mine", {"folders": ["gone", "gone"]}, "no folder 'gone'"),
        ("mine", {"folders": ["/nope"]}, "--folders: no folder '/nope' .* is not there; check"),
        ("mine", {"base": ["/nope"]}, "--base: no folder '/nope' .*\n--base /nope: name a folder"),
        ("mine", {"finetune": [["/nope"]]}, "--finetune: no folder '/nope' .*\n.*--base A"),
        ("mine", {"folders": ["a", "b"], "base": ["c"]}, "--folders is short for --base and"),
        ("mine", {"base": ["a"], "finetune": [["b"]], "merge": True}, "--merge: .* 1 is named"),
        ("mine", {"paper": True, "merge": True}, "--paper goes without"),
        ("mine", {"folders": ["NOTES", "NOTES"], "model": "/gone"}, "no folder with a model"),
    ],
)
def test_what_cannot_be_written_leaves_the_file(texts, config, name, keys, words):
    keys = {
        k: [f"{texts}/notes" if f == "NOTES" else f for f in v] if k == "folders" else v
        for k, v in keys.items()
    }
    with pytest.raises(FeatflowError) as caught:
        init(name, **keys, config=config)
    assert re.search(words, str(caught.value))
    assert config.read_bytes() == CONFIG.read_bytes()


def test_the_paper_needs_the_paper(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text("study: a\nstudies:\n")
    with pytest.raises(FeatflowError, match=r"studies.big.extends: nothing named 'paper'"):
        init("big", paper=True, config=path)
