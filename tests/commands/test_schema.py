"""docs/workflow_config.schema.json is in step with the classes, and accepts the shipped config."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from featflow.commands.schema import schema

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "workflow_config.schema.json"


class Yaml12(yaml.SafeLoader):
    """Editors read YAML 1.2, where 6e-4 is a number."""


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


@pytest.fixture
def validator():
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def test_in_step(capsys):
    schema()
    assert capsys.readouterr().out == SCHEMA.read_text(), "run: make docs"


@pytest.mark.parametrize("name", ["workflow_config.yaml", "tests/workflow/tiny.yaml"])
def test_accepts_our_configs(validator, name):
    content = yaml.load((ROOT / name).read_text(), Yaml12)
    assert [e.message for e in validator.iter_errors(content)] == []


@pytest.mark.parametrize(
    "study",
    [
        {"modles": {}},
        {"flow": {"threshold": 2}},
        {"corpora": {"en": {"kind": "generated", "language": "latin"}}},
        {"models": {"a": {"kind": "base", "corpora": ["x"], "layers": 3}}},
    ],
)
def test_refuses_what_the_classes_refuse(validator, study):
    assert list(validator.iter_errors({"study": "a", "studies": {"a": study}}))
