"""docs/config.md is in step with the classes, complete, and its examples are right."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from featflow.commands.examples import EXAMPLES
from featflow.commands.reference import reference
from featflow.commands.schema import schema
from featflow.commands.words import FAMILIES, title_of, type_of
from featflow.config import (
    corpora,
    figures,
    interpreting,
    merging,
    models,
    saes,
    tokenizers,
)
from featflow.config.load import _extended
from featflow.config.study import Study

DOCUMENT = Path(__file__).parents[2] / "docs" / "config.md"
MODULES = {
    m.__name__.rpartition(".")[2]: m
    for m in (corpora, tokenizers, models, merging, saes, figures, interpreting)
}


def kinds() -> dict[str, type[BaseModel]]:
    """Every class with a kind, by its section."""
    return {
        title_of(c): c
        for module in MODULES.values()
        for c in vars(module).values()
        if isinstance(c, type) and "kind" in getattr(c, "model_fields", {})
    }


def test_in_step(capsys):
    schema(markdown=True)
    assert capsys.readouterr().out == DOCUMENT.read_text(encoding="utf-8"), "run: make docs"


def test_every_kind_has_an_example_and_nothing_else_has():
    assert set(MODULES) == set(FAMILIES) and set(EXAMPLES) == set(kinds())


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_valid(title):
    entries = _extended(yaml.safe_load(EXAMPLES[title]), "example")
    for entry in entries.values():
        assert type(TypeAdapter(kinds()[title]).validate_python(entry)) is kinds()[title]
        assert entry["kind"] == get_args(kinds()[title].model_fields["kind"].annotation)[0]


def test_every_key_of_every_class_has_a_row_with_a_meaning():
    text = reference()
    seen: list[type[BaseModel]] = [Study]
    for model in seen:
        section = re.search(rf"^##+ {title_of(model)}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
        assert section, title_of(model)
        rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*?) \|$", section[1], re.M))
        assert set(rows) == set(model.model_fields), title_of(model)
        assert [key for key, meaning in rows.items() if not meaning.strip()] == [], title_of(model)
        below = [c for f in model.model_fields.values() for c in _classes(f.annotation)]
        seen += [c for c in below if c not in seen]
    assert len(seen) > 25


def _classes(annotation) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [c for a in get_args(annotation) for c in _classes(a)]


def test_every_link_leads_to_a_section():
    text = reference()
    sections = {h.lower().replace(" ", "-") for h in re.findall(r"^##+ (.*)$", text, re.M)}
    links = set(re.findall(r"\]\(#([\w-]+)\)", text))
    assert links and links <= sections


@pytest.mark.parametrize(
    ("model", "key", "words"),
    [
        (corpora.Files, "paths", "list of text (at least 1)"),
        (corpora.Files, "validation", "number > 0 and < 1"),
        (corpora.Files, "documents", "integer ≥ 1, or null"),
        (models.Training, "betas", "a pair of number ≥ 0 and < 1"),
        (merging.Slerp, "t", "number ≥ 0 and ≤ 1 or `equilibrium` or `balanced`"),
        (tokenizers.Bpe, "vocabulary", "integer ≥ 300"),
        (saes.Relu, "control_of", "name, or null"),
        (saes.Relu, "resampling", "[resampling](#resampling), or null"),
        (saes.Activations, "keep", "`true` or `false`"),
        (Study, "saes", "mapping of name to [SAE relu](#sae-relu) or [SAE topk](#sae-topk)"),
    ],
)
def test_types_in_words(model, key, words):
    assert type_of(model.model_fields[key]) == words
