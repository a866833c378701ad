"""Which settings of one study differ from another's."""

import json
from typing import Any

from featflow.config.base import Config
from featflow.config.study import Study

ABSENT = "–"

BY_NAME = ("corpora", "models", "saes", "figures.draw")
"""Mappings of names, whose order in the config means nothing."""


class Difference(Config):
    """A setting that differs between this study and another."""

    key: str
    here: str
    there: str


def differences(here: Study, there: Study) -> list[Difference]:
    """The keys on which two studies differ, in the schema's order, values written as JSON.

    A mapping that only one of them has, or whose `kind` differs, is one line.
    """
    found: list[Difference] = []
    _compare("", here.model_dump(mode="json"), there.model_dump(mode="json"), found)
    return found


def _compare(key: str, here: Any, there: Any, found: list[Difference]) -> None:
    if here == there:
        return
    both = isinstance(here, dict) and isinstance(there, dict)
    if both and here.get("kind") == there.get("kind"):
        names = dict.fromkeys([*here, *there])
        for name in sorted(names) if key in BY_NAME else names:
            below = f"{key}.{name}".lstrip(".")
            _compare(below, here.get(name, ABSENT), there.get(name, ABSENT), found)
    else:
        found.append(Difference(key=key, here=_text(here), there=_text(there)))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
