"""Pages from templates: every text that is put in is escaped."""

from pathlib import Path


def render(folder: Path, name: str, **content: object) -> str:
    """A page.

    Args:
        folder: where the template and what it includes lie.
        name: the template.
        content: all that it names; a name without a value is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(content)
