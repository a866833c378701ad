"""What goes wrong when an artifact is read, said with the file's name and the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from safetensors import SafetensorError

from featflow.core.config.errors import FeatflowError
from featflow.core.names import target
from featflow.core.programs import snakemake


class ArtifactError(FeatflowError):
    """A file is missing, truncated, or not what its name says."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading `path` into an ArtifactError with the remedy."""
    try:
        yield
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; {_remedy(path, missing=True)}") from None
    except (SafetensorError, pa.ArrowException, ValueError, OSError) as error:
        raise ArtifactError(f"{path}: cannot be read: {error}; {_remedy(path)}") from error


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
