"""The types of the config's keys in words, for the reference."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from featflow.config.base import Name

NAME_PATTERN = get_args(Name)[1].pattern
PLAIN = {str: "text", bool: "`true` or `false`", int: "integer", float: "number"}


def type_of(field: FieldInfo) -> str:
    """What a key may hold: `integer ≥ 1`, `mapping of name to corpus`, `` `a` or `b` ``."""
    return _words(field.annotation, list(field.metadata))


def _words(annotation: Any, metadata: list[Any]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0], [*metadata, *arguments[1:]])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        words = " or ".join(_words(a, metadata) for a in arguments if a is not type(None))
        return f"{words}, or null" if type(None) in arguments else words
    if origin is list:
        least = _bounds(metadata).get("least")
        return f"list of {_words(arguments[0], [])}" + (f" (at least {least})" if least else "")
    if origin is tuple:
        return f"a pair of {' and '.join(dict.fromkeys(_words(a, []) for a in arguments))}"
    if origin is dict:
        key, value = (_words(argument, []) for argument in arguments)
        return f"mapping of {key} to {value}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return link(annotation)
    return _scalar(annotation, metadata)


def _scalar(annotation: Any, metadata: list[Any]) -> str:
    for each in metadata:
        if isinstance(each, StringConstraints) and each.pattern == NAME_PATTERN:
            return "name"
    words = PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))
    bounds = _bounds(metadata)
    limits = [f"{sign} {bounds[sign]:g}" for sign in (">", "≥", "<", "≤") if sign in bounds]
    if annotation is int and bounds.get(">") == 0:
        limits = ["≥ 1", *limits[1:]]
    return " ".join([words, " and ".join(limits)]).strip()


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    """The limits among a type's metadata, by sign; `least` entries of a list."""
    found: dict[str, Any] = {}
    for each in metadata:
        if isinstance(each, FieldInfo):
            found |= _bounds(list(each.metadata))
        for kind, attribute, sign in (
            (Gt, "gt", ">"), (Ge, "ge", "≥"), (Lt, "lt", "<"), (Le, "le", "≤"),
            (MinLen, "min_length", "least"), (Len, "min_length", "least"),
        ):  # fmt: skip
            if isinstance(each, kind):
                found[sign] = getattr(each, attribute)
    return found


def link(model: type[BaseModel]) -> str:
    """A link to a class's section of the reference."""
    title = title_of(model)
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def title_of(model: type[BaseModel]) -> str:
    """What a class's section is called: `corpus files` for Files, `architecture`."""
    family = model.__module__.rpartition(".")[2]
    if "kind" not in model.model_fields:
        spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in model.__name__)
        return spaced.strip()
    kind = get_args(model.model_fields["kind"].annotation)[0]
    return f"{FAMILIES[family]} {kind}"


FAMILIES = {
    "corpora": "corpus",
    "tokenizers": "tokenizer",
    "models": "model",
    "merging": "method",
    "saes": "SAE",
    "figures": "figure",
    "interpreting": "provider",
}
"""What an entry of each config module is called."""
