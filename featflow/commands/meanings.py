"""What the docstrings below the keys of config classes say."""

from inspect import cleandoc

from docstring_parser import parse_from_object
from pydantic import BaseModel


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """The meaning of each key that has one, those of the class's bases included."""
    bases = [base for base in reversed(model.__mro__) if issubclass(base, BaseModel)]
    said = [each for base in bases[1:] for each in parse_from_object(base).params]
    found = {each.arg_name: cleandoc(each.description) for each in said if each.description}
    return {key: said for key, said in found.items() if key in model.model_fields}
