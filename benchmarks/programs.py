"""The commands of this checkout, as people call them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def program(name: str) -> str:
    """A command of .venv, where `make` puts it; elsewhere the one beside this interpreter.

    (The layer of the peers, .venv.peers, has none of featflow's own commands.)
    """
    ours = ROOT / ".venv/bin" / name
    return str(ours if ours.exists() else Path(sys.executable).with_name(name))


def command(*words: str, at: Path | None = None) -> str:
    """Run a command to its end; what it prints.

    Raises:
        RuntimeError: with the end of what it prints, when it fails.
    """
    found = subprocess.run(words, cwd=at, capture_output=True, text=True)
    if found.returncode:
        said = (found.stdout + found.stderr)[-2000:]
        raise RuntimeError(f"{' '.join(words[:4])} … ends with {found.returncode}: {said}")
    return found.stdout + found.stderr
