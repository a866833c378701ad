"""Tensors of a safetensors file where they lie, without reading them into memory."""

import json
import struct
from pathlib import Path

import numpy as np
from safetensors import safe_open

from featflow.artifacts.reading import readable

DTYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "I32": np.int32,
    "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip
"""Those that numpy has, too."""


def map_tensors(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """The named arrays of a safetensors file (none named: all of them), read-only and mapped.

    Raises:
        ArtifactError: when the file is missing, truncated, foreign, or lacks a key.
    """
    with readable(path):
        with safe_open(path, framework="numpy") as file:  # checks the header and the file's length
            present = set(file.keys())
        if missing := set(keys) - present:
            raise ValueError(f"it has no tensor {', '.join(sorted(missing))}")
        header, start = _header(path)
        return {key: _map(path, header[key], start) for key in keys or sorted(present)}


def _header(path: Path) -> tuple[dict, int]:
    """The header, and where the tensors begin: https://github.com/huggingface/safetensors#format"""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size)), 8 + size


def _map(path: Path, entry: dict, start: int) -> np.ndarray:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"it has numbers of type {entry['dtype']}")
    dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path, dtype, "r", start + entry["data_offsets"][0], shape))
