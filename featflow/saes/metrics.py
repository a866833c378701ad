"""Stage `metrics`: how good an SAE is, on validation tokens: overall and by corpus.

- l0: features that fire at a row, the mean.
- mse: mean over rows and elements of (x − x̂)², on raw activations; mse_scaled: the same in the
  scale that was trained in.
- fve: fraction of variance explained, 1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖²; fve_by_dimension: the mean
  over the elements of x of each one's own 1 − Σ(x − x̂)² / Σ(x − mean(x))², so that one element of
  huge variance cannot carry it.
- mse, fve and fve_by_dimension _without_outliers: the same on rows that are text (data/windows.py)
  and no longer than what the SAE was trained on; outliers: how many others there are, and of which
  tokens.
- explained_loss: (L_zero − L_sae) / (L_zero − L_clean), the LM's loss at the rows, with the
  activations there zeroed, replaced by x̂, and clean; null where that means nothing
  (saes/explained.py). The losses are null where no token is predicted (a window of 1).
- dead_fraction: features that never fire on these rows.
- density: a histogram of the shares of rows at which the others fire.

Shapes: B blocks, L tokens a block, K of them in windows, T rows, n inputs, m features.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from featflow.artifacts.io import save_json
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.data import tokenizer
from featflow.data import tokens as streams
from featflow.data.windows import Rows, blocks, drawn, layout
from featflow.models.hooked import TOKENS_A_BATCH, HookedModel
from featflow.plan.stages.saes import MetricsSlice
from featflow.runtime.device import device, seeded
from featflow.runtime.log import log, progress
from featflow.saes import saelens
from featflow.saes.dictionary import Dictionary
from featflow.saes.explained import explained_loss

LISTED = 20
"""Tokens that are outliers most often, which are named."""

UNRESOLVED = 1e-12
"""Of Σ x²: a smaller variance of an element is rounding, it is constant."""

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
    loaded = saelens.load(sae, hooked.device)
    corpora = {n: streams.read(path).ids for n, path in zip(cfg.corpora, tokens, strict=True)}
    pieces = tokenizer.load(model / "tokenizer.json")
    special = tokenizer.special_ids(pieces)
    rows = {name: probe(ids, name, cfg, special) for name, ids in corpora.items()}
    metrics = evaluate(loaded, hooked, rows, saelens.scale(sae), loaded.longest)
    for entry in metrics["outliers"]["tokens"]:
        entry["text"] = pieces.decode([entry["id"]], skip_special_tokens=False)
    save_json(output, metrics, provenance)
    log.info(
        "L0 %.1f, MSE %.2e, variance explained %.1f %%, dead %.1f %%",
        metrics["l0"],
        metrics["mse"],
        100 * defined(metrics["fve"]),
        100 * metrics["dead_fraction"],
    )
    if metrics["outliers"]["rows"]:
        _warn_of_outliers(metrics)


def probe(ids: np.ndarray, corpus: str, cfg: MetricsSlice, special: np.ndarray) -> Rows:
    """The rows of blocks that are drawn from a corpus's validation tokens, about `cfg.tokens`.

    Raises:
        FeatflowError: when the corpus has no whole block.
    """
    kept = layout(cfg.windows).kept(cfg.windows.window)
    whole = len(blocks(ids, cfg.windows))
    if not whole:
        raise FeatflowError(
            f"the validation tokens of {corpus} ({len(ids):,}) do not fill one block of "
            f"{layout(cfg.windows).block}; give the corpus more documents, or a larger validation "
            "share"
        )
    chosen = drawn(whole, max(1, cfg.tokens // (kept.stop - kept.start)), cfg.blocks_seed)
    return Rows(ids, chosen, cfg.windows, special).require(corpus)


def _warn_of_outliers(metrics: dict[str, Any]) -> None:
    found = metrics["outliers"]
    named = ", ".join(f"{e['text']!r} of {e['corpus']} {e['rows']:,}" for e in found["tokens"][:5])
    log.warning(
        "%s of %s rows are no text, or longer than the SAE was trained on (%s); variance explained "
        "with them %.3f, without %.3f",
        f"{found['rows']:,}",
        f"{metrics['tokens']:,}",
        named,
        defined(metrics["fve"]),
        defined(metrics["fve_without_outliers"]),
    )


def defined(value: float | None) -> float:
    """As a log prints it: nan where it is not defined."""
    return math.nan if value is None else value


class Added:
    """What adds up over batches and corpora, field by field."""

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass
class Errors(Added):
    """Sums over rows, of each element of x; float64."""

    rows: int
    squared_error: Tensor
    """(n,)"""
    x: Tensor
    """(n,)"""
    squares: Tensor
    """(n,)"""

    @classmethod
    def of(cls, x: Tensor, error: Tensor) -> Self:
        """Of rows (T, n) and what is left of them."""
        x, error = x.double(), error.double()
        return cls(len(x), error.square().sum(0), x.sum(0), x.square().sum(0))

    def ratios(self) -> dict[str, float | None]:
        """mse, fve and fve_by_dimension; None where one is not defined."""
        if not self.rows:
            return {"mse": None, "fve": None, "fve_by_dimension": None}
        variance = (self.squares - self.x.square() / self.rows).clamp_min(0)
        varies = variance > UNRESOLVED * self.squares
        explained = 1 - self.squared_error[varies] / variance[varies]
        total = float(variance[varies].sum())
        return {
            "mse": float(self.squared_error.sum()) / (self.rows * len(self.x)),
            "fve": 1 - float(self.squared_error.sum()) / total if total else None,
            "fve_by_dimension": float(explained.mean()) if len(explained) else None,
        }


@dataclass
class Sums(Added):
    """What adds up over batches and corpora; float64."""

    all: Errors
    text: Errors
    """Of the rows that are no outliers."""
    outliers: Counter[int]
    """Rows that are, by token id."""
    firings: Tensor
    """(m,) rows at which each feature fires"""
    predictions: int
    clean: float
    replaced: float
    zeroed: float


def evaluate(
    sae: Dictionary,
    model: HookedModel,
    corpora: dict[str, Rows],
    scale: float = 1.0,
    longest: float = math.inf,
) -> dict[str, Any]:
    """The metrics, ready for JSON.

    Args:
        sae: what is measured.
        model: the model it belongs to, opened at its hook.
        corpora: the rows of each corpus.
        scale: activations were multiplied by this in training.
        longest: rows with a norm above this are outliers.
    """
    found = {}
    for name, rows in corpora.items():
        batches = progress(rows.batches(TOKENS_A_BATCH), f"batches of {name}")
        found[name] = _add_up(measure(sae, model, rows, some, longest) for some in batches)
    overall = _add_up(found.values())
    return {
        **ratios(overall, scale),
        "corpora": {name: ratios(sums, scale) for name, sums in found.items()},
        "density": density_histogram(overall),
        "outliers": outliers(found, longest),
    }


@torch.inference_mode()
def measure(sae: Dictionary, model: HookedModel, rows: Rows, batch: range, longest: float) -> Sums:
    """The sums over the rows of some of the blocks."""
    seen: dict[str, Tensor] = {}
    start, stop = batch.start, batch.stop
    ids = torch.from_numpy(rows.ids(start, stop).astype(np.int64))
    mask = torch.from_numpy(rows.mask(start, stop))
    here = mask.to(model.device)

    def replaced(value: Tensor) -> Tensor:
        value = value.clone()
        inside = value[:, rows.kept]
        seen["x"] = inside[here]
        seen["f"] = sae.encode(seen["x"])
        seen["error"] = seen["x"] - sae.decode(seen["f"])
        inside[here] = seen["x"] - seen["error"]
        return value

    def zeroed(value: Tensor) -> Tensor:
        value = value.clone()
        value[:, rows.kept][here] = 0
        return value

    losses = [model.losses(ids, each, rows.kept).double() for each in (None, replaced, zeroed)]
    judged = here[:, : losses[0].shape[1]]
    x, error = seen["x"], seen["error"]
    text = torch.from_numpy(rows.text(start, stop)).to(model.device)[here]
    text &= ~(x.norm(dim=1) > longest)
    return Sums(
        all=Errors.of(x, error),
        text=Errors.of(x[text], error[text]),
        outliers=Counter(ids[:, rows.kept][mask][~text.cpu()].tolist()),
        firings=(seen["f"] > 0).sum(0).double(),
        predictions=int(judged.sum()),
        clean=float(losses[0][judged].sum()),
        replaced=float(losses[1][judged].sum()),
        zeroed=float(losses[2][judged].sum()),
    )


def ratios(sums: Sums, scale: float) -> dict[str, float | None]:
    """The metrics of these sums; None where one is not defined."""
    every, tokens = sums.all.ratios(), sums.all.rows
    without = {f"{key}_without_outliers": value for key, value in sums.text.ratios().items()}
    clean, replaced, zeroed = (
        total / sums.predictions if sums.predictions else None
        for total in (sums.clean, sums.replaced, sums.zeroed)
    )
    return {
        "tokens": tokens,
        "l0": float(sums.firings.sum()) / tokens,
        **every,
        "mse_scaled": (every["mse"] or 0) * scale**2,
        **without,
        "explained_loss": explained_loss(zeroed, replaced, clean),
        "loss_clean": clean,
        "loss_sae": replaced,
        "loss_zero": zeroed,
        "dead_fraction": float((sums.firings == 0).double().mean()),
    }


def outliers(found: dict[str, Sums], longest: float) -> dict[str, Any]:
    """How many rows are outliers, and the tokens that are so most often, by corpus."""
    entries: list[dict[str, Any]] = [
        {"corpus": corpus, "id": token, "rows": rows}
        for corpus, sums in found.items()
        for token, rows in sums.outliers.items()
    ]
    entries.sort(key=lambda e: (-e["rows"], e["corpus"], e["id"]))
    return {
        "longest": longest if math.isfinite(longest) else None,
        "rows": sum(entry["rows"] for entry in entries),
        "corpora": {corpus: sums.outliers.total() for corpus, sums in found.items()},
        "tokens": entries[:LISTED],
    }


def density_histogram(sums: Sums) -> dict[str, list[float]]:
    """How many of the features that fire lie in each bin of log10(share of tokens)."""
    firings = sums.firings.cpu().numpy()
    logs = np.log10(firings[firings > 0] / sums.all.rows)
    counts, _ = np.histogram(np.clip(logs, EDGES[0], EDGES[-1]), EDGES)
    return {"log10_edges": EDGES.tolist(), "features": counts.tolist()}


def _add_up(parts: Iterable[Sums]) -> Sums:
    """Their sum, one after another: only it is kept."""
    return reduce(add, parts)
