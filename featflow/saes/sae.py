"""The stage `sae`: a model's sparse autoencoder, trained and written for SAELens."""

import math
from collections.abc import Sequence
from pathlib import Path

from featflow.artifacts.io import load_provenance, readable, save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.models.folder import written_folder
from featflow.models.hooked import HookedModel
from featflow.plan.stages.saes import SaeSlice
from featflow.runtime.checkpoints import Checkpoints
from featflow.runtime.device import device, seeded
from featflow.saes import saelens
from featflow.saes.activations import load_blocks
from featflow.saes.batches import FreshShards, Shards, StoredShards
from featflow.saes.training import Trained, Training


def run(
    cfg: SaeSlice,
    *,
    model: Path,
    output: Path,
    shards: Sequence[Path] = (),
    tokens: Sequence[Path] = (),
) -> None:
    """Train a sparse autoencoder.

    Args:
        cfg: the stage's slice.
        model: the model folder.
        output: the SAE's folder.
        shards: the activation shards, in order (where the slice has activations.keep).
        tokens: the train tokens of each corpus, in the slice's order (where it has not: no shards
            are kept, or this SAE wants other corpora or another context than theirs).

    Raises:
        Diverged: when the loss is no longer a number.
        Shortage: when the corpora hold too few tokens.
        HookError: when a model that makes its own activations has no such hook.
    """
    provenance = Provenance("sae", cfg, [model, *shards, *tokens])
    seeded(cfg.seed)
    data = _data(cfg, model, list(shards), list(tokens))
    with Checkpoints(f"sae-{cfg.model}-{cfg.name}-{provenance.id()}") as checkpoints:
        training = Training(cfg.settings, data, cfg.seed, cfg.activations, device())
        trained = training.run(checkpoints)
        _write(cfg, trained, output, provenance)
        checkpoints.clear(output / saelens.CFG)


def _data(cfg: SaeSlice, model: Path, shards: list[Path], tokens: list[Path]) -> Shards:
    """The activations. The model is opened only where it has to make them."""
    if cfg.activations.keep == bool(tokens) or bool(shards) == bool(tokens):
        kept = cfg.activations.keep
        what = "is trained on shards" if kept else "makes its own activations"
        key = "--shards" if kept else "--tokens"
        raise FeatflowError(f"{cfg.model}/{cfg.name}: this SAE {what}; give {key}, alone")
    if shards:
        stored = StoredShards(shards)
        for path in shards:
            _check_origin(path, cfg)
        return stored
    hooked = HookedModel.load(model, cfg.settings.hook, device())
    sequence = load_blocks(cfg.corpora, tokens, cfg.windows, cfg.activations_seed, model)
    return FreshShards(sequence, hooked, cfg.activations, cfg.settings.tokens)


def _check_origin(path: Path, cfg: SaeSlice) -> None:
    """Check that a shard is of this SAE's model and hook.

    Raises:
        ArtifactError: when it is not, or is no file of the stage `activations`.
    """
    made = (load_provenance(path) or {}).get("config", {})
    with readable(path):
        if (made.get("model"), made.get("hook")) != (cfg.model, cfg.settings.hook):
            raise ValueError(
                f"it says activations of {made.get('model')} at {made.get('hook')}, not of "
                f"{cfg.model} at {cfg.settings.hook}"
            )


def _write(cfg: SaeSlice, trained: Trained, output: Path, provenance: Provenance) -> None:
    metadata = {
        "model_name": cfg.model,
        "hook_name": cfg.settings.hook,
        "context_size": cfg.windows.context_length,
        "prepend_bos": False,
        "scale": trained.scale,
        "longest": trained.longest if math.isfinite(trained.longest) else None,
    }
    with written_folder(output, saelens.CFG) as folder:
        save_table(folder / "training.parquet", trained.table, provenance)
        saelens.save(folder, trained.autoencoder.dictionary(trained.scale), metadata, provenance)
