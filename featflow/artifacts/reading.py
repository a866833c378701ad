"""What goes wrong when an artifact is read, said with the file's name and the remedy."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featflow.config.errors import FeatflowError
from featflow.plan.names import target
from featflow.plan.programs import snakemake


class ArtifactError(FeatflowError):
    """A file is missing, truncated, or not what its name says."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading `path` into an ArtifactError with the remedy.

    Whatever class a library raises: which ones it has for files that are no good is not documented,
    and changes. So nothing belongs into the block that does not depend on what the file holds.
    """
    try:
        yield
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; {_remedy(path, missing=True)}") from None
    except (FeatflowError, MemoryError):
        raise
    except Exception as error:
        raise ArtifactError(
            f"{path}: cannot be read: {error_text(error)}; {_remedy(path)}"
        ) from error


def error_text(error: Exception) -> str:
    """What a library's error says; its class too, where the text alone says little (`KeyError: 3`).

    A library's own classes, and ValueError and OSError, are raised with a text for people.
    """
    text, name = str(error), type(error).__name__
    if text and (type(error).__module__ != "builtins" or isinstance(error, (ValueError, OSError))):
        return text
    return f"{name}: {text}" if text else name


def parsed(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: when it is no JSON, or is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read as JSON") from None


def _remedy(path: Path, missing: bool = False) -> str:
    name = named(Path(path))
    if not name.startswith("results/"):
        return "check the path"
    if missing:
        return f"make it with: {snakemake(target(name))}"
    return rebuild(name)


def rebuild(*names: str) -> str:
    """How to rebuild artifacts, by their paths from results/ on."""
    targets = list(dict.fromkeys(map(target, names)))
    what = "it" if len(names) == 1 else "both"
    # The targets come first: --forcerun takes every word that follows it, and builds all else too.
    return f"rebuild {what} with: {snakemake(*targets, '--forcerun', *targets)}"


def named(path: Path) -> str:
    """The path as the workflow knows it: from results/ on, or the bare name."""
    parts = Path(path).parts
    return "/".join(parts[parts.index("results") :]) if "results" in parts else parts[-1]
