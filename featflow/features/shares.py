"""Stage `shares`: the best partner of every feature on every domain, for the controls.

What stage `correlation` and analysis/fates.py find together, for many pairs of SAEs and domains at
once and without a file of all pairs of features. Every control is made of it: ceilings from
reseeds, floors and arms, at any threshold and by stratum.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.features import bootstrap as resampling
from featflow.features import dump, rule
from featflow.features.best_partners import Question, best_partners
from featflow.features.columns import Columns, columns
from featflow.features.domains import (
    Dictionary,
    Facts,
    Layout,
    corpus_of,
    joined_rows,
    layout,
    rolled,
)
from featflow.features.partners import Ranked
from featflow.features.scope import Source, source_of, stack, stack_sources
from featflow.features.stacked import Activations
from featflow.features.trimmed import trimmed_of
from featflow.plan.stages.analysis import SharesSlice
from featflow.runtime.log import log

COLUMNS = {
    "a": "str",
    "b": "str",
    "domain": "str",
    "side": "str",
    "feature": "int32",
    "firings": "int64",
    "documents": "int64",
    "tokens": "int64",
    "lookup_r": "float32",
    "partner": "int32",
    "r": "float32",
    "mutual": "bool",
    "r_trimmed": "float32",
}
"""Of best.parquet."""

SHIFT = "shift"
"""The name of `cfg.domain` where the child's rows are moved."""

PAPER_THRESHOLD = 0.8
"""The paper's threshold: of the shares that the log tells, and of nothing else."""


class Best(NamedTuple):
    """The best partners of m features, k each."""

    ranked: Ranked
    r_trimmed: np.ndarray
    """(m,) float32, with the first one (features/trimmed.py); NaN: none, or undefined."""


Both = tuple[Best, Best]
"""The best partners of a's features on a's rows of a domain, and of b's on b's."""


def run(
    cfg: SharesSlice,
    *,
    a: list[Path],
    b: list[Path],
    saes_a: list[Path],
    saes_b: list[Path],
    tokens: list[Path],
    best: Path,
    bootstrap: Path,
) -> None:
    """Best partners of every feature on every domain, for the controls.

    Args:
        a: dumps of the parent: for each SAE of `cfg.a`, its corpora in their order.
        b: dumps of the child, likewise.
        saes_a: folders of the parent's SAEs, in the order of `cfg.a`.
        saes_b: folders of the child's SAEs, in the order of `cfg.b`.
        tokens: the corpora's validation tokens, in their order.
        best: where to write the best partners (parquet).
        bootstrap: where to write the bootstrap's shares (parquet).

    Raises:
        ArtifactError: when a file is unreadable, or the dumps of a pair are not of the same tokens.
    """
    handles = [sae / "cfg.json" for sae in (*saes_a, *saes_b)]
    provenance = Provenance("shares", cfg, [*a, *b, *handles, *tokens])
    mine, theirs = _saes(cfg.a, cfg.corpora, a, saes_a), _saes(cfg.b, cfg.corpora, b, saes_b)
    tables, replicates = [], resampling.nothing()
    for first in mine:
        partners = [second for second in theirs if (first.name, second.name) in cfg.pairs]
        probe = _Probe(cfg, first, tokens) if partners else None
        for second in partners:
            assert probe is not None
            found, resampled = probe.compare(second)
            tables += found
            replicates = resampled if resampled is not None else replicates
    save_table(best, pd.concat(tables, ignore_index=True), provenance)
    save_table(bootstrap, replicates, provenance)


class _Sae(NamedTuple):
    name: str
    files: dict[str, Path]
    """Its dump of each corpus."""
    features: int

    def read(self) -> dict[str, dump.Mapped]:
        return {corpus: dump.mapped(path, self.features) for corpus, path in self.files.items()}


def _saes(
    names: list[str], corpora: list[str], files: list[Path], folders: list[Path]
) -> list[_Sae]:
    """The SAEs of one side.

    Raises:
        ArtifactError: when a cfg.json is missing or is no SAE's.
    """
    given = [files[start : start + len(corpora)] for start in range(0, len(files), len(corpora))]
    return [
        _Sae(name, dict(zip(corpora, own, strict=True)), dump.d_sae(folder))
        for name, own, folder in zip(names, given, folders, strict=True)
    ]


class _Probe:
    """An SAE of the parent, and the rows on which SAEs of the child are compared with it."""

    def __init__(self, cfg: SharesSlice, sae: _Sae, tokens: list[Path]):
        self.cfg, self.sae = cfg, sae
        dumps = sae.read()
        self.positions = {corpus: found.positions for corpus, found in dumps.items()}
        self.sources = {
            corpus: source_of(path, self.positions[corpus])
            for corpus, path in zip(cfg.corpora, tokens, strict=True)
        }
        counts = {corpus: len(found) for corpus, found in self.positions.items()}
        self.layout = layout(counts, cfg.domains)
        stacked = stack(self.layout.rows, {c: found.activations for c, found in dumps.items()})
        self.a = self._dictionary(columns(stacked), self.sources, 0)

    def compare(self, other: _Sae) -> tuple[list[pd.DataFrame], pd.DataFrame | None]:
        """The rows of best.parquet for this pair; for the pair (sae, sae) those of the bootstrap.

        Raises:
            ArtifactError: when the other SAE's dumps are not of the same tokens.
        """
        cfg, pair = self.cfg, (self.sae.name, other.name)
        everywhere, main = pair in cfg.everywhere, pair == (cfg.sae, cfg.sae)
        wanted = dict.fromkeys(cfg.domains if everywhere else [cfg.domain], 1)
        replicates = self._replicates() if main else 0
        if replicates:
            wanted[cfg.domain] = cfg.partners
        b, found = self._judge(other, wanted)
        self._log(other.name, cfg.domain, b, found[cfg.domain])
        tables = [self._table(other.name, domain, b, found[domain]) for domain in wanted]
        resampled = resampling.nothing() if main else None
        if replicates:
            resampled = self._bootstrap(b, found[cfg.domain], replicates)
        if main and cfg.shift:
            del b
            b, found = self._judge(other, {cfg.domain: 1}, shift=True)
            self._log(other.name, SHIFT, b, found[cfg.domain])
            tables.append(self._table(other.name, SHIFT, b, found[cfg.domain]))
        return tables, resampled

    def _judge(
        self, other: _Sae, wanted: dict[str, int], shift: bool = False
    ) -> tuple[Dictionary, dict[str, Both]]:
        dumps, sources = other.read(), self.sources
        for corpus, found in dumps.items():
            dump.check_same_rows(
                self.sae.files[corpus],
                self.positions[corpus],
                other.files[corpus],
                found.positions,
            )
        activations = {corpus: found.activations for corpus, found in dumps.items()}
        if shift:
            activations, sources = rolled(activations, sources, self.cfg.seed)
        stacked = stack(self.layout.rows, activations)
        b = self._dictionary(columns(stacked), sources, 1)
        return b, compare(self.a, b, stacked, self.layout, wanted)

    def _dictionary(self, found: Columns, sources: dict[str, Source], side: int) -> Dictionary:
        least = self.cfg.min_firings, self.cfg.min_documents
        source = stack_sources(self.layout.rows, sources)
        return Dictionary(found, source, self.layout, side, least)

    def _sets(self, domain: str) -> tuple[int, int]:
        """The sets of rows on which a's and b's features are judged."""
        return self.layout.sides[self.cfg.domain if domain == SHIFT else domain]

    def _table(self, other: str, domain: str, b: Dictionary, found: Both) -> pd.DataFrame:
        of_a, of_b = self._sets(domain)
        names = {"a": self.sae.name, "b": other, "domain": domain}
        return best_table(found, (self.a.on(of_a), b.on(of_b)), names)

    def _log(self, other: str, domain: str, b: Dictionary, found: Both) -> None:
        of_a, of_b = self._sets(domain)
        words = _found_again(found, (self.a.alive(of_a), b.alive(of_b)))
        log.info("%s-%s on %s: %s", self.sae.name, other, domain, words)

    def _replicates(self) -> int:
        """How many replicates the bootstrap has: none where tokens are too few for one."""
        cfg, lengths = self.cfg, [self.layout.length(i) for i in self._sets(self.cfg.domain)]
        if not (cfg.bootstrap and cfg.thresholds):
            return 0
        if min(lengths) < resampling.LEAST:
            log.warning(
                "studies.%s.probe.tokens_per_corpus: %s has %s tokens; under %s there is no "
                "bootstrap over documents: raise that, and give its corpora more documents if "
                "their validation split is shorter",
                cfg.study,
                cfg.domain,
                f"{min(lengths):,}",
                f"{resampling.LEAST:,}",
            )
            return 0
        return cfg.bootstrap

    def _bootstrap(self, b: Dictionary, found: Both, replicates: int) -> pd.DataFrame:
        sides, corpora = {}, corpus_of(self.layout.rows)
        for name, index, own, other, best in zip(
            "ab", self._sets(self.cfg.domain), (self.a, b), (b, self.a), found, strict=True
        ):
            facts, inside = own.on(index), self.layout.of(index)
            numbers = own.source(index).documents
            sides[name] = resampling.Side(
                own=own.columns(index),
                other=other.columns(index),
                candidates=best.ranked.partners,
                alive=own.alive(index),
                lookup_r=facts.lookup_r,
                density=facts.firings / facts.rows,
                documents=resampling.documents_of(numbers, joined_rows(corpora, inside)),
            )
        return resampling.replicates(sides, self.cfg.thresholds, replicates, self.cfg.seed)


def compare(
    a: Dictionary, b: Dictionary, stacked: Activations, rows: Layout, wanted: Mapping[str, int]
) -> dict[str, Both]:
    """The best partners that count, on every domain.

    Args:
        a: a dictionary on the layout's rows.
        b: another one on the same rows.
        stacked: b's activations (T, m_b).
        rows: the layout.
        wanted: the domains, and how many partners a feature.
    """
    counts: tuple[dict[int, int], dict[int, int]] = {}, {}  # of each side, by set of rows
    for domain, count in wanted.items():
        for side, index in zip(counts, rows.sides[domain], strict=True):
            side[index] = max(count, side.get(index, 0))
    sets = sorted({*counts[0], *counts[1]})
    questions = [
        Question(
            rows.length(index),
            rows.sets[index],
            a.judged(index),
            b.judged(index),
            *(side.get(index, 0) for side in counts),
        )
        for index in sets
    ]
    found = dict(zip(sets, best_partners(a.parts, stacked, questions), strict=True))
    of_a, of_b = {}, {}
    for index in sets:
        mine, theirs = (each.columns_as_they_lie(index) for each in (a, b))
        length = rows.length(index)
        if index in counts[0]:
            ranked = found[index][0]
            of_a[index] = Best(ranked, trimmed_of(ranked, mine, theirs, length))
        if index in counts[1]:
            ranked = found[index][1]
            of_b[index] = Best(ranked, trimmed_of(ranked, theirs, mine, length))
    sides = {domain: rows.sides[domain] for domain in wanted}
    return {domain: (of_a[first], of_b[second]) for domain, (first, second) in sides.items()}


def best_table(both: Both, facts: tuple[Facts, Facts], names: Mapping[str, str]) -> pd.DataFrame:
    """The rows of best.parquet for one domain: a's features, then b's.

    Args:
        both: the best partners.
        facts: what a's features do on a's rows of the domain, and b's on b's.
        names: a, b and domain.
    """
    sides = []
    for side, mine, theirs, known in zip("ab", both, reversed(both), facts, strict=True):
        partner = mine.ranked.partners[:, 0]
        values = {
            "feature": np.arange(len(partner)),
            "firings": known.firings,
            "documents": known.documents,
            "tokens": known.rows,
            "lookup_r": known.lookup_r,
            "partner": partner,
            "r": mine.ranked.r[:, 0],
            "mutual": mine.ranked.mutual(theirs.ranked),
            "r_trimmed": mine.r_trimmed,
        }
        sides.append(pd.DataFrame({**names, "side": side, **values}))
    return pd.concat(sides, ignore_index=True)[list(COLUMNS)].astype(COLUMNS)


def _found_again(both: Both, alive: tuple[np.ndarray, np.ndarray]) -> str:
    """What is found again at the paper's threshold, in words for the log.

    Args:
        both: the best partners.
        alive: (m,) bool of either side.
    """
    counted = []
    for best, judged in zip(both, alive, strict=True):
        matched, total = (
            judged & rule.above(best.ranked.r[:, 0], PAPER_THRESHOLD),
            int(judged.sum()),
        )
        fragile = int((matched & ~rule.above(best.r_trimmed, PAPER_THRESHOLD)).sum())
        found = int(matched.sum())
        share = f"{found:,} of {total:,} ({found / max(total, 1):.1%}"
        counted.append(f"{share}, {fragile:,} of them on a handful of rows)")
    return f"above {PAPER_THRESHOLD:g}: {counted[0]} features of a, {counted[1]} of b"
