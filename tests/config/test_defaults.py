"""A slice leaves defaults out, so a changed default alone would rebuild nothing.

tests/config/defaults.json holds every default of a class that is cut into slices, beside the
revisions of the stages. Who changes a default raises the revision of the stages that read it
(plan/stages/), then rewrites the file: `python -m tests.config.test_defaults`.
"""

import json
from pathlib import Path

from pydantic_core import to_jsonable_python

from featflow.config.base import Config
from featflow.config.errors import models_in
from featflow.plan.slices import Slice
from featflow.plan.stages import FAMILIES, STAGES

FILE = Path(__file__).with_name("defaults.json")


def sliced() -> list[type[Config]]:
    """Every class that a slice is made of."""
    known = [each for family in FAMILIES for each in vars(family).values()]
    waiting = [c for c in known if isinstance(c, type) and issubclass(c, Slice)]
    found: list[type[Config]] = []
    while waiting:
        cls = waiting.pop()
        if cls not in found:
            found.append(cls)
            fields = cls.model_fields.values()
            waiting += [inner for field in fields for inner in models_in(field.annotation)]
    return sorted(found, key=lambda cls: cls.__name__)


def now() -> dict:
    defaults = {
        f"{cls.__name__}.{name}": to_jsonable_python(field.default)
        for cls in sliced()
        for name, field in cls.model_fields.items()
        if not field.is_required()
    }
    return {
        "revisions": {verb: stage.revision for verb, stage in STAGES.items()},
        "defaults": defaults,
    }


def test_a_changed_default_needs_a_raised_revision():
    recorded, current = json.loads(FILE.read_text()), now()
    before, after = recorded["defaults"], current["defaults"]
    changed = [key for key in before if key in after and before[key] != after[key]]
    if changed and recorded["revisions"] == current["revisions"]:
        raise AssertionError(f"{', '.join(changed)} changed: raise the revision of what reads it")
    assert recorded == current, "run: python -m tests.config.test_defaults"


if __name__ == "__main__":
    FILE.write_text(json.dumps(now(), indent=1, sort_keys=True) + "\n")
