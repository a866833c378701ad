"""The merge stage: a model made of others, weight by weight."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from featflow.core.artifacts import load_json, load_table, readable, save_json
from featflow.core.config.errors import FeatflowError
from featflow.core.config.merging import Method
from featflow.core.provenance import Provenance
from featflow.core.runtime import log
from featflow.core.slices import MergeSlice
from featflow.core.torch_runtime import seeded
from featflow.models import equilibrium
from featflow.models.folder import HANDLE, WEIGHTS, copy_tokenizer, written_folder
from featflow.models.merging import Merged, method


def run(
    cfg: MergeSlice,
    *,
    parents: list[Path],
    output: Path,
    sweep: Path | None = None,
    ancestor: Path | None = None,
) -> None:
    """Merge models weight by weight.

    Args:
        parents: the model folders, in the order of the slice.
        output: the model folder; merge.json in it tells how each weight was merged.
        sweep: the merge at every t, for `t: equilibrium` and `t: balanced`.
        ancestor: evaluation of the parents' nearest common ancestor, for `t: balanced`.

    Raises:
        FeatflowError: when the parents do not fit together, a weight is not finite, or no t fits.
    """
    inputs = [path for path in (*parents, sweep, ancestor) if path is not None]
    provenance = Provenance("merge", cfg, inputs)
    seeded(0)
    settings = settled(cfg, sweep, ancestor)
    merged = merged_weights([read_weights(parent) for parent in parents], parents, settings)
    report: dict[str, Any] = {
        "method": settings.kind,
        "parents": cfg.parents,
        "tensors": {name: weight.facts for name, weight in merged.items()},
    }
    if hasattr(settings, "t"):
        chosen = cfg.method.t
        report |= {"t": settings.t, "t_from": chosen if isinstance(chosen, str) else "config"}
        log.info("merged %s at t = %.3f", " and ".join(cfg.parents), settings.t)
    with written_folder(output) as folder:
        copy_tokenizer(parents[0], folder)
        shutil.copyfile(parents[0] / "generation_config.json", folder / "generation_config.json")
        tensors = {name: weight.tensor for name, weight in merged.items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        save_json(folder / "merge.json", report, provenance)
        save_json(folder / HANDLE, load_json(parents[0] / HANDLE), provenance)


def settled(cfg: MergeSlice, sweep: Path | None, ancestor: Path | None) -> Method:
    """The method with its t as a number.

    Raises:
        FeatflowError: when no t fits, or a file that decides it was not given.
    """
    wanted = getattr(cfg.method, "t", None)
    if not isinstance(wanted, str):
        return cfg.method
    if sweep is None:
        raise FeatflowError(f"t: {wanted} needs the merge's sweep (--sweep)")
    table = load_table(sweep)
    if wanted == "equilibrium":
        t = equilibrium.equilibrium(table, cfg.corpora)
    else:
        if ancestor is None:
            raise FeatflowError(
                f"t: balanced needs a common ancestor of {' and '.join(cfg.parents)} to measure "
                "their gains from (--ancestor); without one, use t: equilibrium or a number"
            )
        base = {corpus: found["accuracy"] for corpus, found in load_json(ancestor).items()}
        t = equilibrium.balanced(table, cfg.corpora, base)
    return cfg.method.model_copy(update={"t": t})


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a model folder as they are stored: tied ones once.

    Raises:
        ArtifactError: when the file is missing or cannot be read.
        FeatflowError: when a weight is not finite.
    """
    path = folder / WEIGHTS
    with readable(path), safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in sorted(file.keys())}
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise FeatflowError(
                f"{path}: {name} has weights that are not finite; the model's training went wrong: "
                "look at its training.parquet and train it again"
            )
    return weights


def merged_weights(
    weights: list[dict[str, Tensor]], parents: list[Path], settings: Method
) -> dict[str, Merged]:
    """Merge every weight of models with the same weights.

    Raises:
        FeatflowError: naming the parents, the weight and the shapes that do not fit.
    """
    merge = method(settings.kind)
    return {name: merge(same, settings) for name, same in aligned(weights, parents)}


def aligned(
    weights: list[dict[str, Tensor]], parents: list[Path]
) -> Iterator[tuple[str, list[Tensor]]]:
    """Each weight's name, and the weight of every parent.

    Raises:
        FeatflowError: as above.
    """
    first = weights[0]
    for other, parent in zip(weights[1:], parents[1:], strict=True):
        pair = f"{parents[0].name} and {parent.name} cannot be merged"
        if different := sorted(first.keys() ^ other.keys()):
            raise FeatflowError(f"{pair}: only one of them has {different[0]}")
        for name in first:
            if first[name].shape != other[name].shape:
                shapes = f"{tuple(first[name].shape)} and {tuple(other[name].shape)}"
                raise FeatflowError(
                    f"{pair}: {name} is {shapes}; parents need the same architecture and tokenizer"
                )
    for name in first:
        yield name, [every[name] for every in weights]
