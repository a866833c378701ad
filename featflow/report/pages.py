"""The templates, style sheets and scripts of the pages, and how a page is made of them.

Nothing heavy is imported here: the rules ask for their digests.
"""

import hashlib
from pathlib import Path

PAGE = Path(__file__).with_name("page")
"""The page's templates, style sheet and script."""

SITE = Path(__file__).with_name("site")
"""Those of the explorer."""


def page_files(folder: Path = PAGE) -> list[Path]:
    """The files that a page is made with, besides the code: a change of one makes it again."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".html", ".css", ".js"))


def page_digest() -> str:
    """Twelve hex digits over the report's, for the rule's parameters."""
    return _digest(page_files(PAGE))


def site_digest() -> str:
    """Twelve hex digits over the explorer's."""
    return _digest(page_files(SITE))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def render_template(folder: Path, name: str, **content: object) -> str:
    """A page from a template: every text that is put in is escaped.

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
