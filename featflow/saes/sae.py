"""The stage `sae`: a model's sparse autoencoder, trained, measured and written for SAELens."""

from collections.abc import Sequence
from pathlib import Path

from featflow.core.artifacts import save_json, save_table
from featflow.core.checkpoints import Checkpoints
from featflow.core.config.errors import FeatflowError
from featflow.core.provenance import Provenance
from featflow.core.runtime import log
from featflow.core.slices import SaeSlice
from featflow.core.torch_runtime import device, seeded
from featflow.data import tokens as streams
from featflow.models.folder import written_folder
from featflow.models.hooked import HookedModel
from featflow.saes import saelens
from featflow.saes.activations import load_blocks
from featflow.saes.batches import FreshShards, Shards, StoredShards
from featflow.saes.metrics import evaluate
from featflow.saes.training import Trained, Training


def run(
    cfg: SaeSlice,
    *,
    model: Path,
    validation: list[Path],
    output: Path,
    shards: Sequence[Path] = (),
    tokens: Sequence[Path] = (),
) -> None:
    """Train a sparse autoencoder.

    Args:
        cfg: the stage's slice.
        model: the model folder.
        validation: the validation tokens of each corpus, in the slice's order.
        output: the SAE's folder.
        shards: the activation shards, in order (with activations.keep).
        tokens: the train tokens of each corpus, in the slice's order (without activations.keep).

    Raises:
        Diverged: when the loss is no longer a number.
        Shortage: when the corpora hold too few tokens.
        HookError: when the model has no such hook.
    """
    provenance = Provenance("sae", cfg, [model, *validation, *shards, *tokens])
    seeded(cfg.seed)
    hooked = HookedModel.load(model, cfg.settings.hook, device())
    data = _data(cfg, hooked, list(shards), list(tokens))
    with Checkpoints(f"sae-{cfg.model}-{cfg.name}-{provenance.id()}") as checkpoints:
        unit = cfg.activations.scale == "unit"
        trained = Training(cfg.settings, data, cfg.seed, unit, device()).run(checkpoints)
        _write(cfg, trained, hooked, validation, output, provenance)
        checkpoints.clear(output / saelens.CFG)


def _data(cfg: SaeSlice, model: HookedModel, shards: list[Path], tokens: list[Path]) -> Shards:
    if cfg.activations.keep == bool(tokens) or bool(shards) == bool(tokens):
        key = "--shards" if cfg.activations.keep else "--tokens"
        raise FeatflowError(f"with activations.keep: {cfg.activations.keep} give {key}, alone")
    if shards:
        return StoredShards(shards, model.width)
    sequence = load_blocks(cfg.corpora, tokens, cfg.windows, cfg.activations_seed)
    return FreshShards(sequence, model, cfg.activations, cfg.settings.tokens)


def _write(
    cfg: SaeSlice,
    trained: Trained,
    model: HookedModel,
    validation: list[Path],
    output: Path,
    provenance: Provenance,
) -> None:
    folded = trained.autoencoder.folded(trained.scale)
    ids = {name: streams.read(path).ids for name, path in zip(cfg.corpora, validation, strict=True)}
    here = folded.to(model.device)
    metrics = evaluate(here, model, ids, cfg.windows, cfg.tokens, trained.scale)
    log.info(
        "L0 %.1f, MSE %.2e, variance explained %.1f %%, dead %.1f %%",
        metrics["l0"],
        metrics["mse"],
        100 * (metrics["fve"] or 0),
        100 * metrics["dead_fraction"],
    )
    metadata = {
        "model_name": cfg.model,
        "hook_name": cfg.settings.hook,
        "context_size": cfg.windows.context_length,
        "prepend_bos": False,
        "scale": trained.scale,
    }
    with written_folder(output, saelens.CFG) as folder:
        save_table(folder / "training.parquet", trained.table, provenance)
        save_json(folder / "metrics.json", metrics, provenance)
        saelens.save(folder, folded, metadata, provenance)
