"""The table of rebuilds is whole and in step; slices hold what is read, the code's closure too."""

import ast
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import grimp
import pytest
import yaml
from pydantic import BaseModel

from featflow.config import load
from featflow.config.errors import models_in
from featflow.config.study import Study
from featflow.plan import fingerprint
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from tests.config.test_config import config, set_at
from tests.plan.test_slices import every_slice
from tests.workflow.edits import CONFIG, Edit, applied, backwards
from tests.workflow.rebuilds import DOCS, edits, written

Key = tuple[str, str]
"""A config class and one of its keys."""


def schema() -> set[Key]:
    """Every key that can have two values, and every mapping of names."""
    waiting: list[type[BaseModel]] = [Study]
    found: set[Key] = set()
    done: set[type[BaseModel]] = set()
    while waiting:
        cls = waiting.pop()
        if cls in done:
            continue
        done.add(cls)
        for name, field in cls.model_fields.items():
            classes = models_in(field.annotation)
            waiting += classes
            if not _single(field.annotation) and (not classes or _is_mapping(field.annotation)):
                found.add((cls.__name__, name))
            if len(classes) > 1 and all("kind" in c.model_fields for c in classes):
                found |= {(c.__name__, "kind") for c in classes}
    return found


def _single(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _is_mapping(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(map(_is_mapping, get_args(annotation)))
    return get_origin(annotation) is dict


def changes(old: Any, new: Any) -> Iterator[Key]:
    """The keys in which two parts of a study differ."""
    if type(old) is not type(new):
        yield from ((type(part).__name__, "kind") for part in (old, new))
        return
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from changes(before, after)
        elif isinstance(before, dict) and isinstance(after, dict):
            if before.keys() != after.keys():
                yield type(old).__name__, name
            for entry in before.keys() & after.keys():
                if before[entry] != after[entry]:
                    yield from changes(before[entry], after[entry])
        else:
            yield type(old).__name__, name


def changed_by(edit: Edit) -> set[Key]:
    raw = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    before, after = load(raw).studies, load(applied(edit, raw)).studies
    return set(changes(before[edit.study], after[edit.study]))


def test_every_key_of_the_schema_has_an_edit():
    edited = {key for edit in edits() for key in changed_by(edit)}
    assert len(schema()) > 100
    assert schema() - edited == set(), "tests/workflow/rebuilds.py has no edit of these"


def test_an_edit_of_a_key_changes_that_key():
    for edit in edits():
        if not isinstance(edit.said, str):
            assert edit.said.key in {key for _, key in changed_by(edit)} | {"sparsity"}, edit.said


def test_the_docs_are_in_step():
    text = DOCS.read_text(encoding="utf-8")
    assert written(text) == text, "run: python -m tests.workflow.rebuilds"


@pytest.mark.parametrize("mapping", ["corpora", "models", "saes"])
def test_the_order_of_names_is_in_no_slice(mapping):
    mixed = config()
    mixed["studies"]["one"][mapping] = backwards(mixed["studies"]["one"][mapping])
    before, after = (Slices("one", load(c).studies["one"]) for c in (config(), mixed))
    assert [str(pair) for pair in before.lineage.pairs("main")] == [
        str(pair) for pair in after.lineage.pairs("main")
    ]
    told = [{k: s.dumps() for k, s in every_slice(slices).items()} for slices in (before, after)]
    assert told[0] == told[1]


def test_an_sae_reads_of_the_activations_what_it_sees():
    def sae(**activations) -> str:
        changed = set_at(config(), "activations", {"shard_tokens": 10, **activations})
        changed = set_at(changed, "saes/main/tokens", 15)
        return (
            STAGES["sae"].slice(Slices("one", load(changed).studies["one"]), "both", "main").dumps()
        )

    assert sae(tokens=20) == sae(tokens=25) == sae(tokens=95)  # two shards, both whole
    assert sae(tokens=20) != sae(tokens=19)
    assert sae(tokens=20, data="lineage") == sae(tokens=20)  # a merge of all has all corpora
    assert sae(tokens=20, scale="none") != sae(tokens=20)


@pytest.mark.parametrize(
    "module",
    sorted({s.module for s in STAGES.values() if s.revision is None})
    + [f"featflow.figures.{kind}" for kind in ("density", "flow", "lineage", "sweep", "training")],
)
def test_the_code_that_counts_is_what_is_imported(module):
    graph = grimp.build_graph("featflow", cache_dir=None)
    expected, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in expected and not name.startswith(fingerprint.LEFT_OUT):
            expected.add(name)
            waiting += graph.find_modules_directly_imported_by(name)
    found = fingerprint.closure(module)
    assert expected <= found  # and the packages that `from package import module` names
    assert all(graph.find_children(name) for name in found - expected)


def test_nothing_is_imported_where_the_fingerprint_does_not_see_it():
    """Imports by `from . import` are not followed."""
    for path in fingerprint.PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [node for node in imports if node.level], path
