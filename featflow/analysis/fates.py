"""Which features of two dictionaries count as the same one, and which have no counterpart.

A feature of one side is *matched* when it lives and has a partner that counts with Pearson's
r > τ, strictly (Horn & Elliott 2024, section 4; τ = `flow.threshold`). Each side is judged on its
own scope:

- silent: it fires on no token of the scope.
- rare: it fires on fewer than `min_firings` tokens or in fewer than `min_documents` documents.
- living: neither; only living features enter a share.
- a partner counts unless it is rare on the scope of the feature that is judged, because a handful
  of firings is enough to correlate by chance.

No file format beyond matches.parquet and matrix.safetensors is known here, and no torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from featflow.analysis.fragile import hanging
from featflow.artifacts.io import ArtifactError, load_table
from featflow.artifacts.reading import named, rebuild
from featflow.config.study import Flow
from featflow.features import rule
from featflow.features.matrix import Matrix, Pairs, load

COLUMNS = (
    "side",
    "feature",
    "rank",
    "partner",
    "r",
    "firings",
    "documents",
    "tokens",
    "lookup_r",
    "partner_firings",
    "partner_documents",
    "r_trimmed",
)
"""What is read of matches.parquet."""


@dataclass(frozen=True)
class Side:
    """The m features of one side of a pair, judged on that side's scope. Arrays have shape (m,)."""

    firings: np.ndarray
    documents: np.ndarray
    lookup_r: np.ndarray
    density: np.ndarray
    """The share of the scope's tokens on which it fires."""
    silent: np.ndarray
    alive: np.ndarray
    """Neither silent nor rare."""
    partner: np.ndarray
    """The best partner that counts, above the threshold or not; -1 where there is none."""
    r: np.ndarray
    """Pearson's r with it; NaN where there is none."""
    matched: np.ndarray
    """Living, with a partner above the threshold."""
    r_trimmed: np.ndarray
    """r with it without the rows that contribute most (features/trimmed.py); NaN: undefined."""
    fragile: np.ndarray
    """Matched, and not above the threshold without those rows; an unlisted partner's is unknown."""
    links: Pairs
    """Every pair above the threshold: a living feature, a partner that counts, and their r."""

    @property
    def rare(self) -> np.ndarray:
        """Neither silent nor alive."""
        return ~(self.silent | self.alive)


@dataclass(frozen=True)
class Comparison:
    """Two dictionaries, each judged against the other."""

    a: Side
    b: Side

    def mutual(self) -> int:
        """Pairs that are each other's best partner, above the threshold from either side."""
        found = np.flatnonzero(self.a.matched)
        partner = self.a.partner[found]
        return int(np.sum(self.b.matched[partner] & (self.b.partner[partner] == found)))

    def one_to_one(self) -> int:
        """The most pairs above the threshold, on a's scope, in which no feature occurs twice.

        Maximum-cardinality bipartite matching (Hopcroft & Karp 1973).
        """
        rows, columns, _ = self.a.links
        shape = (len(self.a.silent), len(self.b.silent))
        graph = csr_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape)
        return int(np.sum(maximum_bipartite_matching(graph, perm_type="column") >= 0))


def compare(matches: Path, matrix: Path, flow: Flow) -> Comparison:
    """Judge a pair of dictionaries from its two files.

    Args:
        matches: matches.parquet, for what is known of each feature.
        matrix: matrix.safetensors, full or from a floor on.
        flow: the threshold and what is rare.

    Raises:
        ArtifactError: when the two files do not belong together.
    """
    table, (r_a, r_b) = load_table(matches, *COLUMNS), load(matrix)
    rows_a, rows_b = (table[table["side"] == side] for side in "ab")
    a, b = _features(rows_a, r_a.shape[0], matches), _features(rows_b, r_a.shape[1], matches)
    return Comparison(
        _judged(r_a, rows_a, a, b, flow),
        _judged(r_b.T, rows_b, b, a, flow),
    )


def _features(rows: pd.DataFrame, size: int, matches: Path) -> pd.DataFrame:
    """One row a feature, in order.

    Raises:
        ArtifactError: when there is not exactly one best row for each of `size` features.
    """
    first = rows[rows["rank"] == 0].sort_values("feature", kind="stable")
    if not np.array_equal(first["feature"].to_numpy(), np.arange(size)):
        raise ArtifactError(
            f"{matches}: its features are not the {size:,} of the matrix beside it; "
            f"{rebuild(named(matches))}"
        )
    return first.set_index("feature")


def _counting(rows: pd.DataFrame, partners: pd.DataFrame, flow: Flow) -> np.ndarray:
    """Which features of the other side are not rare on this side's scope.

    What they do there stands beside the features that they are a best partner of; a feature that
    is nobody's keeps the numbers of its own scope.
    """
    listed = rows[rows["partner"] >= 0].drop_duplicates("partner")
    here = {}
    for what in ("firings", "documents"):
        here[what] = partners[what].to_numpy().copy()
        here[what][listed["partner"].to_numpy()] = listed[f"partner_{what}"].to_numpy()
    found: np.ndarray = rule.alive(
        here["firings"], here["documents"], flow.min_firings, flow.min_documents
    )
    return found


def _judged(
    r: Matrix, rows: pd.DataFrame, features: pd.DataFrame, partners: pd.DataFrame, flow: Flow
) -> Side:
    """One side against the other: r is (its features, the other side's), on its scope."""
    firings, documents = features["firings"].to_numpy(), features["documents"].to_numpy()
    alive = rule.alive(firings, documents, flow.min_firings, flow.min_documents)
    counting = _counting(rows, partners, flow)
    partner, best, links = r.partners(alive, counting, flow.threshold)
    if r.floor is not None:
        _fill_listed(partner, best, rows, counting)
    trimmed, known = _trimmed(partner, rows)
    matched = np.zeros(len(alive), dtype=bool)
    matched[links.feature] = True
    return Side(
        firings=firings,
        documents=documents,
        lookup_r=features["lookup_r"].to_numpy(dtype=np.float64, na_value=np.nan),
        density=firings / features["tokens"].to_numpy(),
        silent=firings == 0,
        alive=alive,
        partner=partner,
        r=best,
        r_trimmed=trimmed,
        matched=matched,
        fragile=hanging(matched & known, trimmed, flow.threshold),
        links=links,
    )


def _trimmed(partner: np.ndarray, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """r_trimmed of each feature with its best partner that counts, and where that one is listed."""
    listed = rows[rows["partner"] == partner[rows["feature"].to_numpy()]]
    listed = listed[listed["partner"] >= 0]
    feature = listed["feature"].to_numpy()
    trimmed, known = np.full(len(partner), np.nan, np.float32), np.zeros(len(partner), bool)
    trimmed[feature] = listed["r_trimmed"].to_numpy(np.float32, na_value=np.nan)
    known[feature] = True
    return trimmed, known


def _fill_listed(
    partner: np.ndarray, best: np.ndarray, rows: pd.DataFrame, counting: np.ndarray
) -> None:
    """Where the best partner is under the matrix's floor: the first of those listed that counts."""
    listed = rows[rows["partner"] >= 0].sort_values(["feature", "rank"], kind="stable")
    listed = listed[counting[listed["partner"].to_numpy()]].drop_duplicates("feature")
    listed = listed[partner[listed["feature"].to_numpy()] < 0]
    feature = listed["feature"].to_numpy()
    partner[feature], best[feature] = listed["partner"], listed["r"]
