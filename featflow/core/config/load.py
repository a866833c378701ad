"""From workflow_config.yaml to checked studies."""

import copy
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from featflow.core.config.base import Config, Name
from featflow.core.config.errors import ConfigError, did_you_mean, explain
from featflow.core.config.study import Study

FAMILIES = ("corpora", "models", "saes")
"""The parts of a study whose entries may extend one another."""


class Workflow(Config):
    """The whole of workflow_config.yaml."""

    study: Name
    """What `snakemake` builds when no target is named."""
    studies: dict[Name, Study] = Field(min_length=1)


def load(source: Path | dict[str, Any]) -> Workflow:
    """Read and check a config.

    Args:
        source: the YAML file, or its content (as Snakemake hands it over).

    Raises:
        ConfigError: with a line for everything that is wrong.
    """
    data = _read(source) if isinstance(source, Path) else copy.deepcopy(source)
    if unknown := [key for key in data if key not in Workflow.model_fields]:
        hints = [f"{k}: unknown key; {did_you_mean(k, Workflow.model_fields)}" for k in unknown]
        raise ConfigError("\n".join(hints))
    studies = data.get("studies")
    if not isinstance(studies, dict) or not studies:
        raise ConfigError("studies: name at least one study")
    for name, study in studies.items():
        if not isinstance(study, dict):
            raise ConfigError(f"studies.{name}: expected a mapping, found {study!r}")
    resolved = {
        name: _families(name, study) for name, study in _extended(studies, "studies").items()
    }
    checked, problems = {}, []
    for name, raw in resolved.items():
        try:
            TypeAdapter(Name).validate_python(name)
            checked[name] = Study.model_validate(raw)
        except ValidationError as error:
            problems.append(explain(error, Study, raw, f"studies.{name}"))
    if data.get("study") not in resolved:
        named = str(data.get("study"))
        problems.append(f"study: no study named {named!r}; {did_you_mean(named, resolved)}")
    if problems:
        raise ConfigError("\n".join(problems))
    return Workflow(study=data["study"], studies=checked)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; run in the folder that has it, or name another"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping with the keys study and studies")
    return data


def _families(name: str, study: dict[str, Any]) -> dict[str, Any]:
    """Resolve `extends` inside a study's corpora, models and SAEs."""
    for family in FAMILIES:
        if isinstance(study.get(family), dict):
            study = {**study, family: _extended(study[family], f"studies.{name}.{family}")}
    return study


def _extended(entries: dict[str, Any], where: str) -> dict[str, Any]:
    """Each entry laid over the one that it extends; a cycle or an unknown name is an error."""
    done: dict[str, Any] = {}

    def resolve(name: str, path: tuple[str, ...]) -> Any:
        if name in path:
            raise ConfigError(f"{where}: extends runs in a cycle, {' → '.join([*path, name])}")
        if name not in done:
            entry = entries[name]
            if isinstance(entry, dict) and "extends" in entry:
                parent = entry["extends"]
                if not isinstance(parent, str) or parent not in entries:
                    hint = did_you_mean(str(parent), entries)
                    raise ConfigError(f"{where}.{name}.extends: nothing named {parent!r}; {hint}")
                rest = {key: value for key, value in entry.items() if key != "extends"}
                entry = merged(resolve(parent, (*path, name)), rest)
            done[name] = entry
        return done[name]

    return {name: resolve(name, ()) for name in entries}


def merged(below: Any, above: Any) -> Any:
    """Lay one value over another.

    Mappings merge key by key, except that one whose `kind` changes is replaced whole; null deletes
    a key; anything else (a list too) is replaced.
    """
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if "kind" in below and "kind" in above and below["kind"] != above["kind"]:
        return above
    both = {key: merged(below[key], above[key]) if key in below else above[key] for key in above}
    return {k: v for k, v in {**below, **both}.items() if not (k in above and above[k] is None)}
