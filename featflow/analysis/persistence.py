"""Which features of one dictionary persist in another, by their best partners alone: no matrix.

The partners are those of stages `shares` and `transfer`. As in `fates.py`, of the features that are
alive (not silent, not rare) those are matched whose best partner that counts has r > τ
(features/rule.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.fragile import hanging
from featflow.analysis.ratios import ratios
from featflow.artifacts.io import ArtifactError, load_table
from featflow.artifacts.reading import named, rebuild
from featflow.config.study import Flow
from featflow.features import rule
from featflow.features.strata import ALL, Stratum, members
from featflow.plan.slices import Compared

KEYS = ["a", "b", "domain", "side"]

VALUES = ["feature", "firings", "documents", "tokens", "lookup_r", "r", "r_trimmed"]

FROZEN_COLUMNS = (
    "feature",
    "r",
    "firings",
    "documents",
    "child_firings",
    "child_documents",
    "tokens",
)

Edge = tuple[str, str]
"""Parent and child model."""

Key = tuple[str, str, str, str]
"""SAE of the parent, SAE of the child, domain, and the side (a or b) that is judged."""


@dataclass(frozen=True)
class Judged:
    """The m features of one dictionary on one domain, judged against another. Shapes (m,)."""

    alive: np.ndarray
    """Neither silent nor rare on this domain."""
    r: np.ndarray
    """float32, with the best partner that counts; NaN: there is none."""
    lookup_r: np.ndarray
    density: np.ndarray
    """The share of the domain's tokens on which it fires."""
    r_trimmed: np.ndarray | None = None
    """float32, of the same partner (features/trimmed.py); None: not known."""

    def matched(self, thresholds: np.ndarray) -> np.ndarray:
        """Living, with a partner above each threshold: (m, thresholds) bool."""
        found: np.ndarray = rule.above(self.r[:, None], thresholds) & self.alive[:, None]
        return found

    def fragile(self, thresholds: np.ndarray) -> np.ndarray | None:
        """Those of them whose r_trimmed is not above it: (m, thresholds) bool; None: unknown."""
        if self.r_trimmed is None:
            return None
        return hanging(self.matched(thresholds), self.r_trimmed[:, None], thresholds)


class Tally(NamedTuple):
    """Features of a stratum at each threshold; (thresholds,) each."""

    features: np.ndarray
    """Those that are counted: the living ones, or those of them that meet a condition."""
    found: np.ndarray
    """Those of them that are matched."""
    fragile: np.ndarray | None
    """Those of these that hang on a handful of rows (analysis/fragile.py); None: unknown."""

    @property
    def share(self) -> np.ndarray:
        """found / features; NaN where there are none."""
        return ratios(self.found, self.features)

    @property
    def fragile_share(self) -> np.ndarray | None:
        """fragile / found; NaN where none is found, None: unknown."""
        return None if self.fragile is None else ratios(self.fragile, self.found)


def pooled(tallies: Sequence[Tally]) -> tuple[np.ndarray, np.ndarray]:
    """What is found over several tallies, and what of it is fragile: (thresholds,) each."""
    known = [each.fragile for each in tallies if each.fragile is not None]
    return np.sum([each.found for each in tallies], axis=0), np.sum(known, axis=0)


def tally(
    side: Judged, thresholds: np.ndarray, given: np.ndarray | None = None
) -> dict[Stratum, Tally]:
    """Count matched features, by every stratum that has a living one, and over all.

    Args:
        side: the features.
        thresholds: (T,) τ.
        given: (m, T) bool, only these are counted (None: all living ones).
    """
    matched, fragile = side.matched(thresholds), side.fragile(thresholds)
    counted = np.broadcast_to(side.alive[:, None], matched.shape)
    if given is not None:
        counted, matched = counted & given, matched & given
        fragile = None if fragile is None else fragile & given
    return {
        stratum: Tally(
            counted[inside].sum(axis=0),
            matched[inside].sum(axis=0),
            None if fragile is None else fragile[inside].sum(axis=0),
        )
        for stratum, inside in members(side.lookup_r, side.density)
        if stratum == ALL or (side.alive & inside).any()
    }


class Bests:
    """The tables of all pairs of models of a slice."""

    def __init__(self, compared: Sequence[Compared], files: Sequence[Path], flow: Flow):
        """Args: the pairs, their best.parquet in the same order, and what is rare.

        Raises:
            ArtifactError: when a file cannot be read, or lacks features.
        """
        pairs = [(pair.parent, pair.child) for pair in compared]
        self.files = dict(zip(pairs, map(Path, files), strict=True))
        self.sides = {pair: _judged(file, flow) for pair, file in self.files.items()}

    def domains(self, parent: str, child: str, a: str, b: str) -> list[str]:
        """The domains on which two SAEs were compared, in the table's order."""
        return [key[2] for key in self.sides[parent, child] if key == (a, b, key[2], "a")]

    def find(self, parent: str, child: str, key: Key) -> Judged | None:
        """One side of two SAEs on a domain; None where it is not in the table."""
        return self.sides[parent, child].get(key)

    def get(self, parent: str, child: str, key: Key) -> Judged:
        """One side of two SAEs on a domain.

        Raises:
            ArtifactError: when the table does not have it.
        """
        found = self.find(parent, child, key)
        if found is None:
            file, (a, b, domain, _) = self.files[parent, child], key
            raise ArtifactError(
                f"{file}: it does not compare {parent}.{a} with {child}.{b} on {domain}; "
                f"{rebuild(named(file))}"
            )
        return found


def _judged(file: Path, flow: Flow) -> dict[Key, Judged]:
    table = load_table(file, *KEYS, *VALUES)
    found: dict[Key, Judged] = {}
    for names, rows in table.groupby(KEYS, sort=False, observed=True):
        a, b, domain, side = map(str, names)
        rows = rows.sort_values("feature", kind="stable")
        if not np.array_equal(rows["feature"].to_numpy(), np.arange(len(rows))):
            raise ArtifactError(
                f"{file}: the features of {a}, {b} on {domain}, side {side}, are not numbered "
                f"from 0 on, once each; {rebuild(named(file))}"
            )
        found[a, b, domain, side] = Judged(
            alive=alive(rows, flow),
            r=rows["r"].to_numpy(np.float32, na_value=np.nan),
            lookup_r=rows["lookup_r"].to_numpy(np.float64, na_value=np.nan),
            density=density_of(rows),
            r_trimmed=rows["r_trimmed"].to_numpy(np.float32, na_value=np.nan),
        )
    return found


def frozen(file: Path, flow: Flow, lookup_r: np.ndarray) -> Judged:
    """The parent's features, judged against themselves on the child: its SAE is applied there.

    No second SAE is trained, so none of the loss between two dictionaries is in it: what is left is
    how far the model itself moved. Feature i is compared with feature i, and persists if r > τ.

    As everywhere, a feature that is silent or rare on the parent's activations is in no share, and
    one that is silent or rare on the child's is found nowhere.

    Args:
        file: frozen.parquet.
        flow: what is rare.
        lookup_r: (m,) of the parent's features, which the table does not have.

    Raises:
        ArtifactError: when the table cannot be read, or is of another dictionary.
    """
    rows = load_table(file, *FROZEN_COLUMNS).sort_values("feature", kind="stable")
    if not np.array_equal(rows["feature"].to_numpy(), np.arange(len(lookup_r))):
        raise ArtifactError(
            f"{file}: its features are not the {len(lookup_r):,} of the parent's SAE; "
            f"{rebuild(named(file))}"
        )
    r = rows["r"].to_numpy(np.float32, na_value=np.nan)
    there = alive(rows, flow, "child_")
    return Judged(
        alive=alive(rows, flow),
        r=np.where(there, r, np.float32(np.nan)),
        lookup_r=lookup_r,
        density=density_of(rows),
    )


def alive(rows: pd.DataFrame, flow: Flow, prefix: str = "") -> np.ndarray:
    """Which features are neither silent nor rare, by a table's counts: (m,) bool."""
    firings, documents = (rows[f"{prefix}{what}"].to_numpy() for what in ("firings", "documents"))
    found: np.ndarray = rule.alive(firings, documents, flow.min_firings, flow.min_documents)
    return found


def density_of(rows: pd.DataFrame) -> np.ndarray:
    """The share of tokens on which each feature fires; NaN where there are no tokens."""
    firings, tokens = (rows[what].to_numpy(np.float64) for what in ("firings", "tokens"))
    return np.divide(firings, tokens, out=np.full(len(rows), np.nan), where=tokens > 0)
