"""From workflow_config.yaml to checked studies."""

import math
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from featflow.config.base import Config, Name
from featflow.config.errors import ConfigError, Problem, did_you_mean, problems_in
from featflow.config.misread import misread, shown, with_text_keys
from featflow.config.salvage import checked
from featflow.config.study import Study

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
        ConfigError: with a line for everything that is wrong; what heirs have from a study or an
            entry that they extend is said once, there.
    """
    problems: list[str] = []
    data = _read(source) if isinstance(source, Path) else source
    data = with_text_keys(data, (), problems)
    for key in data:
        if key not in Workflow.model_fields:
            problems.append(f"{key}: unknown key; {did_you_mean(key, Workflow.model_fields)}")
    studies = data.get("studies")
    if not isinstance(studies, dict) or not studies:
        raise ConfigError("\n".join([*problems, "studies: name at least one study"]))
    for name, study in studies.items():
        if not isinstance(study, dict):
            problems.append(f"studies.{name}: expected a mapping, found {study!r}")
    written = {name: study for name, study in studies.items() if isinstance(study, dict)}
    whole = _extended(written, "studies", problems)
    found: dict[str, list[Problem]] = {}
    right: dict[str, Any] = {}
    for name, study in whole.items():
        found[name] = _name_problems(name)
        unusable: set[tuple[str, ...]] = set()
        resolved = _families(study, found[name], unusable)
        right[name], more = checked(resolved, unusable)
        found[name] += more
    for name, own in found.items():
        family = [p for p in own if not _of_entry(p, own, whole[name])]
        parent = str(written[name].get("extends"))
        problems += [
            p.line(f"studies.{name}")
            for p in family
            if p not in found.get(parent, ()) or _says(written[name], p.path)
        ]
    default, problem = _default(data.get("study"), studies)
    if problems := [*problems, *problem]:
        raise ConfigError("\n".join(problems))
    return Workflow(study=default, studies=right)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; run in the folder that has it, or name another"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping with the keys study and studies")
    return data


def _default(value: Any, studies: dict[str, Any]) -> tuple[str, list[str]]:
    """The study that `study` names, and what is wrong with that.

    Snakemake makes a number of `--config study=nan`, before anything of featflow sees it.
    """
    if isinstance(value, float):
        meant = [name for name in studies if _number(name) == repr(value)]
        named = repr(value) if not math.isfinite(value) else value
        value = meant[0] if len(meant) == 1 else named
    if isinstance(value, str):
        if value in studies:
            return value, []
        return "", [f"study: no study named {value!r}; {did_you_mean(value, studies)}"]
    there = f"there are: {', '.join(studies)}"
    if value is None:
        return "", [f"study: it names no study; {there}"]
    return "", [f"study: found {shown(value)}{misread(value, is_name=True)}; {there}"]


def _number(name: str) -> str | None:
    """The number that Snakemake takes a name for: `nan` and `infinity` are some."""
    try:
        return repr(float(name))
    except ValueError:
        return None


def _name_problems(name: str) -> list[Problem]:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        return problems_in(error, Study, name)
    return []


def _families(
    study: dict[str, Any], problems: list[Problem], unusable: set[tuple[str, ...]]
) -> dict[str, Any]:
    """Resolve `extends` inside a study's corpora, models and SAEs.

    Args:
        study: the study's mapping.
        problems: gets each `extends` that cannot be followed.
        unusable: gets the paths of the entries with such a one.
    """
    for family in FAMILIES:
        if isinstance(entries := study.get(family), dict):
            lines: list[str] = []
            found = _extended(entries, family, lines)
            for where, _, text in (line.partition(": ") for line in lines):
                problems.append(Problem(tuple(where.split(".")), f": {text}"))
            unusable |= {(family, entry) for entry in entries.keys() - found.keys()}
            study = {**study, family: {key: found.get(key) for key in entries}}
    return study


def _extended(
    entries: dict[str, Any], where: str, problems: list[str] | None = None
) -> dict[str, Any]:
    """Each entry laid over the one that it extends.

    Args:
        entries: by name.
        where: their path in the file.
        problems: gets a line for each cycle and each unknown name; these entries, and what extends
            them, are left out.
    """
    problems = [] if problems is None else problems
    done: dict[str, Any] = {}
    lost: set[str] = set()

    def resolve(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            problems.append(f"{where}: extends runs in a cycle, {' → '.join([*path, name])}")
            lost.update(path)
        if name in done or name in lost:
            return
        entry = entries[name]
        if isinstance(entry, dict) and "extends" in entry:
            parent = entry["extends"]
            if not isinstance(parent, str) or parent not in entries:
                if isinstance(parent, str):
                    text = f"nothing named {parent!r}; {did_you_mean(parent, entries)}"
                else:
                    text = f"nothing named {shown(parent)}{misread(parent, is_name=True)}"
                problems.append(f"{where}.{name}.extends: {text}")
                lost.add(name)
                return
            resolve(parent, (*path, name))
            if parent in lost:
                lost.add(name)
                return
            rest = {key: value for key, value in entry.items() if key != "extends"}
            entry = merged(done[parent], rest)
        done[name] = entry

    for name in entries:
        resolve(name, ())
    return {name: done[name] for name in entries if name in done}


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


def _of_entry(problem: Problem, own: list[Problem], study: dict[str, Any]) -> bool:
    """Whether an entry has a problem from the one that it extends, where it is said as well."""
    if len(problem.path) < 2 or problem.path[0] not in FAMILIES:
        return False
    family, entry = problem.path[:2]
    entries = study.get(family)
    mine = entries.get(entry) if isinstance(entries, dict) else None
    if not isinstance(mine, dict) or not isinstance(mine.get("extends"), str):
        return False
    path = (family, mine["extends"], *problem.path[2:])
    return Problem(path, problem.text) in own and not _says(mine, problem.path[2:])


def _says(mapping: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Whether a mapping itself gives the value at a path."""
    for part in path:
        if not isinstance(mapping, dict) or part not in mapping:
            return not isinstance(mapping, dict)  # an item of a list that it gives
        mapping = mapping[part]
    return not isinstance(mapping, dict)
