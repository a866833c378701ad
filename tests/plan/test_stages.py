"""The architecture, as tests: one word a stage, one file a kind."""

from pathlib import Path
from typing import get_args

import pytest

from featflow.config import corpora, figures, merging, saes, tokenizers
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

ROOT = Path(__file__).parents[2]
FOLDERS = {
    corpora: "data/corpora",
    tokenizers: "data/tokenizers",
    merging: "models/merging",
    saes: "saes/architectures",
    figures: "figures",
}


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "stages.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_table_of_stages_is_in_step():
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    templates = {value for name, value in vars(paths).items() if name.isupper()}
    assert [row[2] for row in rows()] == list(STAGES)
    for rule, module, verb, target, test in rows():
        assert (ROOT / module).is_file() and (ROOT / test).is_file(), verb
        assert STAGES[verb].module == module.removesuffix(".py").replace("/", ".")
        assert target in templates, target
        assert f"python -m featflow {verb}" in rules and f"rule {rule}" in rules + "rule features"
        assert hasattr(Slices, verb)


@pytest.mark.parametrize("family", FOLDERS, ids=lambda family: family.__name__)
def test_a_kind_is_one_class_and_one_file(family):
    classes = [c for c in vars(family).values() if getattr(c, "__module__", "") == family.__name__]
    kinds = {
        get_args(c.model_fields["kind"].annotation)[0]
        for c in classes
        if "kind" in getattr(c, "model_fields", {})
    }
    files = {path.stem: path for path in (ROOT / "featflow" / FOLDERS[family]).glob("*.py")}
    del files["__init__"]
    if family is figures:  # what they share lies beside them
        files = {name: path for name, path in files.items() if "\ndef draw(" in path.read_text()}
    assert kinds == set(files)
