"""One message for everything wrong with a config: where, what was found, what is allowed."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from featflow.config.base import PATTERN
from featflow.config.misread import MISREAD, NAMES, misread, shown


class FeatflowError(Exception):
    """Its message says what is wrong, where, and what to do: shown without a traceback."""


class ConfigError(FeatflowError):
    """The config is wrong."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the closest known one, or all of them."""
    known = list(map(str, known))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def unknown(key: str, name: str, known: Iterable[str], what: str) -> Iterator[str]:
    """The problem that a key of the config names something that is not there, if it is not."""
    known = list(known)
    if name not in known:
        yield f"{key}: no {what} named {name!r}; {did_you_mean(name, known)}"


class Problem(NamedTuple):
    """Something wrong with a study, or with a slice."""

    path: tuple[str, ...]
    """The keys that lead to it, as the user wrote them."""
    text: str
    """What follows the path: `: missing`."""

    def line(self, prefix: str) -> str:
        """The message; `prefix` is the path of the whole in the file."""
        return ".".join([prefix, *self.path]) + self.text


def explain(error: ValidationError, root: type[BaseModel], data: Any, prefix: str) -> str:
    """A line a problem, each beginning with the key's path as the user wrote it.

    Args:
        error: what pydantic found.
        root: the class that was validated.
        data: the mapping that was validated.
        prefix: the path of that mapping in the file.
    """
    return "\n".join(problem.line(prefix) for problem in problems_in(error, root, data))


def problems_in(error: ValidationError, root: type[BaseModel], data: Any) -> list[Problem]:
    """What pydantic found, each once; with the arguments of `explain`."""
    found = [problem for each in error.errors() for problem in _problems(each, root, data)]
    return list(dict.fromkeys(found))


def _problems(problem: ErrorDetails, root: type[BaseModel], data: Any) -> list[Problem]:
    path = tuple(written(problem["loc"], data, missing=problem["type"] == "missing"))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and not problem["loc"]:  # a study's checks of the whole
        lines = (line.partition(": ") for line in message.split("\n"))
        return [Problem(tuple(where.split(".")), f": {text}") for where, _, text in lines]
    return [Problem(path, text) for text in _texts(problem, message, root)]


def _texts(problem: ErrorDetails, message: str, root: type[BaseModel]) -> list[str]:
    loc, kind, found = problem["loc"], problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return [f": unknown key; {did_you_mean(str(loc[-1]), _allowed(loc[:-1], root))}"]
    if kind == "missing":
        return [": missing"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = found.get("kind") if isinstance(found, dict) else found
        allowed = ", ".join(_kinds(_classes_at(loc, root)))
        return [f".kind: {'missing' if tag is None else f'found {tag!r}'}; allowed: {allowed}"]
    if kind == "value_error" and isinstance(found, dict):
        return [f": {line}" for line in message.split("\n")]
    value = repr(found) if isinstance(found, str | dict | list) else shown(found)
    if kind == "string_type" or message.startswith(MISREAD):
        return [f": found {value}{message if message.startswith(MISREAD) else misread(found)}"]
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] == PATTERN:
        message = NAMES
    if kind == "int_parsing" and (whole := _whole(found)):
        message = f"write it as a whole number: {whole:_}"
    return [f": {message[:1].lower() + message[1:]}, found {value}"]


def _whole(found: Any) -> int | None:
    """The number that `1e6` is, which is text in YAML."""
    try:
        number = float(found)
        return int(number) if number.is_integer() else None
    except (TypeError, ValueError, OverflowError):
        return None


def written(loc: tuple[int | str, ...], data: Any, missing: bool) -> list[str]:
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
