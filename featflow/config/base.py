"""The base of every config class, and the types that several families use."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from featflow.config.misread import misread

PATTERN = r"^[a-z][a-z0-9]*$"


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise ValueError(misread(value, is_name=True))


Name = Annotated[str, StringConstraints(pattern=PATTERN), BeforeValidator(_text)]
"""A corpus, model, SAE, study or figure: it becomes a folder name and a wildcard."""


class Config(BaseModel):
    """A frozen part of the config: an unknown key is an error, not a silent no-op.

    What stands below a key is for `featflow schema` (commands/meanings.py). With pydantic's
    use_attribute_docstrings every job and dry run would parse all classes' sources for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
