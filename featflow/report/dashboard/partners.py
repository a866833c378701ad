"""Which feature of another model each feature is, and the other way round."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from featflow.config.study import Flow
from featflow.features import rule
from featflow.features.best_partners import Judged, Question, best_partners
from featflow.features.columns import Columns, by_blocks, columns, documents, in_ranges
from featflow.features.moments import standardised
from featflow.features.probe import Activations, Probe
from featflow.features.scope import Rows, rows_in_scope, stack
from featflow.features.trimmed import trimmed_of


class Partners(NamedTuple):
    """The best partner of each of m features in another model; arrays (m,)."""

    feature: np.ndarray
    """int64; −1: none that counts."""
    r: np.ndarray
    """Pearson's r with it; NaN: none."""
    r_back: np.ndarray
    """The partner's r with its own best partner in this dictionary; NaN: it has none."""
    mutual: np.ndarray
    """bool: whether that is this feature."""
    r_trimmed: np.ndarray
    """r without the rows that contribute most (features/trimmed.py); NaN: none, or undefined."""


def partners(
    own: Columns, other: Activations, probe: Probe, scope: Sequence[str], flow: Flow
) -> Partners:
    """Each feature's best partner in another model, by Pearson's r on some corpora.

    Every corpus gives equally many rows: its first ones. A feature that fires on fewer than
    `min_firings` of these rows, or in fewer than `min_documents` documents, is no partner.

    Args:
        own: the activations on the whole probe (m features).
        other: those of the other model.
        probe: what lies at its rows.
        scope: the corpora.
        flow: what is rare.
    """
    rows = rows_in_scope(other.counts, scope, scope)
    place = places(rows, other.counts)
    document = probe.documents[place >= 0]
    here, b = restricted(own, place), stack(rows, other.corpora)
    there = columns(b)
    question = Question(
        len(rows.a), [0], _judged(here, document, flow), _judged(there, document, flow), 1, 1
    )
    ((mine, theirs),) = best_partners([here], b, [question])
    feature, r = mine.partners[:, 0].astype(np.int64), mine.r[:, 0].astype(np.float64)
    back = np.append(theirs.r[:, 0], np.float32(np.nan))[feature].astype(np.float64)
    trimmed = trimmed_of(mine, here, there, len(rows.a)).astype(np.float64)
    return Partners(feature, r, back, mine.mutual(theirs), trimmed)


def _judged(found: Columns, document: np.ndarray, flow: Flow) -> Judged:
    """The features of one side on the rows of a scope: document (T,) is each row's."""
    found_in = documents(found, document)
    counting = rule.alive(found.firings, found_in, flow.min_firings, flow.min_documents)
    return Judged(*standardised(found, len(document)), counting)


def places(rows: Rows, counts: dict[str, int]) -> np.ndarray:
    """Which row of a scope each row of the probe is: (T,) int64, −1 where it is none."""
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]), strict=False))
    found, at = np.full(sum(counts.values()), -1), 0
    for piece in rows.pieces:
        start = starts[piece.corpus]
        size = piece.stop - piece.start
        found[start + piece.start : start + piece.stop] = np.arange(at, at + size)
        at += size
    return found


def restricted(columns: Columns, place: np.ndarray) -> Columns:
    """The firings on some of the rows, these numbered anew: place (T,), −1 where one is left out.

    The places ascend, those that are left out aside.
    """
    count = len(columns.starts)
    sizes = np.zeros(count + 1, np.int64)
    by_blocks(lambda first, stop: _count(columns, first, stop, place, sizes), count)
    edges = np.cumsum(sizes)

    def fill(low: int, high: int, rows: np.ndarray, values: np.ndarray) -> None:
        starts = edges - edges[low]
        by_blocks(
            lambda first, stop: _copy(
                columns, low + first, low + stop, place, starts, rows, values
            ),
            high - low,
        )

    return in_ranges(edges, (columns.rows.dtype, np.float32), fill)


@njit(cache=True, nogil=True)
def _count(columns, first, stop, place, sizes):
    for i in range(first, stop):
        for k in range(columns.starts[i], columns.stops[i]):
            if place[columns.rows[k]] >= 0:
                sizes[i + 1] += 1


@njit(cache=True, nogil=True)
def _copy(columns, first, stop, place, starts, rows, values):
    for i in range(first, stop):
        at = starts[i]
        for k in range(columns.starts[i], columns.stops[i]):
            row = place[columns.rows[k]]
            if row >= 0:
                rows[at], values[at] = row, columns.values[k]
                at += 1
