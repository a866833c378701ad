"""Reading and writing artifacts: to a temporary name, then renamed; never pickle.

A reader that meets a missing, truncated or foreign file says which, and which target to rebuild.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open
from safetensors.numpy import save_file

from featflow.artifacts import digests
from featflow.artifacts.provenance import ELSE, KEY, Provenance
from featflow.artifacts.reading import ArtifactError, parsed, readable
from featflow.files import writable

if TYPE_CHECKING:
    import pandas as pd  # a fifth of a second that half of the stages do without

__all__ = [
    "ArtifactError",
    "load_json",
    "load_provenance",
    "load_table",
    "load_tensors",
    "readable",
    "save_json",
    "save_table",
    "save_tensors",
    "settle",
    "written",
]


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block ends well, else deleted.

    Raises:
        WriteError: when the disk is full, or the folder may not be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            settle(temporary, path)
    finally:
        with suppress(OSError):  # where not even the folder could be made, nothing is there
            temporary.unlink()


def settle(temporary: Path, path: Path) -> None:
    """Rename a finished file to its name, with the permissions that the user's umask gives.

    (safetensors makes files that the rest of a group cannot read.) Its SHA-256 is recorded first,
    if it is an artifact (artifacts/digests.py says why first).
    """
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    digests.record(path, temporary)
    os.replace(temporary, path)


def save_tensors(path: Path, tensors: Mapping[str, np.ndarray], provenance: Provenance) -> None:
    """Write numpy arrays as safetensors."""
    with written(path) as temporary:
        arrays = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        save_file(arrays, temporary, metadata={KEY: provenance.dumps()})


def load_tensors(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """The named arrays of a safetensors file (none named: all of them).

    Raises:
        ArtifactError: when the file is missing, truncated, foreign, or lacks a key.
    """
    with readable(path), safe_open(path, framework="numpy") as file:
        present = set(file.keys())
        if missing := set(keys) - present:
            raise ValueError(f"it has no tensor {', '.join(sorted(missing))}")
        return {key: file.get_tensor(key) for key in keys or sorted(present)}


def save_table(path: Path, table: "pd.DataFrame", provenance: Provenance) -> None:
    """Write a table as parquet, or as CSV where the name ends so (without provenance there)."""
    with written(path) as temporary:
        if Path(path).suffix == ".csv":
            table.to_csv(temporary, index=False)
            return
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        metadata = {**(arrow.schema.metadata or {}), KEY.encode(): provenance.dumps().encode()}
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary, compression="zstd")


def load_table(path: Path, *columns: str) -> "pd.DataFrame":
    """A parquet or CSV table, or some of its columns.

    Raises:
        ArtifactError: when the file is missing, truncated, foreign, or lacks a column.
    """
    with readable(path):
        if Path(path).suffix == ".csv":
            import pandas as pd

            return pd.read_csv(path, usecols=list(columns) or None)
        return pq.read_table(path, columns=list(columns) or None).to_pandas()


def save_json(path: Path, content: Mapping[str, Any], provenance: Provenance) -> None:
    """Write JSON, the provenance under the key `featflow`, or `_featflow` where that is taken."""
    key = ELSE if KEY in content else KEY
    with written(path) as temporary:
        text = json.dumps({**content, key: provenance.fields}, indent=2, sort_keys=True)
        temporary.write_text(text + "\n", encoding="utf-8")


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object, its provenance left out.

    Raises:
        ArtifactError: when the file is missing or is no JSON object.
    """
    with readable(path):
        content = parsed(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
    own = ELSE if ELSE in content else KEY
    return {key: value for key, value in content.items() if key != own}


def load_provenance(path: Path) -> dict[str, Any] | None:
    """Where a file came from, as its own metadata say; None where it says nothing.

    Of safetensors, parquet, JSON (an SAE's cfg.json has it among its `metadata`), HTML, and the
    explorer's index.js. CSV has no place for it, other libraries' files (a tokenizer, the weights
    of a model) have none.

    Raises:
        ArtifactError: when the file is missing, truncated or foreign.
    """
    path = Path(path)
    with readable(path):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy") as file:
                return _object((file.metadata() or {}).get(KEY))
        if path.suffix == ".parquet":
            return _object((pq.read_schema(path).metadata or {}).get(KEY.encode()))
        if path.suffix == ".html":
            found = _IN_A_PAGE.search(path.read_text(encoding="utf-8"))
            return _object(found and found[1])
        if path.suffix == ".js":
            return _of_script(path.read_text(encoding="utf-8"))
        if path.suffix != ".json":
            return None
        content = parsed(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return None
    metadata = content.get("metadata")
    inner = metadata.get(KEY) if isinstance(metadata, dict) else None
    places = (content.get(ELSE), content.get(KEY), inner)
    return next((found for found in places if isinstance(found, dict)), None)


_IN_A_PAGE = re.compile(rf'<script type="application/json" id="{KEY}-provenance">(.*?)</script>')


def _of_script(text: str) -> dict[str, Any] | None:
    """Of `featflow.put(KEY,VALUE);`: what VALUE has under `provenance`."""
    if '"provenance":' not in text:  # in a text the quotes would be escaped
        return None
    _, value = parsed(f"[{text.removeprefix('featflow.put(').rstrip().removesuffix(');')}]")
    return value.get("provenance") if isinstance(value, dict) else None


def _object(text: str | bytes | None) -> dict[str, Any] | None:
    return parsed(text) if text else None
