"""A fingerprint of a module's own code: what it says, not how it is written down.

Comments, docstrings and layout do not count; the modules of featflow that it imports do, and theirs
in turn. The classes of the config and of its slices, and the paths, do not: what a stage reads of
them is in its slice.
Nothing is imported for it.
"""

import ast
import hashlib
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from featflow.files import replace_text

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = (
    "featflow.config",
    "featflow.plan.paths",
    "featflow.plan.slicer",
    "featflow.plan.slices",
    "featflow.plan.stages",
)
MEMORY = Path(".snakemake/featflow/syntax")
"""Where what was read of a source is kept."""


def fingerprint(module: str) -> str:
    """Twelve hex digits over the code of `module` and of what it imports from featflow."""
    parts = [f"{name}\n{_code(name)[0]}" for name in sorted(closure(module))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def closure(module: str) -> set[str]:
    """The featflow modules that importing `module` brings in, itself included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(LEFT_OUT):
            continue
        found.add(name)
        waiting += _code(name)[1]
    return found


def _file(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _code(module: str) -> tuple[str, tuple[str, ...]]:
    """A digest of the code without docstrings, and the featflow modules that it imports."""
    digest, imported = _remembered(_file(module).read_bytes())
    return digest, tuple(name for name in imported if _file(name).exists())


def _remembered(source: bytes) -> tuple[str, list[str]]:
    """What `_read` says of a source. Parsing all takes longer than all else that the Snakefile
    does, so it is kept beside Snakemake's own notes, under the digest of source and Python."""
    key = hashlib.sha256(sys.version.encode() + source).hexdigest()[:32]
    path = MEMORY / f"{key}.json"
    with suppress(OSError, ValueError):
        digest, imported = json.loads(path.read_text(encoding="utf-8"))
        return digest, imported
    found = _read(source)
    if MEMORY.parents[1].is_dir():
        with suppress(OSError):  # of others, or full: the next run parses again
            replace_text(path, json.dumps(found))
    return found


def _read(source: bytes) -> tuple[str, list[str]]:
    """A digest of the syntax tree without docstrings, and the names under featflow it imports."""
    tree = ast.parse(source)
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not _is_text(s)]  # type: ignore[attr-defined]
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return digest, [name for name in imported if name.split(".")[0] == "featflow"]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
