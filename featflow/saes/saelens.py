"""SAEs in SAELens's format: cfg.json and sae_weights.safetensors.

The weights are plain ones: centring and scale are folded in, so any reader of the format computes
f = activate((x − b_dec) W_enc + b_enc) and x̂ = f W_dec + b_dec on raw activations; `activate` is
the architecture's.

Shapes: n inputs (`d_in`), m features (`d_sae`).
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from featflow.artifacts.io import load_json, readable, save_tensors, written
from featflow.artifacts.provenance import KEY, Provenance
from featflow.saes import dictionary
from featflow.saes.architectures import dictionaries
from featflow.saes.dictionary import Dictionary

WEIGHTS, CFG = "sae_weights.safetensors", "cfg.json"
VERSION = "6.54.12"
"""The SAELens whose format this is: without a version it would force a <s> before every text."""


def save(folder: Path, sae: Dictionary, metadata: dict[str, Any], provenance: Provenance) -> None:
    """Write weights, then cfg.json, the folder's handle.

    Args:
        folder: the SAE's folder.
        sae: what to write.
        metadata: what cfg.json says beside the shape (the hook, the model, the settings).
        provenance: goes into both files; in cfg.json under `metadata`, where SAELens keeps it.
    """
    tensors = {name: getattr(sae, name).cpu().numpy() for name in dictionary.WEIGHTS}
    save_tensors(folder / WEIGHTS, tensors, provenance)
    cfg = {
        "architecture": sae.architecture,
        **sae.settings,
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


def load(folder: Path, device: torch.device | str = "cpu") -> Dictionary:
    """Read an SAE folder: featflow's own, or one of SAELens of an architecture that featflow has.

    Raises:
        ArtifactError: when a file is missing, truncated, or holds another kind of SAE.
    """
    folder = Path(folder)
    cfg, known = load_json(folder / CFG), dictionaries()
    with readable(folder / CFG):
        if cfg.get("architecture") not in known:
            raise ValueError(
                f"architecture is {cfg.get('architecture')!r}, featflow reads {', '.join(known)}"
            )
        if cfg.get("normalize_activations") != "none":
            raise ValueError(
                f"normalize_activations is {cfg.get('normalize_activations')!r}, featflow reads "
                "'none'"
            )
    with readable(folder / WEIGHTS), safe_open(folder / WEIGHTS, framework="pt") as file:
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        if missing := set(dictionary.WEIGHTS) - set(tensors):
            raise ValueError(f"it has no tensor {', '.join(sorted(missing))}")
        weights = {name: tensors[name] for name in dictionary.WEIGHTS}
        n, m = cfg.get("d_in"), cfg.get("d_sae")
        shapes = {"W_enc": (n, m), "b_enc": (m,), "W_dec": (m, n), "b_dec": (n,)}
        for name, shape in shapes.items():
            if (found := tuple(weights[name].shape)) != shape:
                raise ValueError(f"its {name} is {found}, but cfg.json says {shape}")
    longest = cfg.get("metadata", {}).get("longest")
    with readable(folder / CFG):
        sae = known[cfg["architecture"]].of(
            weights,
            cfg,
            apply_b_dec_to_input=bool(cfg.get("apply_b_dec_to_input", True)),
            longest=math.inf if longest is None else float(longest),
        )
    return sae.to(device)
