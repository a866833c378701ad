"""The records that the pages read: columns of numbers, a row a feature, and whole features."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featflow.artifacts.io import ArtifactError, load_table
from featflow.artifacts.reading import named, rebuild
from featflow.features.columns import Columns
from featflow.features.lookup import lookup_r
from featflow.features.probe import Probe
from featflow.features.strata import LOOKUPS, UNKNOWN, lookup
from featflow.plan.stages.report import DashboardsSlice
from featflow.report.dashboard import tables
from featflow.report.dashboard.activity import Typical, histogram, typical
from featflow.report.dashboard.contexts import TOP, Chosen, Contexts, chosen, contexts, values
from featflow.report.dashboard.logits import Promoted
from featflow.report.dashboard.partners import Partners
from featflow.report.scripts import PER_SHARD, rounded

STRATA = (*LOOKUPS, UNKNOWN)


class OtherModel(NamedTuple):
    """Another model: the partners there, and what they do on the same tokens."""

    partners: Partners
    values: np.ndarray
    """(L,) float32, of the contexts' tokens."""


class Facts(NamedTuple):
    """What other stages have found out; None where they have not run."""

    summary: pd.DataFrame
    fates: dict[str, list[int]]
    chains: dict[int, dict[str, Any]]
    scores: pd.DataFrame | None
    scaling: dict[str, np.ndarray]
    """By parent, ν_error and ν_reconstruction of each feature (m, 2)."""

    @classmethod
    def read(
        cls,
        summary: Path,
        flow: Path | None,
        chains: Path | None,
        scores: Path | None,
        scaling: Mapping[str, Path],
        model: str,
        features: int,
    ) -> "Facts":
        """Read the tables of a model's dictionary.

        Raises:
            ArtifactError: when one is missing, truncated or foreign, or of another dictionary.
        """
        table = load_table(summary, "feature", "density", "max", "mean", "documents")
        if len(table) != features:
            raise ArtifactError(
                f"{summary}: it has {len(table):,} features, the SAE has {features:,}; "
                f"{rebuild(named(summary))}"
            )
        return cls(
            table,
            tables.fates(flow, model) if flow else {},
            tables.chain_rows(chains, model) if chains else {},
            tables.score_rows(scores) if scores else None,
            {parent: tables.ratios(file, features) for parent, file in scaling.items()},
        )


class Dictionary:
    """A dictionary on the probe: m features, and all that its pages say of them alone."""

    def __init__(self, cfg: DashboardsSlice, columns: Columns, probe: Probe):
        """Args: the slice, the activations on the probe, what lies at its rows."""
        self.cfg, self.columns, self.probe = cfg, columns, probe
        self.features = len(columns.starts)
        everything = range(len(probe))
        self.lookup_r = lookup_r(columns, everything, probe.tokens, probe.folds)
        self.typical: Typical = typical(columns, probe.tokens)
        self.highest, self.bins = histogram(columns)
        ends = pairwise(probe.offsets.tolist())
        rows = {corpus: range(*end) for corpus, end in zip(probe.corpora, ends, strict=True)}
        inside = [part for corpus, part in rows.items() if corpus in cfg.scope]
        outside = [part for corpus, part in rows.items() if corpus not in cfg.scope]
        self.chosen: Chosen = chosen(columns, probe.documents, cfg.settings, inside, outside)
        self.contexts: Contexts = contexts(probe, self.chosen.row, cfg.settings.around)
        self.values = values(columns, self.chosen.feature, self.contexts)

    def beside(self, partners: Partners, columns: Columns) -> OtherModel:
        """Another model's dictionary, which has these partners, on the same contexts."""
        feature = partners.feature[self.chosen.feature]
        return OtherModel(partners, values(columns, feature, self.contexts))

    def index(self, others: Mapping[str, OtherModel], facts: Facts) -> dict[str, Any]:
        """The value of index.js, without its provenance."""
        cfg, summary = self.cfg, facts.summary
        token = self.typical.ids[:, 0]
        nothing: list[Any] = [None] * self.features
        told = dict.fromkeys(("explanation", "score", "category"), nothing)
        if facts.scores is not None:
            told = tables.explained(facts.scores, self.features)
        return {
            "model": cfg.model,
            "sae": cfg.sae,
            "features": self.features,
            "per_shard": PER_SHARD,
            "hook": cfg.hook,
            "tokens": len(self.probe),
            "corpora": cfg.corpora,
            "scopes": cfg.scopes,
            "scope": cfg.scope,
            "strata": STRATA,
            "fate_names": tables.FATES,
            "intervals": cfg.settings.intervals,
            "columns": {
                **{name: rounded(summary[name].to_numpy()) for name in ("density", "max", "mean")},
                "documents": summary["documents"].tolist(),
                "lookup_r": rounded(self.lookup_r),
                "stratum": [STRATA.index(name) for name in lookup(self.lookup_r)],
                "token": _present(token),
                "fates": facts.fates,
                "partners": {m: _present(o.partners.feature) for m, o in others.items()},
                "r": {m: rounded(o.partners.r) for m, o in others.items()},
                **told,
            },
        }

    def shards(
        self, others: Mapping[str, OtherModel], facts: Facts, promoted: Promoted | None
    ) -> Iterator[list[dict[str, Any]]]:
        """All features, PER_SHARD at a time."""
        scores = {} if facts.scores is None else tables.by_feature(facts.scores)
        edges = np.searchsorted(self.chosen.feature, np.arange(self.features + 1))
        for start in range(0, self.features, PER_SHARD):
            stop = min(start + PER_SHARD, self.features)
            shown = self._contexts(edges[start], edges[stop], others)
            yield [
                {
                    "id": i,
                    "contexts": [next(shown) for _ in range(edges[i], edges[i + 1])],
                    "histogram": self._histogram(i),
                    "tokens": self._tokens(i),
                    **_logits(promoted, i),
                    "partners": [
                        _partner(m, o.partners, i) | _ratios(facts.scaling.get(m), i)
                        for m, o in others.items()
                    ],
                    "chain": facts.chains.get(i),
                    "scores": scores.get(i, []),
                }
                for i in range(start, stop)
            ]

    def _contexts(
        self, first: int, stop: int, others: Mapping[str, OtherModel]
    ) -> Iterator[dict[str, Any]]:
        """Contexts first … stop − 1."""
        found, base = self.contexts, self.contexts.edges[first]
        tokens = slice(base, found.edges[stop])
        ids, own = found.ids[tokens].tolist(), rounded(self.values[tokens])
        theirs = {m: rounded(o.values[tokens]) for m, o in others.items()}
        ends = [(a, b) for a, b in pairwise((found.edges[first : stop + 1] - base).tolist())]
        for k, (a, b) in zip(range(first, stop), ends, strict=True):
            feature, interval = int(self.chosen.feature[k]), int(self.chosen.interval[k])
            yield {
                "kind": "top" if interval == TOP else "interval",
                "interval": None if interval == TOP else interval,
                "corpus": self.probe.corpora[found.corpus[k]],
                "in_scope": self.probe.corpora[found.corpus[k]] in self.cfg.scope,
                "document": int(found.document[k]),
                "position": int(found.position[k]),
                "ids": ids[a:b],
                "at": int(found.at[k]),
                "values": own[a:b],
                "others": {
                    m: theirs[m][a:b] for m, o in others.items() if o.partners.feature[feature] >= 0
                },
            }

    def _histogram(self, i: int) -> dict[str, Any]:
        if not self.highest[i]:
            return {"edges": [], "counts": []}
        count = self.bins.shape[1]
        edges = np.arange(count + 1) * (np.float64(self.highest[i]) / count)
        return {"edges": rounded(edges), "counts": self.bins[i].tolist()}

    def _tokens(self, i: int) -> list[list[Any]]:
        ids, sums, firings = (part[i] for part in self.typical)
        there = ids >= 0
        means = rounded(sums[there] / firings[there])
        return [
            list(t) for t in zip(ids[there].tolist(), means, firings[there].tolist(), strict=True)
        ]


def _logits(found: Promoted | None, i: int) -> dict[str, Any]:
    """The tokens of a feature's direction; null where it could not be read."""
    if found is None:
        return {"promoted": None, "suppressed": None}
    ids, logits, low_ids, low = (part[i] for part in found)
    pairs = {"promoted": (ids, logits), "suppressed": (low_ids, low)}
    return {
        name: [list(p) for p in zip(tokens.tolist(), rounded(values), strict=True)]
        for name, (tokens, values) in pairs.items()
    }


def _partner(model: str, found: Partners, i: int) -> dict[str, Any]:
    r, back, trimmed = rounded([found.r[i], found.r_back[i], found.r_trimmed[i]])
    return {
        "model": model,
        "feature": _present(found.feature[i : i + 1])[0],
        "r": r,
        "r_back": back,
        "mutual": bool(found.mutual[i]),
        "r_trimmed": trimmed,
    }


def _ratios(found: np.ndarray | None, i: int) -> dict[str, Any]:
    """What latent scaling says of a feature against a parent."""
    if found is None:
        return {}
    return dict(zip(("nu_error", "nu_reconstruction"), rounded(found[i]), strict=True))


def _present(numbers: np.ndarray) -> list[int | None]:
    """Numbers of features or tokens; null for −1."""
    return [None if n < 0 else n for n in numbers.tolist()]
