"""Where an artifact came from, in the artifact itself.

No clock, host, commit or absolute path is in it: the same study gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from featflow.artifacts import digests, producers
from featflow.artifacts.reading import named, readable
from featflow.plan.fingerprint import fingerprint
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES

KEY = "featflow"
"""The key of the provenance in the metadata of safetensors, parquet and JSON files."""
ELSE = "_featflow"
"""Its key in JSON where a corpus is called `featflow`: no name begins so."""

PACKAGES = ("torch", "transformers", "transformer_lens", "tokenizers", "numpy", "scipy", "numba")


class Provenance:
    """Made once in a stage's `run`, written into everything that the run writes."""

    def __init__(self, stage: str, cfg: Slice, inputs: list[Path] | None = None):
        """Args: the stage's verb, its slice, and the files and folders that it reads.

        Raises:
            ArtifactError: when one of them is missing, is not what its stage wrote, or does not
                belong to the others.
        """
        producers.check_order(getattr(cfg, "corpora", None), inputs or [])
        digests = {path: digest(path) for path in inputs or []}
        producers.check(digests)
        self.fields: dict[str, Any] = {
            "study": cfg.study,
            "stage": stage,
            "config": json.loads(cfg.dumps()),
            "code": STAGES[stage].revision or fingerprint(STAGES[stage].module),
            "inputs": {named(path): found for path, found in digests.items()},
            "versions": versions(),
        }

    def dumps(self) -> str:
        """JSON with sorted keys."""
        return json.dumps(self.fields, sort_keys=True)

    def id(self) -> str:
        """A short name for exactly this work: stage, slice, revision and inputs."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()[:16]


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files and their names.

    Raises:
        ArtifactError: when a file is missing, or is not what its stage wrote
            (artifacts/digests.py).
    """
    path = Path(path)
    if path.is_dir():
        return listing_digest({f.name: digest(f) for f in files_in(path)})
    with readable(path):
        found = digests.sha256(path)
    digests.check(path, found)
    return found


def files_in(folder: Path) -> list[Path]:
    """The files that a folder's digest covers: not what a killed job left unfinished in it."""
    return sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))


def listing_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 of a folder, from those of its files by name."""
    listing = [f"{name}:{digests[name]}" for name in sorted(digests)]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


@lru_cache
def versions() -> dict[str, str]:
    """The versions of featflow and of the packages that decide its numbers."""
    found = {}
    for package in ("featflow", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the conda environment runs featflow from the checkout
            continue
    return found
