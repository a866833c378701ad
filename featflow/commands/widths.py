"""How large a model is, as far as the config or a folder of this machine tells."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featflow.artifacts.reading import parsed
from featflow.config import FeatflowError
from featflow.config.graph import root_of
from featflow.config.models import Architecture, Base
from featflow.data.places import local_path
from featflow.plan import paths
from featflow.plan.slicer import Slices

MLP_HOOK = re.compile(r"mlp\.(hook_post|hook_pre|hook_pre_linear)$")
STREAM_HOOK = re.compile(r"hook_(embed|resid_\w+|mlp_in|mlp_out|attn_in|attn_out|normalized)$")


WEIGHT = {"float16": 2, "bfloat16": 2, "float64": 8}
"""Bytes of a weight, where they are not 4."""


@dataclass(frozen=True)
class Shape:
    """The widths of a model; of a pretrained one also what its weight files take."""

    hidden: int
    intermediate: int
    architecture: Architecture | None = None
    weights: int | None = None
    """Bytes of the weight files."""
    weight: int = 4
    """Bytes of one weight in them."""
    layers: int | None = None

    def width(self, hook: str) -> int | None:
        """How many numbers a hook carries a token (None: it takes the model to know)."""
        if MLP_HOOK.search(hook):
            return self.intermediate
        return self.hidden if STREAM_HOOK.search(hook) else None

    def depth(self, hook: str) -> float:
        """The share of the blocks that is computed up to a hook; 1 where that is not known."""
        block = re.match(r"blocks\.(\d+)\.", hook)
        return min(1.0, (int(block[1]) + 1) / self.layers) if block and self.layers else 1.0

    def parameters(self, vocabulary: int) -> int:
        """Of a Mistral with this vocabulary: embeddings, layers, the last norm."""
        a = self.architecture
        assert a is not None
        attention = 2 * a.hidden**2 + 2 * a.hidden * (a.hidden // a.heads) * a.kv_heads
        layer = attention + 3 * a.hidden * a.intermediate + 2 * a.hidden
        return vocabulary * a.hidden * (1 if a.tied else 2) + a.layers * layer + a.hidden


def shape_of(slices: Slices, model: str) -> Shape | None:
    """The shape of a model's root, which its descendants share; None where only the hub knows."""
    root = root_of(slices.study, model)
    if isinstance(root, Base):
        a = root.architecture
        return Shape(a.hidden, a.intermediate, a, layers=a.layers)
    name = next(n for n, m in slices.study.models.items() if m is root)
    made = Path(paths.folder(paths.MODEL.at(study=slices.name, model=name)))
    try:
        found = local_path(root.name, "name")
    except FeatflowError:
        found = None
    return shape_in(made) or (shape_in(found) if found else None)


def shape_in(folder: Path) -> Shape | None:
    """The shape of the model in a folder of Hugging Face's format; None where there is none."""
    settings = settings_in(folder)
    sizes = {key: value for key, value in settings.items() if type(value) is int and value > 0}
    hidden = sizes.get("hidden_size") or sizes.get("n_embd")
    if not hidden:
        return None
    inner = sizes.get("intermediate_size") or sizes.get("n_inner") or 4 * hidden
    weights = [f for kind in ("*.safetensors", "*.bin") for f in folder.glob(kind)]
    dtype = str(settings.get("dtype") or settings.get("torch_dtype")).removeprefix("torch.")
    stored = sum(f.stat().st_size for f in weights)
    layers = settings.get("num_hidden_layers") or settings.get("n_layer")
    return Shape(hidden, inner, weights=stored, weight=WEIGHT.get(dtype, 4), layers=layers)


def settings_in(folder: Path) -> dict[str, Any]:
    """A model folder's config.json; empty where there is none."""
    try:
        found = parsed((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
