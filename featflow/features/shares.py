"""Stage `shares`: the best partner of every feature on every domain, for the controls.

What stage `correlation` and analysis/fates.py find together, for many pairs of SAEs and domains at
once and without a file of all pairs of features. Every control is made of it: ceilings from
reseeds, floors and arms, at any threshold and by stratum.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.features import bootstrap as resampling
from featflow.features import dump
from featflow.features.columns import Columns, columns
from featflow.features.comparing import Both, compare, line, table
from featflow.features.dictionary import Dictionary
from featflow.features.domains import corpus_of, joined_rows, layout, rolled
from featflow.features.scope import Source, source_of, stack, stack_sources
from featflow.plan.stages.analysis import SharesSlice
from featflow.runtime.log import log

SHIFT = "shift"
"""The name of `cfg.domain` where the child's rows are moved."""


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
        return table(found, (self.a.on(of_a), b.on(of_b)), names)

    def _log(self, other: str, domain: str, b: Dictionary, found: Both) -> None:
        of_a, of_b = self._sets(domain)
        told = line(found, (self.a.alive(of_a), b.alive(of_b)))
        log.info("%s-%s on %s: %s", self.sae.name, other, domain, told)

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
