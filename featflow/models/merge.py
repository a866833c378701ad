"""The merge stage: a model made of others, weight by weight."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from featflow.artifacts.io import load_json, load_table, save_json
from featflow.artifacts.provenance import Provenance, digest
from featflow.config.errors import FeatflowError
from featflow.config.merging import Method, TaskVectors
from featflow.models import equilibrium
from featflow.models.folder import HANDLE, copy_tokenizer, written_folder
from featflow.models.likeness import check_alike
from featflow.models.merging import Merged, Weight, method
from featflow.models.weights import WEIGHTS, Weights
from featflow.plan.stages.models import MergeSlice
from featflow.runtime.device import seeded
from featflow.runtime.log import log, progress


class Sources:
    """The models of a merge, opened: the parents, and the base of methods on task vectors."""

    def __init__(self, parents: list[Path], base: Path | None = None):
        """Open model folders.

        Raises:
            ArtifactError: when a file is missing or cannot be read.
            FeatflowError: naming the two models, and what of them does not fit.
        """
        folders = [*parents, base] if base else parents
        self._files = [Weights(folder / WEIGHTS) for folder in folders]
        self._parents, self._base = len(parents), base
        self.names = list(self._files[0].shapes)
        tokenizers = [digest(folder / "tokenizer.json") for folder in folders]
        for i in range(1, len(folders)):
            pair = f"{folders[0].name} and {folders[i].name} cannot be merged"
            same_weights(pair, self._files[0], self._files[i])
            check_alike(pair, (folders[0], folders[i]))
            if tokenizers[0] != tokenizers[i]:
                raise FeatflowError(
                    f"{pair}: their tokenizer.json differ, so the rows of their embeddings stand "
                    "for other tokens; models of a merge need the same tokenizer"
                )

    def read(self, name: str) -> Weight:
        """One weight of every model.

        Raises:
            FeatflowError: when it is not finite.
        """
        tensors = [file[name] for file in self._files]
        base = tensors[self._parents] if self._base else None
        return Weight(name, tensors[: self._parents], base)

    def overflow(self, weight: Weight, kind: str) -> str:
        """What to say where finite weights of the parents make a merge that is not finite."""
        dtype = weight.parents[0].dtype
        names = [file.path.parent.name for file in self._files]
        most = [f"{float(tensor.abs().max()):.4g}" for tensor in weight.parents]
        said = " and ".join(f"{name} (up to {m})" for name, m in zip(names, most, strict=False))
        remedy = "lower the method's weights or its scale"
        if dtype == torch.float16:
            remedy += (
                f", name another parent first, or store {names[0]} in float32: AutoModelForCausalLM"
                ".from_pretrained(FOLDER).float().save_pretrained(NEW_FOLDER)"
            )
        return (
            f"{weight.name}: the {kind} of {said} is not finite in {_name(dtype)}, which holds "
            f"numbers up to {torch.finfo(dtype).max:.4g}; the parents are finite, and a merge has "
            f"the dtype of the first. Remedy: {remedy}"
        )


def run(
    cfg: MergeSlice,
    *,
    parents: list[Path],
    output: Path,
    sweep: Path | None = None,
    ancestor: Path | None = None,
    base: Path | None = None,
) -> None:
    """Merge models weight by weight.

    Args:
        parents: the model folders, in the order of the slice.
        output: the model folder; merge.json in it tells how each weight was merged.
        sweep: the merge at every t, for `t: equilibrium` and `t: balanced`.
        ancestor: evaluation of the parents' nearest common ancestor, for `t: balanced`.
        base: the model folder that task vectors are measured from, for methods that have them.

    Raises:
        FeatflowError: when the models do not fit together, a weight is not finite, no t fits, or
            an input that the method needs is not given.
    """
    inputs = [path for path in (*parents, sweep, ancestor, base) if path is not None]
    check_inputs(cfg, parents, base)
    provenance = Provenance("merge", cfg, inputs)
    seeded(0)
    settings = settled(cfg, sweep, ancestor)
    tensors: dict[str, Tensor] = {}
    report: dict[str, Any] = {**described(cfg, settings), "tensors": {}}
    sources = Sources(parents, base)
    merge = merge_all(sources, settings)
    for name, merged in progress(merge, "weights", total=len(sources.names)):
        tensors[name], report["tensors"][name] = merged
    log.info("merged %s: %s", " and ".join(cfg.parents), settings.kind)
    with written_folder(output) as folder:
        copy_tokenizer(parents[0], folder)
        if (parents[0] / "generation_config.json").is_file():
            shutil.copyfile(
                parents[0] / "generation_config.json", folder / "generation_config.json"
            )
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        save_json(folder / "merge.json", report, provenance)
        save_json(folder / HANDLE, load_json(parents[0] / HANDLE), provenance)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_inputs(cfg: MergeSlice, parents: list[Path], base: Path | None) -> None:
    """Raise FeatflowError unless the files given are those that the slice needs."""
    kind = cfg.method.kind
    wanted = 2 if cfg.method.two_parents else len(cfg.parents)
    if len(parents) != len(cfg.parents) or len(parents) != wanted or wanted < 2:
        least = "exactly 2" if cfg.method.two_parents else "2 or more"
        raise FeatflowError(
            f"--parents: {kind} merges {least} parents; the slice names {len(cfg.parents)}, and "
            f"{len(parents)} folders are given"
        )
    if isinstance(cfg.method, TaskVectors) and base is None:
        raise FeatflowError(
            f"{kind} adds up differences from a model that all parents descend from; "
            f"give its folder (--base), {cfg.base or 'a common ancestor'}"
        )
    if base is not None and not isinstance(cfg.method, TaskVectors):
        raise FeatflowError(f"--base: {kind} measures from no base; leave it out")


def described(cfg: MergeSlice, settings: Method) -> dict[str, Any]:
    """What merge.json says of the whole merge: its settings, parents, base, and where t is from."""
    report: dict[str, Any] = {"method": settings.kind, "parents": cfg.parents}
    if cfg.base is not None:
        report["base"] = cfg.base
    report |= settings.model_dump(exclude={"kind", "base"})
    if "weights" in report:
        report["weights"] = report["weights"] or [1.0] * len(cfg.parents)
    if "t" in report:
        chosen = getattr(cfg.method, "t", None)
        report["t_from"] = chosen if isinstance(chosen, str) else "config"
        log.info("t = %.3f (%s)", report["t"], report["t_from"])
    return report


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


def merge_all(sources: Sources, settings: Method) -> Iterator[tuple[str, Merged]]:
    """Merge every weight, one after the other: only one weight of each model is in memory.

    Numbers that are no floats (masks, positions) must be the same in all models, and are copied.

    Raises:
        FeatflowError: when a weight is not finite, in a model or in the merge.
    """
    merge = method(settings.kind)
    for name in sources.names:
        weight = sources.read(name)
        first, *others = weight.parents
        if first.is_floating_point():
            merged = merge(weight, settings)
            if not merged.tensor.isfinite().all():
                raise FeatflowError(sources.overflow(weight, settings.kind))
            yield name, merged
        elif all(torch.equal(first, other) for other in others):
            yield name, Merged(first.clone(), {"branch": "copied"})
        else:
            raise FeatflowError(f"{name} is {first.dtype}, and differs: it cannot be merged")


def same_weights(pair: str, first: Weights, other: Weights) -> None:
    """Raise FeatflowError, beginning with `pair`, unless both have weights of the same shapes."""
    if different := sorted(first.shapes.keys() ^ other.shapes.keys()):
        raise FeatflowError(
            f"{pair}: only one of them has {different[0]}; parents need the same architecture"
        )
    for name, shape in first.shapes.items():
        if shape != other.shapes[name]:
            raise FeatflowError(
                f"{pair}: {name} is {shape} and {other.shapes[name]}; parents need the same "
                "architecture and tokenizer"
            )
