"""The architecture, as tests: one word a stage, one file a kind."""

import inspect
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from featflow.config import corpora, figures, merging, saes, tokenizers
from featflow.plan.reference import map_, stages
from featflow.plan.stages import FAMILIES

ROOT = Path(__file__).parents[2]
NO_KIND = FieldInfo()
FOLDERS = {
    corpora: "data/corpora",
    tokenizers: "data/tokenizers",
    merging: "models/merging",
    saes: "saes/architectures",
    figures: "figures",
}


def test_a_stage_is_called_one_thing_everywhere():
    for family in FAMILIES:
        name = family.__name__.split(".")[-1]
        rules = (ROOT / "rules" / f"{name}.smk").read_text()
        for stage in family.STAGES:
            module = ROOT / (stage.module.replace(".", "/") + ".py")
            assert module.is_file() and f"python -m featflow {stage.verb}" in rules, stage.verb
            assert f"rule {stage.verb}:" in rules or f'f"{stage.verb}_{{study}}"' in rules
            assert (ROOT / "tests" / module.parent.name / f"test_{module.name}").is_file(), module
            parameters = list(inspect.signature(stage.slice).parameters)
            assert parameters == ["slices", *stage.wildcards], stage.verb


def test_the_page_is_the_description():
    assert (ROOT / "docs" / "stages.md").read_text(encoding="utf-8") == stages()


def test_the_map_is_in_step(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (ROOT / "docs" / "map.md").read_text(encoding="utf-8") == map_()


@pytest.mark.parametrize("family", FOLDERS, ids=lambda family: family.__name__)
def test_a_kind_is_one_class_and_one_file(family):
    classes = [c for c in vars(family).values() if getattr(c, "__module__", "") == family.__name__]
    annotations = [getattr(c, "model_fields", {}).get("kind", NO_KIND).annotation for c in classes]
    kinds = {get_args(annotation)[0] for annotation in annotations if get_args(annotation)}
    files = {path.stem: path for path in (ROOT / "featflow" / FOLDERS[family]).glob("*.py")}
    del files["__init__"]
    if family is figures:  # what they share lies beside them
        files = {name: path for name, path in files.items() if "\ndef draw(" in path.read_text()}
    assert kinds == set(files)
