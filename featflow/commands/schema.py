"""`featflow schema`: what workflow_config.yaml may say, as JSON for editors and as markdown."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import ModelSchema

from featflow.commands.meanings import meanings
from featflow.config.load import FAMILIES, Workflow


def schema(*, markdown: bool = False) -> None:
    """Print what workflow_config.yaml may say: a JSON schema for editors.

    Args:
        markdown: print the reference for people instead (docs/config.md).
    """
    if markdown:
        from featflow.commands.reference import reference

        print(reference(), end="")
    else:
        whole = Workflow.model_json_schema(schema_generator=_Described)
        print(json.dumps(_for_the_file(whole), indent=2))


class _Described(GenerateJsonSchema):
    """Says of each key what stands below it in its class."""

    def model_schema(self, schema: ModelSchema) -> dict[str, Any]:
        found = super().model_schema(schema)
        for key, said in meanings(schema["cls"]).items():
            found["properties"][key].setdefault("description", said)
        return found


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
    for family in (*FAMILIES, "cases"):
        _entries_may_extend(schema["$defs"]["Study"]["properties"][family])
    return schema


def _lift(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    for key in ("description", "default", "title"):
        if key in inner:
            outer[key] = inner.pop(key)


def _entries_may_extend(family: dict[str, Any]) -> None:
    """An entry may be null, which takes away what `extends` brought; and one that extends another
    need not repeat its kind: no discriminator chooses.
    """
    for option in family["anyOf"]:
        for part in ("additionalProperties", "patternProperties"):
            found = option.get(part)
            if not isinstance(found, dict):
                continue
            if part == "additionalProperties":
                option[part] = _or_null(found)
            else:
                option[part] = {pattern: _or_null(entry) for pattern, entry in found.items()}


def _or_null(entry: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*entry.get("oneOf", [entry]), {"type": "null"}]}
