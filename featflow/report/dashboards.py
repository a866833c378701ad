"""The data of every feature's page: shards of features, and an index with a number a feature.

All of a dictionary's features are computed at once; what stands on a page is described in
plan/stages/report.py. Corpora appear as token ids only, whose texts are in vocabulary.js.
"""

from collections.abc import Sequence
from pathlib import Path

from featflow.artifacts.provenance import Provenance
from featflow.data import tokenizer as tokenizers
from featflow.features.columns import Columns, columns
from featflow.features.dump import d_sae
from featflow.features.probe import (
    Activations,
    check_model,
    check_rows,
    read_activations,
    read_probe,
)
from featflow.features.scope import stack, whole
from featflow.plan.stages.report import DashboardsSlice
from featflow.report.dashboard.logits import Promoted, promoted, unknown
from featflow.report.dashboard.partners import partners
from featflow.report.dashboard.records import Dictionary, Facts, OtherModel
from featflow.report.scripts import vocabulary, write_dictionary
from featflow.runtime.log import log


def run(
    cfg: DashboardsSlice,
    *,
    model: Path,
    sae: Path,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    summary: Path,
    output: Path,
    flow: Path | None = None,
    chains: Path | None = None,
    scores: Path | None = None,
    scaling: Sequence[Path] = (),
) -> None:
    """The data of every feature's page.

    Args:
        model: the model folder.
        sae: the SAE folder.
        dumps: of each of `cfg.models`, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        summary: of this dictionary.
        output: the folder; index.js is written last.
        flow: the fate of every feature.
        chains: where features come from.
        scores: explanations of this dictionary's features.
        scaling: latent scaling of its features against each of `cfg.scaled`.

    Raises:
        ArtifactError: when a file is missing, truncated or foreign, or dumps are not of the same
            tokens.
        FeatflowError: when the model and its SAE do not fit together.
    """
    optional = [path for path in (flow, chains, scores) if path is not None]
    inputs = [model, sae / "cfg.json", sae / "sae_weights.safetensors", *dumps, *tokens]
    provenance = Provenance("dashboards", cfg, [*inputs, tokenizer, summary, *optional, *scaling])
    groups = _by_model(cfg, dumps)
    own = read_activations(cfg.corpora, groups[cfg.model], d_sae(sae))
    by_feature = _by_feature(own)
    scaled = dict(zip(cfg.scaled, scaling, strict=True))
    facts = Facts.read(summary, flow, chains, scores, scaled, cfg.model, len(by_feature.starts))
    it = Dictionary(cfg, by_feature, read_probe(own, tokens))
    own = own._replace(corpora={})  # the columns hold them all
    others = {
        name: _beside(it, own, name, paths) for name, paths in groups.items() if name != cfg.model
    }
    size = write_dictionary(
        output,
        f"{cfg.model}/{cfg.sae}",
        it.index(others, facts) | {"provenance": provenance.fields},
        it.shards(others, facts, _promoted(cfg, model, sae, tokenizer)),
    )
    log.info("%s features, %.1f MB", f"{it.features:,}", size / 1e6)


def _by_feature(activations: Activations) -> Columns:
    """The activations of the whole probe, feature by feature."""
    return columns(stack(whole(activations.counts), activations.corpora))


def _by_model(cfg: DashboardsSlice, dumps: list[Path]) -> dict[str, list[Path]]:
    """The dumps of each model."""
    count = len(cfg.corpora)
    parts = [dumps[start : start + count] for start in range(0, len(dumps), count)]
    groups = dict(zip(cfg.models, parts, strict=True))
    for model, paths in groups.items():
        check_model(model, paths)
    return groups


def _beside(it: Dictionary, own: Activations, name: str, paths: list[Path]) -> OtherModel:
    """A model's partners of this dictionary's features."""
    cfg, found = it.cfg, read_activations(it.cfg.corpora, paths)
    check_rows(own, found)
    best = partners(it.columns, found, it.probe, cfg.scopes[name], cfg.flow)
    count = int((best.feature >= 0).sum())
    where = ", ".join(cfg.scopes[name])
    log.info("%s: partners of %s features, on %s", name, f"{count:,}", where)
    return it.beside(best, _by_feature(found))


def _promoted(cfg: DashboardsSlice, model: Path, sae: Path, tokenizer: Path) -> Promoted | None:
    """The tokens of each direction; None where it cannot be read in the vocabulary."""
    if why := unknown(model, cfg.hook):
        log.warning("promoted and suppressed tokens are left out: %s", why)
        return None
    size = len(vocabulary(tokenizers.load(tokenizer)))
    return promoted(model, sae, cfg.hook, size, cfg.settings.logits)
