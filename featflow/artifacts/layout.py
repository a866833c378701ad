"""The head of a safetensors file, for who writes its tensors piece by piece.

(safetensors itself offers no way but to hold all tensors in memory.) The layout is that of its own
`save_file`, to the byte: https://huggingface.co/docs/safetensors, "Format".
"""

import json
import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from featflow.artifacts.provenance import KEY, Provenance

TYPES = {"int64": "I64", "float32": "F32", "int32": "I32"}
"""numpy's names and the format's, in the order in which tensors of these types are laid down."""


class Array(NamedTuple):
    """What will be written."""

    dtype: str
    """One of TYPES."""
    shape: tuple[int, ...]


def header(arrays: Mapping[str, Array], provenance: Provenance) -> tuple[bytes, list[str]]:
    """What the file begins with, and the order in which the tensors follow it, without a gap."""
    order = list(TYPES)
    names = sorted(arrays, key=lambda name: (order.index(arrays[name].dtype), name))
    fields: dict[str, object] = {"__metadata__": {KEY: provenance.dumps()}}
    end = 0
    for name in names:
        dtype, shape = arrays[name]
        start, end = end, end + int(np.prod(shape)) * np.dtype(dtype).itemsize
        fields[name] = {"dtype": TYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, names
