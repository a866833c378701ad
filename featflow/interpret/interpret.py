"""Explanations of features, and how well they predict.

Records are drawn from the model's dumps (records.py), a provider explains and predicts
(providers/), its predictions are scored (score.py). The look-up baselines stand beside every other
explainer, on the same records: `lookup`, fitted on the explain records, and `lookup_probe`, fitted
on the probe without the documents of the score records.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.artifacts.io import load_table, save_table
from featflow.artifacts.provenance import Provenance
from featflow.artifacts.reading import named, rebuild
from featflow.config.errors import FeatflowError
from featflow.data.token_text import texts_with_bytes
from featflow.data.tokenizer import load
from featflow.features.probe import (
    Firings,
    Probe,
    firing_counts,
    firings,
    read_activations,
    read_probe,
)
from featflow.interpret import rules
from featflow.interpret.judge import NUMBERS, Plan, Result, announce, judge, plan
from featflow.interpret.providers import Provider
from featflow.interpret.providers.lookup import LookupProvider, fit_probe
from featflow.interpret.records import sample
from featflow.interpret.rules import OTHER, Rules
from featflow.interpret.select import COLUMNS, Chosen, select
from featflow.plan.stages.interpret import InterpretSlice
from featflow.runtime.log import log, progress

BATCH = 32
"""Features that a provider is asked about at once: where money runs out, whole ones are done."""

TYPES = {
    "feature": "int32",
    "groups": "str",
    "explainer": "str",
    "explanation": "str",
    "category": "str",
    "status": "str",
    "reason": "str",
    **dict.fromkeys(NUMBERS, "float64"),
    "records": "int32",
    "tokens": "int32",
    "density": "float64",
    "stratum": "str",
    "firings": "int64",
}
"""The columns of scores.parquet."""


class Subject(NamedTuple):
    """A feature that is explained."""

    chosen: Chosen
    found: Firings
    plan: Plan


def run(
    cfg: InterpretSlice,
    *,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    output: Path,
    flow: Path | None = None,
) -> None:
    """Explanations of features, and how well they predict.

    Args:
        dumps: of the model, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        output: scores.parquet; answers.jsonl lies beside it, where the provider is paid for them.
        flow: the fate of every feature.

    Raises:
        ArtifactError: when an input is missing, truncated or foreign.
        ConfigError: when categories.yaml has no rules.
        FeatflowError: when a feature asked for does not exist, or the provider explains none.
    """
    own_rules = [rules.FILE] if cfg.settings.categories is None else []
    inputs = [*dumps, *tokens, tokenizer, *([flow] if flow else []), *own_rules]
    provenance = Provenance("interpret", cfg, inputs)
    kinds = rules.load(cfg.settings.categories)
    kind = cfg.settings.provider.kind
    provider = import_module(f"featflow.interpret.providers.{kind}").make(
        cfg.settings.provider, output.parent
    )
    words = texts_with_bytes(load(tokenizer))
    found = read_activations(cfg.corpora, dumps)
    probe = read_probe(found, tokens)
    fates = load_table(flow, *COLUMNS) if flow else None
    chosen = select(cfg, fates, firing_counts(found.matrices))
    where = firings(found.matrices, [each.feature for each in chosen])
    subjects = {c.feature: _subject(cfg, c, probe, where[c.feature], words) for c in chosen}
    explainers = [provider, *_baselines(provider, subjects, probe, words)]
    tables = []
    for explainer in explainers:
        results = _results(cfg, explainer, {f: s.plan for f, s in subjects.items()})
        _categorise(cfg, kinds, explainer, results, subjects, probe, words)
        tables.append(_table(explainer.name, results, subjects, len(probe)))
    table = pd.concat(tables).sort_values("feature", kind="stable", ignore_index=True)
    save_table(output, table, provenance)
    _say(cfg, table, [each.name for each in explainers], output)


def _subject(
    cfg: InterpretSlice, chosen: Chosen, probe: Probe, found: Firings, words: Sequence[str]
) -> Subject:
    """A feature with its records and the questions about them."""
    seed = (cfg.seed, chosen.feature)
    drawn = sample(probe, found, cfg.settings.records, words, seed)
    return Subject(chosen, found, plan(drawn, cfg.settings.scores, seed))


def _baselines(
    provider: Provider, subjects: Mapping[int, Subject], probe: Probe, words: Sequence[str]
) -> list[Provider]:
    """The look-ups that stand beside a provider."""
    tables = {}
    for feature, (_, found, asked) in subjects.items():
        drawn = asked.sample
        if not drawn.reason:
            tables[feature] = fit_probe(probe, found, drawn.documents, drawn.largest)
    own: list[Provider] = [] if isinstance(provider, LookupProvider) else [LookupProvider()]
    return [*own, LookupProvider(tables, dict(enumerate(words)))]


def _results(
    cfg: InterpretSlice, explainer: Provider, plans: Mapping[int, Plan]
) -> dict[int, Result]:
    """All features, some at a time.

    Raises:
        FeatflowError: when not one could be explained though some have records.
    """
    scores = cfg.settings.scores
    announce(explainer, plans, scores)
    results: dict[int, Result] = {}
    features = list(plans)
    parts = [features[i : i + BATCH] for i in range(0, len(features), BATCH)]
    for part in progress(parts, f"parts of {BATCH} features ({explainer.name})"):
        results |= judge(explainer, {feature: plans[feature] for feature in part}, scores)
    failed = [r for r in results.values() if r.status == "failed"]
    if failed and all(result.explanation is None for result in results.values()):
        raise FeatflowError(
            f"studies.{cfg.study}.interpret.provider: {explainer.name} explained none of "
            f"{len(failed)} features; the first one: {failed[0].reasons[0]}"
        )
    return results


def _categorise(
    cfg: InterpretSlice,
    kinds: Rules,
    explainer: Provider,
    results: Mapping[int, Result],
    subjects: Mapping[int, Subject],
    probe: Probe,
    words: Sequence[str],
) -> None:
    """Give every explanation its category: by the rules, else by the provider if it is asked to."""
    in_words = not isinstance(explainer, LookupProvider)
    for feature, result in results.items():
        if result.explanation is None:
            continue
        said = result.explanation if in_words else None
        typical = _by_token(probe, subjects[feature].found, words)
        result.category = kinds.category(said, typical)
    if not (cfg.settings.categorise and in_words):
        return
    items = [
        (feature, str(result.explanation), kinds.names)
        for feature, result in results.items()
        if result.category == OTHER
    ]
    for (feature, _, _), outcome in zip(items, explainer.categorise(items), strict=True):
        result = results[feature]
        result.category = outcome.value or OTHER
        if outcome.value is None:
            result.reasons.append(f"category: {outcome.failure}")


def _by_token(probe: Probe, found: Firings, words: Sequence[str]) -> dict[str, float]:
    """How much of a feature's activation each token has, by its text."""
    sums = np.bincount(probe.tokens[found.rows], weights=found.values)
    by_text: dict[str, float] = {}
    for token in np.flatnonzero(sums).tolist():
        by_text[words[token]] = by_text.get(words[token], 0.0) + float(sums[token])
    return by_text


def _table(
    explainer: str, results: Mapping[int, Result], subjects: Mapping[int, Subject], rows: int
) -> pd.DataFrame:
    """The rows of an explainer in scores.parquet."""
    lines = []
    for feature, result in results.items():
        chosen, found, asked = subjects[feature]
        score = asked.sample.score
        lines.append(
            {
                "feature": feature,
                "groups": "+".join(chosen.groups),
                "explainer": explainer,
                "explanation": result.explanation,
                "category": result.category,
                "status": result.status,
                "reason": "; ".join(result.reasons) or None,
                **result.numbers,
                "records": len(score),
                "tokens": sum(len(record.ids) for record in score),
                "density": len(found.rows) / rows,
                "stratum": chosen.stratum,
                "firings": len(found.rows),
            }
        )
    return pd.DataFrame(lines, columns=list(TYPES)).astype(TYPES)


def _say(cfg: InterpretSlice, table: pd.DataFrame, explainers: Sequence[str], output: Path) -> None:
    """What came out, and what to do about what failed."""
    for name in explainers:
        rows = table[table["explainer"] == name]
        counts = rows["status"].value_counts()
        numbers = ", ".join(f"{counts.get(s, 0)} {s}" for s in ("ok", "undefined", "failed"))
        log.info(
            "%s/%s by %s: median r %.2f; %s",
            cfg.model,
            cfg.sae,
            name,
            rows["pearson"].median(),
            numbers,
        )
    unanswered = table["reason"].str.contains("not answered|explanation: |category: ", na=False)
    if count := table.loc[unanswered, "feature"].nunique():
        log.warning(
            "features with questions that were not answered: %s (column `reason`); what was "
            "answered is kept; to ask for the rest, %s",
            count,
            rebuild(named(output)),
        )
