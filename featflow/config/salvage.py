"""Everything that is wrong with a study: first what its parts say, then what the rest of it says.

Pydantic checks a study as a whole only once all its parts are right. So what is wrong is replaced
by its default, or by something that stands for the entry's name, and the checks of the whole look
at what is as the user wrote it (config/checks.py).
"""

import copy
from typing import Any

from pydantic import ValidationError

from featflow.config.errors import Problem, problems_in, written
from featflow.config.study import Study

STAND_INS: dict[tuple[str, ...], dict[str, Any]] = {
    ("corpora",): {"kind": "generated", "language": "english"},
    ("models",): {"kind": "pretrained", "name": "unknown"},
    ("saes",): {"kind": "relu"},
    ("cases",): {"text": "unknown"},
    ("figures", "draw"): {"kind": "lineage"},
}
"""By family: what stands for an entry that cannot be read."""
TOKENIZER = {"kind": "pretrained", "name": "unknown"}
ROUNDS = 50


def checked(raw: dict[str, Any], unusable: set[tuple[str, ...]]) -> tuple[Study | None, list]:
    """The study, or all that is wrong with it.

    Args:
        raw: the study as it is written, `extends` resolved.
        unusable: paths of entries that are already known to be wrong: they are stood in for.
    """
    raw, wrong, found = copy.deepcopy(raw), set(unusable), list[Problem]()
    for path in unusable:
        _replace(raw, path)
    for round_ in range(ROUNDS):
        try:
            study = Study.model_validate(raw, context={"wrong": wrong})
        except ValidationError as error:
            faults = error.errors()
            of_whole = [fault for fault in faults if not fault["loc"]]
            if not round_ or of_whole:  # in later rounds parts fail only for what was replaced
                found += problems_in(error, Study, raw)
            if of_whole:
                break
            paths = [tuple(written(f["loc"], raw, f["type"] == "missing")) for f in faults]
            if {("saes",), ("cases",)} & set(paths):
                break  # too much hangs on what they hold
            if not all(_replace(raw, path) for path in _outermost(paths)):
                break
            wrong |= {path[:2] for path in paths if path[2:3] != ("training",)}
        else:
            return (None if found or unusable else study), found
    return None, list(dict.fromkeys(found))


def _outermost(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Paths, each once, without those below another one."""
    return [p for p in dict.fromkeys(paths) if not any(p[:n] in paths for n in range(1, len(p)))]


def _replace(raw: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Take out what is wrong, down to the entry; False where nothing can stand for it."""
    above: list[dict[str, Any]] = [raw]
    for part in path[:-1]:
        inner = above[-1].get(part)
        if not isinstance(inner, dict):
            break
        above.append(inner)
    while above:
        depth = len(above)
        key, parent = path[depth - 1], above.pop()
        if path[: depth - 1] in STAND_INS:
            if not isinstance(key, str):
                return False
            parent[key] = dict(STAND_INS[path[: depth - 1]])
            if path[0] == "models" and isinstance(raw.get("corpora"), dict):
                parent[key]["corpora"] = list(raw["corpora"])[:1]
            return True
        if path[:depth] == ("tokenizer",):
            parent[key] = dict(TOKENIZER)
            return True
        if key in parent and path[:depth] not in (("corpora",), ("models",)):
            del parent[key]
            return True
    return False
