"""A wrong config, as a user meets it: one message with everything, and no job."""

import copy

import pytest
import yaml

from tests.bad_input.conftest import TINY, state
from tests.workflow.conftest import snakemake

pytestmark = pytest.mark.workflow

BASE = {"kind": "base", "corpora": ["lua"]}
TWO = ["lua", "more"]
WRONG = {
    "unknownkey": ("saes/main/expnsion", 4, "saes.main.expnsion: unknown key; did you mean"),
    "misspelt": ("models/lua/corpora", ["lau"], "models.lua.corpora: no corpus named 'lau'; did"),
    "cycle": ("models/base", {"kind": "finetune", "parent": "lua", "corpora": ["lua"]}, "a cycle"),
    "oneparent": ("models/merged/parents", ["lua"], "models.merged.parents: list should have at"),
    "highert": ("models/merged/method/t", 1.3, "models.merged.method.t: "),
    "weights": (
        "models/merged/method",
        {"kind": "linear", "weights": [1, 2, 3]},
        "method.weights: 3 weights for 2 parents",
    ),
    "nodictionary": ("pairs", [["lua.reseed", "base.main"]], "pairs: no dictionary (model.sae)"),
}
GRAPH = {
    "shapes": ({"other": {**BASE, "architecture": {"hidden": 64}}}, "different architectures"),
    "unrelated": ({"other": {"extends": "base"}}, "differences from a common ancestor"),
}


def changed(path: str, value) -> dict:
    study = copy.deepcopy(yaml.safe_load(TINY.read_text())["studies"]["tiny"])
    *parents, last = path.split("/")
    inner = study
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return study


def refusal(checkout, config: dict, *arguments: str, **environment: str) -> str:
    """What Snakemake says to a config, having started nothing."""
    file = checkout / "workflow_config.yaml"
    text, before = file.read_text(), state(checkout)
    file.write_text(yaml.dump(config, sort_keys=False))
    try:
        result = snakemake(checkout, "--profile", "local", *arguments, **environment)
    finally:
        file.write_text(text)
    said = result.stdout + result.stderr
    assert result.returncode != 0, said
    assert "Traceback (most" not in said and "Job stats" not in said, said
    made = state(checkout).keys() - before.keys()
    assert not {name for name in made if not name.startswith(".snakemake/")}
    return said


def test_everything_that_is_wrong_comes_in_one_message(checkout):
    studies = {name: changed(path, value) for name, (path, value, _) in WRONG.items()}
    for name, (models, _) in GRAPH.items():
        studies[name] = changed("models/merged/parents", ["lua", "other"])
        studies[name]["models"] |= models
    studies["unrelated"]["models"]["merged"]["method"] = {"kind": "task"}
    for study in studies.values():
        study["models"].pop("random")  # like a base that is none in some of them
    said = refusal(checkout, {"study": "cycle", "studies": studies})
    for name, words in {n: w[-1] for n, w in {**WRONG, **GRAPH}.items()}.items():
        line = next((x for x in said.splitlines() if f"studies.{name}." in x), None)
        assert line is not None and words in line, (name, line)
    assert "less than or equal to 1, found 1.3" in said


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["/nowhere/at/all/*.lua"], ["corpora.lua.paths.0", "matches no file", "check the path"]),
        (["${FEATFLOW_NOT_SET}/*.lua"], ["corpora.lua.paths.0", "FEATFLOW_NOT_SET is not set"]),
    ],
)
def test_files_that_are_not_there_end_the_run_before_a_job(checkout, paths, words):
    config = yaml.safe_load(TINY.read_text())
    config["studies"]["tiny"]["corpora"]["lua"] = {"kind": "files", "paths": paths}
    said = refusal(checkout, config)
    assert all(word in said for word in words), said
