"""A stage's command, as its rule would give it."""

from pathlib import Path

from benchmarks import inputs
from benchmarks.inputs import Size
from featflow.plan.slices import Slice


def command(verb: str, cfg: Slice, **files: Path | list[Path]) -> list[str]:
    """The command: the slice, then a flag a file."""
    words = [verb, "--cfg", cfg.dumps()]
    for name, given in files.items():
        listed = given if isinstance(given, list) else [given]
        words += [f"--{name.replace('_', '-')}", *map(str, listed)]
    return words


def probe(size: Size) -> list[Path]:
    """Validation tokens that give the dumps' rows."""
    count = size.blocks * size.context + size.spare
    return [inputs.tokens(c, "validation", count, size) for c in size.names]
