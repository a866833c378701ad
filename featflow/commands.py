"""What people type every day, beside Snakemake's targets."""

import json
from pathlib import Path
from typing import Any

from featflow.core import paths
from featflow.core.artifacts import load_table
from featflow.core.config import FeatflowError, load
from featflow.core.config.errors import did_you_mean
from featflow.core.config.load import FAMILIES, Workflow


def table(study: str, /, config: Path = Path("workflow_config.yaml")) -> None:
    """Print the flow tables of a study, one an SAE.

    Args:
        study: the study's name.
        config: the file that describes it.
    """
    from featflow.analysis.flow import table as text

    studies = load(config).studies
    if study not in studies:
        raise FeatflowError(f"no study named {study!r}; {did_you_mean(study, studies)}")
    for sae in studies[study].flow_saes:
        print(f"\n{study}, SAE {sae}\n")
        print(text(load_table(Path(paths.FLOW_EDGES.at(study=study, sae=sae)))))


def schema() -> None:
    """Print the JSON schema of workflow_config.yaml, for editors."""
    print(json.dumps(_for_the_file(Workflow.model_json_schema()), indent=2))


def _for_the_file(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what a user writes, before `extends` is resolved.

    An entry that extends another may leave out what that one has (nothing is required), may delete
    a key (null), and may say `extends`.
    """
    for name, definition in schema["$defs"].items():
        definition.pop("required", None)
        for key, value in definition.get("properties", {}).items():
            if key != "kind":
                definition["properties"][key] = {"anyOf": [value, {"type": "null"}]}
                _lift(definition["properties"][key], value)
        if name == "Study" or "kind" in definition.get("properties", {}):
            definition["properties"]["extends"] = {
                "type": "string",
                "description": "Lay this over.",
            }
    for family in FAMILIES:
        _entries_may_extend(schema["$defs"]["Study"]["properties"][family])
    return schema


def _lift(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    for key in ("description", "default", "title"):
        if key in inner:
            outer[key] = inner.pop(key)


def _entries_may_extend(family: dict[str, Any]) -> None:
    """An entry that extends another need not repeat its kind: no discriminator chooses."""
    for option in family["anyOf"]:
        for part in ("additionalProperties", "patternProperties"):
            for entry in [option.get(part), *(option.get(part) or {}).values()]:
                if isinstance(entry, dict) and "oneOf" in entry:
                    entry["anyOf"] = entry.pop("oneOf")
                    entry.pop("discriminator", None)
