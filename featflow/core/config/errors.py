"""One message for everything wrong with a config: where, what was found, what is allowed."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


class FeatflowError(Exception):
    """Its message says what is wrong, where, and what to do: shown without a traceback."""


class ConfigError(FeatflowError):
    """The config is wrong."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the closest known one, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def explain(error: ValidationError, root: type[BaseModel], data: Any, prefix: str) -> str:
    """A line a problem, each beginning with the key's path as the user wrote it.

    Args:
        error: what pydantic found.
        root: the class that was validated.
        data: the mapping that was validated.
        prefix: the path of that mapping in the file.
    """
    lines = [line for problem in error.errors() for line in _lines(problem, root, data, prefix)]
    return "\n".join(dict.fromkeys(lines))


def _lines(problem: ErrorDetails, root: type[BaseModel], data: Any, prefix: str) -> list[str]:
    loc, kind, found = problem["loc"], problem["type"], problem["input"]
    where = ".".join([prefix, *_written(loc, data, missing=kind == "missing")])
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return [f"{where}: unknown key; {did_you_mean(str(loc[-1]), _allowed(loc[:-1], root))}"]
    if kind == "missing":
        return [f"{where}: missing"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = found.get("kind") if isinstance(found, dict) else found
        allowed = ", ".join(_kinds(_classes_at(loc, root)))
        return [
            f"{where}.kind: {'missing' if tag is None else f'found {tag!r}'}; allowed: {allowed}"
        ]
    if kind == "value_error" and isinstance(found, dict):
        joint = "." if not loc else ": "  # the study's own checks begin with a key's path
        return [f"{where}{joint}{line}" for line in message.split("\n")]
    return [f"{where}: {message[:1].lower() + message[1:]}, found {found!r}"]


def _written(loc: tuple[int | str, ...], data: Any, missing: bool) -> list[str]:
    """The path without what pydantic adds to it: the tags of unions, the names of types."""
    path = []
    for i, part in enumerate(loc):
        if isinstance(data, dict):
            present = part in data
        else:
            present = isinstance(part, int) and isinstance(data, list) and part < len(data)
        if present:
            data = data[part]
        if present or (missing and i == len(loc) - 1):
            path.append(str(part))
    return path


def _classes_at(loc: tuple[int | str, ...], root: type[BaseModel]) -> list[type[BaseModel]]:
    """The config classes that the value at this place may be of."""
    classes = [root]
    for part in loc:
        tagged = [c for c in classes if part in _kinds([c])]
        fields = [c.model_fields[part].annotation for c in classes if part in c.model_fields]
        if tagged:
            classes = tagged
        elif fields:
            classes = [c for annotation in fields for c in models_in(annotation)]
    return classes


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The config classes in an annotation: of unions, lists and mappings too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def _kinds(classes: list[type[BaseModel]]) -> list[str]:
    return [
        get_args(c.model_fields["kind"].annotation)[0] for c in classes if "kind" in c.model_fields
    ]


def _allowed(loc: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    return list(dict.fromkeys(key for c in _classes_at(loc, root) for key in c.model_fields))
