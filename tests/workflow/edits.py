"""Edits of a config, each with the jobs that read what it changes; and tables of them as Markdown.

What they edit is tests/workflow/rebuilds.yaml; the edits themselves are in rebuilds.py.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CONFIG = Path(__file__).with_name("rebuilds.yaml")
NAMED = ("corpora", "models", "saes", "draw")
"""Mappings whose keys are names."""


class Place(NamedTuple):
    """A key: the path above it with * for the names in it, the kind of what it belongs to."""

    above: str
    kind: str
    key: str


class Edit(NamedTuple):
    """One edit of a study."""

    said: Place | str
    """What is edited: a key, or in words."""
    sets: Mapping[str, Any]
    """Paths in the study (from /, in the whole file), and their values: `gone` deletes the key, a
    function makes the new value of the old one."""
    reruns: tuple[str, ...]
    """The jobs that read it, as rule and wildcards; * stands for anything."""
    then: str
    """The same for people."""
    study: str


def keys(where: str, reruns: str, then: str, study: str = "whole", **values: Any) -> list[Edit]:
    """An edit of each of some keys below the same path, all of which the same jobs read."""
    above, kind = _shape(where, study)
    return [
        Edit(Place(above, kind, key), {f"{where}.{key}".lstrip("."): value}, jobs, then, study)
        for jobs in [_jobs(reruns)]
        for key, value in values.items()
    ]


def change(
    said: str, sets: Mapping[str, Any], reruns: str, then: str, study: str = "whole"
) -> list[Edit]:
    """An edit that is more than a key, or adds a name, or takes one away."""
    return [Edit(said, sets, _jobs(reruns), then, study)]


def gone(old: Any) -> Any:
    """For a key that is deleted."""
    raise KeyError


def backwards(old: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
    """The same keys, or entries, in the other order."""
    return dict(reversed(old.items())) if isinstance(old, dict) else old[::-1]


def applied(edit: Edit, config: dict[str, Any]) -> dict[str, Any]:
    """The config with the edit made."""
    config = copy.deepcopy(config)
    for path, value in edit.sets.items():
        inner = config if path.startswith("/") else config["studies"][edit.study]
        *above, last = path.strip("/").split(".")
        for key in above:
            inner = inner.setdefault(key, {})
        if value is gone:
            del inner[last]
        else:
            inner[last] = value(inner[last]) if callable(value) else value
    return config


def table(edits: Iterable[Edit]) -> str:
    """A table of what is edited and what reads it; keys that the same jobs read share a row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for words, then in _merged(edits):
        rows.setdefault((words, then), [])
    lines = [f"| {words} | {then} |" for words, then in rows]
    return "\n".join(["| you edit | reads it, and reruns with what follows |", "|---|---|", *lines])


def _merged(edits: Iterable[Edit]) -> Iterator[tuple[str, str]]:
    """Keys of the same path, kind and readers in a row; then kinds with the same row in one."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for edit in edits:
        if isinstance(edit.said, str):
            grouped[(edit.said, "", edit.then)] = []
        else:
            above, kind, key = edit.said
            grouped.setdefault((above, kind, edit.then), []).append(key)
    kinds: dict[tuple[Any, ...], list[str]] = {}
    for (above, kind, then), names in grouped.items():
        kinds.setdefault((above, tuple(names), then), []).append(kind)
    for (above, names, then), of in kinds.items():
        listed = ", ".join(f"`{name}`" for name in dict.fromkeys(names))
        said = ", ".join(kind for kind in of if kind)
        place = f"`{above}`" if above and names else above
        yield ": ".join(p for p in (f"{place} ({said})" if said else place, listed) if p), then


def _jobs(reruns: str) -> tuple[str, ...]:
    return tuple(job.strip() for job in reruns.split(",") if job.strip())


def _shape(where: str, study: str) -> tuple[str, str]:
    """A path with * for the names in it, and the kind of the entry that it leads to, or through."""
    entry, kind, shown = yaml.safe_load(CONFIG.read_text())["studies"][study], "", list[str]()
    for part in filter(None, where.split(".")):
        shown.append("*" if shown and shown[-1] in NAMED else part)
        entry = entry.get(part, {})
        kind = entry.get("kind", kind)
    return ".".join(shown), kind
