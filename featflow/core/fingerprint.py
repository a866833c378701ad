"""A fingerprint of a module's own code: what it says, not how it is written down.

Comments, docstrings and layout do not count; the modules of featflow that it imports do, and theirs
in turn. The classes of the config and of its slices, and the paths, do not: what a stage reads of
them is in its slice.
Nothing is imported for it.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = tuple(
    f"featflow.core.{name}" for name in ("config", "paths", "slicer", "slices", "stages")
)


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
    """The code without docstrings, as its syntax tree, and the featflow modules it imports."""
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not _is_text(s)]  # type: ignore[attr-defined]
    own = (name for name in imported if name.split(".")[0] == "featflow")
    return ast.dump(tree), tuple(name for name in own if _file(name).exists())


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
