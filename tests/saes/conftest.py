"""Activations with a known dictionary, and a slice of the sae stage, for the tests of this room."""

import numpy as np
import pytest
import torch

from featflow.plan.slices import Windows
from featflow.saes.activations import whole

WINDOWS = Windows(window=8, context="full", context_length=32)
NONE = np.zeros(0, np.int64)
"""The ids of special tokens, where there are none."""
HOOK = "blocks.0.mlp.hook_post"


class Planted:
    """Shards of x = codes · directions + offset, with few of the true features active at a time."""

    def __init__(self, width=16, features=24, active=2.0, windows=4000, seed=0, shards=2):
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(features, width, generator=generator)
        self.directions = directions / directions.norm(dim=1, keepdim=True)
        shape = (windows * 8, features)
        mask = torch.rand(shape, generator=generator) < active / features
        sizes = 1 + torch.rand(shape, generator=generator)
        x = (mask * sizes) @ self.directions
        parts = x.view(-1, 8, width).to(torch.bfloat16).chunk(shards)
        self._parts = [whole(part) for part in parts]
        self.counts = [len(part) for part in parts]

    def shard(self, index):
        return self._parts[index]


@pytest.fixture
def planted():
    return Planted()


@pytest.fixture
def windows():
    return WINDOWS


@pytest.fixture
def save_tokens(tmp_path):
    """Write a token file of some ids; gives its path."""
    from safetensors.numpy import save_file

    def save(name, ids):
        path = tmp_path / f"{name}.safetensors"
        starts = np.zeros(1, dtype=np.int64)
        save_file({"input_ids": ids.astype(np.int32), "document_starts": starts}, path)
        return path

    return save
