"""Stage `metrics`: how good an SAE is, on validation tokens: overall and by corpus.

- l0: features that fire at a token, the mean.
- mse: mean over tokens and elements of (x − x̂)², on raw activations; mse_scaled: the same in the
  scale that was trained in.
- fve: fraction of variance explained, 1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖².
- explained_loss: (L_zero − L_sae) / (L_zero − L_clean), the LM's loss at the positions of the
  windows, with the activations there zeroed, replaced by x̂, and clean; null where that means
  nothing (saes/explained.py). The losses are null where no token is predicted (a window of 1).
- dead_fraction: features that never fire on these tokens.
- density: a histogram of the shares of tokens at which the others fire.

Shapes: B blocks, L tokens a block, n inputs, m features.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featflow.core.artifacts import save_json
from featflow.core.config.errors import FeatflowError
from featflow.core.provenance import Provenance
from featflow.core.runtime import log, progress
from featflow.core.slices import MetricsSlice, Windows
from featflow.core.torch_runtime import device, seeded
from featflow.data import tokens as streams
from featflow.data.windows import blocks, layout
from featflow.models.hooked import HookedModel, batches
from featflow.saes import saelens
from featflow.saes.explained import explained_loss
from featflow.saes.saelens import Folded

UNRESOLVED = 1e-12
"""Of Σ x²: a smaller variance is rounding, the activations are constant."""

EDGES = np.arange(-7, 0.5, 0.5)
"""log10 of the density at the edges of the histogram's bins."""


def run(cfg: MetricsSlice, *, model: Path, sae: Path, tokens: list[Path], output: Path) -> None:
    """Measure a sparse autoencoder.

    Args:
        model: the model folder.
        sae: the SAE's folder.
        tokens: validation tokens of each corpus, in the order of the slice.
        output: metrics.json.

    Raises:
        FeatflowError: when a corpus has no whole block.
        HookError: when the model has no such hook.
    """
    provenance = Provenance("metrics", cfg, [model, *saelens.files(sae), *tokens])
    seeded(0)
    hooked = HookedModel.load(model, cfg.hook, device())
    ids = {name: streams.read(path).ids for name, path in zip(cfg.corpora, tokens, strict=True)}
    loaded = saelens.load(sae, hooked.device)
    metrics = evaluate(loaded, hooked, ids, cfg.windows, cfg.tokens, saelens.scale(sae))
    save_json(output, metrics, provenance)
    log.info(
        "L0 %.1f, MSE %.2e, variance explained %.1f %%, dead %.1f %%",
        metrics["l0"],
        metrics["mse"],
        100 * (metrics["fve"] or 0),
        100 * metrics["dead_fraction"],
    )


@dataclass
class Sums:
    """What adds up over batches and corpora; float64."""

    tokens: int
    squared_error: float
    x: Tensor
    """(n,)"""
    squares: float
    firings: Tensor
    """(m,) tokens at which each feature fires"""
    predictions: int
    clean: float
    replaced: float
    zeroed: float

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def evaluate(
    sae: Folded,
    model: HookedModel,
    corpora: dict[str, np.ndarray],
    windows: Windows,
    tokens: int,
    scale: float,
) -> dict[str, Any]:
    """The metrics, ready for JSON.

    Args:
        sae: what is measured.
        model: the model it belongs to, opened at its hook.
        corpora: validation token ids (N,) of each corpus.
        windows: how windows are cut.
        tokens: about this many tokens of windows a corpus.
        scale: activations were multiplied by this in training.

    Raises:
        FeatflowError: when a corpus has no whole block.
    """
    kept = layout(windows).kept(windows.window)
    count = max(1, tokens // (kept.stop - kept.start))
    found = {}
    for name, ids in corpora.items():
        cut = blocks(ids, windows)[:count]
        if not len(cut):
            raise FeatflowError(
                f"the validation tokens of {name} ({len(ids):,}) do not fill one block of "
                f"{cut.shape[1]}; give the corpus more documents, or a larger validation share"
            )
        parts = progress(batches(cut), f"batches of {name}")
        found[name] = _add_up(measure(sae, model, ids, kept) for ids in parts)
    overall = _add_up(found.values())
    return {
        **ratios(overall, scale),
        "corpora": {name: ratios(sums, scale) for name, sums in found.items()},
        "density": density_histogram(overall),
    }


@torch.inference_mode()
def measure(sae: Folded, model: HookedModel, ids: Tensor, kept: slice) -> Sums:
    """The sums over the kept positions of a batch of blocks (B, L)."""
    seen: dict[str, Tensor] = {}

    def replaced(value: Tensor) -> Tensor:
        seen["x"] = value[:, kept].flatten(0, 1)
        seen["f"] = sae.encode(seen["x"])
        seen["error"] = seen["x"] - sae.decode(seen["f"])
        value = value.clone()
        value[:, kept] -= seen["error"].view(value[:, kept].shape)
        return value

    def zeroed(value: Tensor) -> Tensor:
        value = value.clone()
        value[:, kept] = 0
        return value

    losses = [model.losses(ids, each, kept).double() for each in (None, replaced, zeroed)]
    x, error = seen["x"].double(), seen["error"].double()
    return Sums(
        tokens=len(x),
        squared_error=float(error.square().sum()),
        x=x.sum(0),
        squares=float(x.square().sum()),
        firings=(seen["f"] > 0).sum(0).double(),
        predictions=losses[0].numel(),
        clean=float(losses[0].sum()),
        replaced=float(losses[1].sum()),
        zeroed=float(losses[2].sum()),
    )


def ratios(sums: Sums, scale: float) -> dict[str, float | None]:
    """The metrics of these sums; None where one is not defined."""
    variance = sums.squares - float(sums.x.square().sum()) / sums.tokens
    clean, replaced, zeroed = (
        total / sums.predictions if sums.predictions else None
        for total in (sums.clean, sums.replaced, sums.zeroed)
    )
    mse = sums.squared_error / (sums.tokens * len(sums.x))
    return {
        "tokens": sums.tokens,
        "l0": float(sums.firings.sum()) / sums.tokens,
        "mse": mse,
        "mse_scaled": mse * scale**2,
        "fve": 1 - sums.squared_error / variance if variance > UNRESOLVED * sums.squares else None,
        "explained_loss": explained_loss(zeroed, replaced, clean),
        "loss_clean": clean,
        "loss_sae": replaced,
        "loss_zero": zeroed,
        "dead_fraction": float((sums.firings == 0).double().mean()),
    }


def density_histogram(sums: Sums) -> dict[str, list[float]]:
    """How many of the features that fire lie in each bin of log10(share of tokens)."""
    firings = sums.firings.cpu().numpy()
    logs = np.log10(firings[firings > 0] / sums.tokens)
    counts, _ = np.histogram(np.clip(logs, EDGES[0], EDGES[-1]), EDGES)
    return {"log10_edges": EDGES.tolist(), "features": counts.tolist()}


def _add_up(parts: Iterable[Sums]) -> Sums:
    """Their sum, one after another: only it is kept."""
    return reduce(add, parts)
