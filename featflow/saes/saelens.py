"""SAEs in SAELens's format: cfg.json and sae_weights.safetensors.

The weights are plain ones: centring and scale are folded in, so any reader of the format computes
f = ReLU((x − b_dec) W_enc + b_enc) and x̂ = f W_dec + b_dec on raw activations.

Shapes: n inputs (`d_in`), m features (`d_sae`).
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from featflow.artifacts.io import load_json, readable, save_tensors, written
from featflow.artifacts.provenance import KEY, Provenance

NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")
WEIGHTS, CFG = "sae_weights.safetensors", "cfg.json"
VERSION = "6.54.12"
"""The SAELens whose format this is: without a version it would force a <s> before every text."""


@dataclass(frozen=True)
class Folded:
    """A ReLU SAE on raw activations, float32."""

    W_enc: Tensor
    """(n, m)"""
    b_enc: Tensor
    """(m,)"""
    W_dec: Tensor
    """(m, n)"""
    b_dec: Tensor
    """(n,)"""
    apply_b_dec_to_input: bool = True
    longest: float = math.inf
    """The norm above which rows were left out of training: of those it says nothing."""

    @property
    def width(self) -> int:
        """n."""
        return self.W_enc.shape[0]

    @property
    def features(self) -> int:
        """m."""
        return self.W_enc.shape[1]

    def outside(self, x: Tensor) -> Tensor:
        """Which rows (T,) of x (T, n) are longer than any that it was trained on.

        A row that is not finite is none of them: it is an error, which is to be seen.
        """
        norms = x.norm(dim=1)
        return (norms > self.longest) & norms.isfinite()

    def encode(self, x: Tensor) -> Tensor:
        """The feature activations (…, m) of x (…, n): SAELens's own operations, in its order."""
        if self.apply_b_dec_to_input:
            x = x - self.b_dec
        return torch.relu(x @ self.W_enc + self.b_enc)

    def decode(self, f: Tensor) -> Tensor:
        """The reconstruction (…, n) of feature activations (…, m)."""
        return f @ self.W_dec + self.b_dec

    def to(self, device: torch.device | str) -> "Folded":
        """The same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in NAMES})


def save(folder: Path, sae: Folded, metadata: dict[str, Any], provenance: Provenance) -> None:
    """Write weights, then cfg.json, the folder's handle.

    Args:
        folder: the SAE's folder.
        sae: what to write.
        metadata: what cfg.json says beside the shape (the hook, the model, the settings).
        provenance: goes into both files; in cfg.json under `metadata`, where SAELens keeps it.
    """
    tensors = {name: getattr(sae, name).cpu().numpy() for name in NAMES}
    save_tensors(folder / WEIGHTS, tensors, provenance)
    cfg = {
        "architecture": "standard",
        "d_in": sae.width,
        "d_sae": sae.features,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": VERSION, **metadata, KEY: provenance.fields},
    }
    with written(folder / CFG) as temporary:
        temporary.write_text(json.dumps(cfg, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def files(folder: Path) -> list[Path]:
    """What makes the SAE of a folder: its metrics lie there too, and are no part of it."""
    return [folder / CFG, folder / WEIGHTS]


def scale(folder: Path) -> float:
    """What activations were multiplied by in training (1 for an SAE that does not say).

    Raises:
        ArtifactError: when cfg.json is missing or cannot be read.
    """
    return float(load_json(folder / CFG).get("metadata", {}).get("scale", 1.0))


def load(folder: Path, device: torch.device | str = "cpu") -> Folded:
    """Read an SAE folder: featflow's own, or a `standard` one of SAELens.

    Raises:
        ArtifactError: when a file is missing, truncated, or holds another kind of SAE.
    """
    folder = Path(folder)
    cfg = load_json(folder / CFG)
    with readable(folder / CFG):
        for key, known in (("architecture", "standard"), ("normalize_activations", "none")):
            if cfg.get(key) != known:
                raise ValueError(f"{key} is {cfg.get(key)!r}, featflow reads {known!r}")
    with readable(folder / WEIGHTS), safe_open(folder / WEIGHTS, framework="pt") as file:
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        if missing := set(NAMES) - set(tensors):
            raise ValueError(f"it has no tensor {', '.join(sorted(missing))}")
        weights = {name: tensors[name] for name in NAMES}
        n, m = cfg.get("d_in"), cfg.get("d_sae")
        shapes = {"W_enc": (n, m), "b_enc": (m,), "W_dec": (m, n), "b_dec": (n,)}
        for name, shape in shapes.items():
            if (found := tuple(weights[name].shape)) != shape:
                raise ValueError(f"its {name} is {found}, but cfg.json says {shape}")
    longest = cfg.get("metadata", {}).get("longest")
    sae = Folded(
        **weights,
        apply_b_dec_to_input=bool(cfg.get("apply_b_dec_to_input", True)),
        longest=math.inf if longest is None else float(longest),
    )
    return sae.to(device)
