"""Which feature of the first model a case is about."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from featflow.analysis import evidence
from featflow.analysis.evidence import Counts
from featflow.analysis.marks import Marks, marks, typical
from featflow.artifacts.io import ArtifactError, load_table
from featflow.artifacts.reading import named, rebuild
from featflow.config.errors import FeatflowError
from featflow.features import rule
from featflow.features.columns import columns, documents, within
from featflow.features.probe import Probe, firings
from featflow.plan.stages.analysis import CaseSlice

ASKED = "asked for by its number"
SEEDED = "living, and found by a reseed at r > {threshold:g}"
LIVING = "living; the model has no reseed"
NOT_SEEDED = "living; no reseed finds one that fires on the tokens"
"""What a feature was chosen among."""


@dataclass(frozen=True)
class Chosen:
    """The feature, what it marks, and what else was there."""

    feature: int
    marks: Marks
    counts: Counts
    """Of all features of the model."""
    ranking: list[int]
    """The candidates that fire on S, by F1; the chosen feature first."""
    choice: dict[str, Any]
    """How it was chosen: rule, candidates (how many), living, reseeded (of the living)."""
    best: int
    """The living feature with the best F1, whether or not it was chosen."""
    reseeds: pd.DataFrame = field(default_factory=pd.DataFrame)
    """r of each feature (index) with its best partner in each reseed (columns)."""
    partners: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The numbers of these partners; −1: there is none."""

    def reseeds_of(self, feature: int) -> dict[str, float]:
        """r with each reseed's best partner; NaN where there is none. Empty: no reseeds."""
        if feature not in self.reseeds.index:
            return dict.fromkeys(self.reseeds.columns, float("nan"))
        return {str(name): r for name, r in self.reseeds.loc[feature].to_dict().items()}

    def partners_of(self, feature: int) -> dict[str, int]:
        """The best partner in each reseed that has one."""
        if feature not in self.partners.index:
            return {}
        found = self.partners.loc[feature].fillna(-1).to_dict()
        return {str(name): int(partner) for name, partner in found.items() if partner >= 0}

    def reseed_r(self, feature: int) -> float:
        """The mean of these over the reseeds that have a partner; NaN where none has."""
        known = [r for r in self.reseeds_of(feature).values() if not np.isnan(r)]
        return float(np.mean(known)) if known else float("nan")


def choose(
    cfg: CaseSlice,
    matrices: list[csr_array],
    probe: Probe,
    tokenizer: Tokenizer,
    shares: Path | None,
    where: str,
) -> Chosen:
    """The feature of a case.

    Args:
        cfg: the case.
        matrices: the activations of its model on each corpus.
        probe: the rows.
        tokenizer: of the study.
        shares: the model's SAE compared with its reseeds; None where there are none.
        where: what messages call the query.

    Raises:
        FeatflowError: when the tokens are not in the vocabulary or never on the probe, when no
            living feature fires on them, or when the feature asked for never fires.
        ArtifactError: when the shares are unreadable.
    """
    seeded, partners = (
        reseeds(cfg, shares) if shares is not None else (pd.DataFrame(), pd.DataFrame())
    )
    if cfg.settings.feature is not None:
        return _asked(cfg, matrices, probe, tokenizer, (seeded, partners), f"{where}.feature")
    found = marks(cfg.settings, probe, tokenizer, where)
    counts = evidence.count(matrices, probe.split(found.rows))
    alive = alive_at_home(cfg, matrices, probe)
    again = _found_again(seeded, len(alive), cfg.flow.threshold) & alive
    best = counts.ranked(alive, 1)
    ranking, rule, among = counts.ranked(again, len(again)), SEEDED, again
    if not ranking:
        ranking, among = counts.ranked(alive, len(alive)), alive
        rule = NOT_SEEDED if cfg.reseeds else LIVING
    if not ranking:
        raise FeatflowError(
            f"{where}: of the {int(alive.sum()):,} living features of {cfg.model}.{cfg.sae} none "
            f"fires on {', '.join(map(repr, found.texts))}; a larger SAE "
            f"(saes.{cfg.sae}.expansion) may have one; or lower flow.min_firings and "
            "flow.min_documents"
        )
    choice = {
        "rule": rule.format(threshold=cfg.flow.threshold),
        "candidates": int(among.sum()),
        "living": int(alive.sum()),
        "reseeded": int(again.sum()) if cfg.reseeds else None,
    }
    return Chosen(ranking[0], found, counts, ranking, choice, best[0], seeded, partners)


def _asked(
    cfg: CaseSlice,
    matrices: list[csr_array],
    probe: Probe,
    tokenizer: Tokenizer,
    again_found: tuple[pd.DataFrame, pd.DataFrame],
    where: str,
) -> Chosen:
    """The feature that is asked for by number, and the token that is most typical of it."""
    assert cfg.settings.feature is not None
    number, width = int(cfg.settings.feature.split("/")[1]), matrices[0].shape[1]
    values = firings(matrices, [number])[number].dense(len(probe))
    if not (values > 0).any():
        last = f"; the last that does is {cfg.model}/{width - 1}" if number >= width else ""
        raise FeatflowError(
            f"{where}: {cfg.settings.feature} of SAE {cfg.sae} never fires on the probe{last}. "
            f"features/{cfg.model}/{cfg.sae}/summary.parquet says which features do"
        )
    found = typical(values, probe, tokenizer)
    counts = evidence.count(matrices, probe.split(found.rows))
    alive = alive_at_home(cfg, matrices, probe)
    seeded, partners = again_found
    again = _found_again(seeded, len(alive), cfg.flow.threshold) & alive
    living_ones = counts.ranked(alive, len(alive))
    ranking = [f for f in living_ones if f != number]
    choice = {
        "rule": ASKED,
        "candidates": 1,
        "living": int(alive.sum()),
        "reseeded": int(again.sum()) if cfg.reseeds else None,
    }
    best = living_ones[0] if living_ones else number
    return Chosen(number, found, counts, [number, *ranking], choice, best, seeded, partners)


def alive_at_home(cfg: CaseSlice, matrices: list[csr_array], probe: Probe) -> np.ndarray:
    """Which features are neither silent nor rare on the model's home: (m,) bool.

    The home is what the model and its ancestors were trained on, as far as the probe has it, with
    equally many rows a corpus; the whole probe where none of it is there.
    """
    home = _corpora(cfg, cfg.model) & set(probe.corpora) or set(probe.corpora)
    inside = [
        (m, d)
        for c, m, d in zip(probe.corpora, matrices, probe.split(probe.documents), strict=True)
        if c in home
    ]
    size = min(matrix.shape[0] for matrix, _ in inside)
    fired = np.zeros(matrices[0].shape[1], np.int64)
    found_in = np.zeros_like(fired)
    for matrix, document in inside:
        taken = within(columns(matrix), range(size))
        fired += taken.firings
        found_in += documents(taken, document)
    found: np.ndarray = rule.alive(fired, found_in, cfg.flow.min_firings, cfg.flow.min_documents)
    return found


def _corpora(cfg: CaseSlice, model: str) -> set[str]:
    node = cfg.models[model]
    parents = [p for p in node.parents if p in cfg.models]
    return {*node.corpora, *(c for p in parents for c in _corpora(cfg, p))}


def reseeds(cfg: CaseSlice, shares: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """r of each feature (index) with its best partner in each reseed (columns), and that partner.

    (NaN and −1: there is none.) Judged on `flow.scope`, which of a model with itself is always its
    home.

    Raises:
        ArtifactError: when the table cannot be read.
    """
    table = load_table(shares, "a", "b", "domain", "side", "feature", "r", "partner")
    mine = (table["a"] == cfg.sae) & (table["side"] == "a") & (table["domain"] == cfg.flow.scope)
    table = table[mine & table["b"].isin(cfg.reseeds)]
    if missing := sorted(set(cfg.reseeds) - set(table["b"])):
        raise ArtifactError(
            f"{shares}: it compares {cfg.sae} with no {', '.join(missing)}; "
            f"{rebuild(named(shares))}"
        )
    r, partner = (
        table.pivot(index="feature", columns="b", values=what).reindex(columns=cfg.reseeds)
        for what in ("r", "partner")
    )
    return r, partner


def _found_again(seeded: pd.DataFrame, size: int, threshold: float) -> np.ndarray:
    """Which features have a partner above the threshold in any reseed: (size,) bool."""
    if seeded.empty:
        return np.zeros(size, bool)
    found: np.ndarray = rule.above(seeded.reindex(range(size)), threshold).any(axis=1)
    return found
