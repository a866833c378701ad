"""Pearson's r between the features of two dictionaries, from moments that add up over rows.

With S_ij = Σ_t a_ti b_tj, the mean μ and the deviation σ of a feature over the T rows of a scope,
rows where it does not fire included,

    r_ij = (S_ij / T − μ_i μ_j) / (σ_i σ_j).

S is a product of two sparse matrices; the rest is a rank-one correction. Everything accumulates in
float64 and in a fixed order.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import local
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike

from featflow.features.columns import Columns, by_blocks, columns, sums, within
from featflow.features.prefetch import LINE, prefetch
from featflow.features.stacked import Activations, Part, stacked

UNRESOLVED = 1e-10
"""A variance below this share of the mean square is rounding: the feature is constant."""

BLOCK = 16
"""Features of a block: its moments (16, m_b) in float64 stay in the second-level cache."""

AHEAD = 8
"""Firings by which rows of b are asked for before they are needed."""

LINES = 3
"""Cache lines of a row that are asked for: 48 features, more than most rows have."""


class Scope(NamedTuple):
    """A set of rows, and the features of both sides there: each (mean (m,), 1/σ (m,))."""

    rows: int
    stretches: list[int]
    """Which of the parts it consists of."""
    a: tuple[np.ndarray, np.ndarray]
    """As `standardised` gives it."""
    b: tuple[np.ndarray, np.ndarray]


Use = Callable[[int, int, np.ndarray], Any]
"""(scope, first, r (n, m_b)) → what is made of the r of features first … first + n − 1 of a."""
Room = Callable[[int, int, int], np.ndarray]
"""(scope, first, stop) → where to write r of features first … stop − 1 of a, float32."""


class ThreadBuffers(local):
    """Arrays that a thread uses again for every block: new ones would cost more than they hold."""

    def array(self, name: str, shape: tuple[int, int], dtype: DTypeLike = np.float64) -> np.ndarray:
        """An array (n, m) whose numbers are yet to be written; n is at most the first block's."""
        held = vars(self)
        if name not in held:
            held[name] = np.empty(shape, dtype)
        return held[name][: shape[0]]


def pearson(
    a: Activations, b: Activations, scopes: Sequence[range] | None = None
) -> list[np.ndarray]:
    """Pearson's r of every feature of a with every feature of b, once for each scope.

    Args:
        a: activations (T, m_a), float32.
        b: activations (T, m_b) on the same rows, float32.
        scopes: ranges of rows (default: all of them). Moments are computed once for each stretch
            between the scopes' ends, and added up to those of each scope.

    Returns:
        For each scope r (m_a, m_b), float32; NaN where either feature is constant there (a feature
        that never fires is).
    """
    ranges = [range(a.shape[0])] if scopes is None else scopes
    found = [np.empty((a.shape[1], b.shape[1]), np.float32) for _ in ranges]
    by_column = columns(a)
    asked = in_stretches(by_column, columns(b), ranges)
    r_by_blocks(*asked, b, lambda scope, first, stop: found[scope][first:stop])
    return found


def in_stretches(
    a: Columns, b: Columns, ranges: Sequence[range]
) -> tuple[list[Columns], list[Scope]]:
    """Ranges of rows as sums of stretches, and a's firings in each stretch."""
    edges = sorted({edge for rows in ranges for edge in (rows.start, rows.stop)})
    stretches = [range(low, high) for low, high in pairwise(edges)]
    scopes = [
        Scope(
            len(rows),
            [i for i, s in enumerate(stretches) if rows.start <= s.start and s.stop <= rows.stop],
            standardised(within(a, rows), len(rows)),
            standardised(within(b, rows), len(rows)),
        )
        for rows in ranges
    ]
    return [within(a, stretch) for stretch in stretches], scopes


def r_by_blocks(
    parts: Sequence[Columns],
    scopes: Sequence[Scope],
    b: Activations,
    room: Room,
    use: Use | None = None,
    then: Callable[[list[Any]], None] | None = None,
) -> None:
    """Pearson's r, 16 features of a with all of b at a time.

    Args:
        parts: a's firings in each stretch of rows (`columns.within`).
        scopes: the sets of rows; the moments of a stretch are computed once for all of them.
        b: b's activations (T, m_b) on all rows.
        room: where to write r.
        use: what to do with it then, on many threads at once.
        then: is called with what `use` made for each scope, block after block in their order.
    """
    needed = sorted({s for scope in scopes for s in scope.stretches})
    shared = {s: overlaps(parts[s], b) for s in needed}
    own = ThreadBuffers()

    def work(first: int, stop: int) -> list[Any]:
        shape = stop - first, b.shape[1]
        moments = {s: own.array(f"moments {s}", shape) for s in needed}
        for stretch, found in shared.items():
            cross_moments(found, first, moments[stretch])
        made = []
        for number, scope in enumerate(scopes):
            total, *others = (moments[s] for s in scope.stretches)
            if others:
                total = np.add(total, others[0], out=own.array("total", shape))
            for other in others[1:]:
                total += other
            r = room(number, first, stop)
            (mean, scale), of_b = scope.a, scope.b
            correlated(total, scope.rows, mean[first:stop], scale[first:stop], *of_b, r)
            made.append(use(number, first, r) if use else None)
        return made

    by_blocks(work, len(parts[0].starts), BLOCK, "blocks of features", then)


class Overlap(NamedTuple):
    """The rows of one part of b, and where a fires on them."""

    a: Columns
    b: Part
    row: int
    """The number of the part's first row."""


def overlaps(a: Columns, b: Activations) -> list[Overlap]:
    """Where the features of a (its rows those of b) fire in each part of b."""
    matrix, found = stacked(b), []
    for part, row in zip(matrix.parts, matrix.starts, strict=True):
        inside = within(a, range(row, row + part.rows))
        if inside.firings.any():
            found.append(Overlap(inside, part, row))
    return found


def cross_moments(found: Sequence[Overlap], first: int, moments: np.ndarray) -> None:
    """Σ_t a_ti b_tj for features i = first … first + n − 1 of a.

    Args:
        found: where a fires on b's rows, in their order.
        first: feature of a.
        moments: (n, m_b) float64, to write to.
    """
    moments.fill(0)
    for a, b, row in found:
        _add_cross(a, first, first + len(moments), row, b.indptr, b.indices, b.values, moments)


def standardised(columns: Columns, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Each feature's mean and 1/σ over all rows; NaN for 1/σ where it is constant."""
    total, squares = sums(columns)
    mean, square = total / rows, squares / rows
    variance = square - mean**2
    resolved = variance > UNRESOLVED * square
    return mean, np.where(resolved, 1 / np.sqrt(np.where(resolved, variance, 1)), np.nan)


@njit(cache=True, nogil=True)
def _add_cross(a, first, stop, base, indptr, indices, values, moments):
    # A feature's firings lie all over b, which no cache holds: without the prefetches, the kernel
    # waits for memory five sixths of its time.
    for i in range(first, stop):
        row, end = moments[i - first], a.stops[i]
        for k in range(a.starts[i], end):
            if k + 2 * AHEAD < end:
                prefetch(indptr, a.rows[k + 2 * AHEAD] - base)
            if k + AHEAD < end:
                place = indptr[a.rows[k + AHEAD] - base]
                for line in range(LINES):
                    prefetch(indices, place + line * LINE)
                    prefetch(values, place + line * LINE)
            value, token = np.float64(a.values[k]), a.rows[k] - base
            for j in range(indptr[token], indptr[token + 1]):
                row[indices[j]] += value * values[j]


@njit(cache=True, nogil=True)
def correlated(moments, rows, mean_a, scale_a, mean_b, scale_b, r):
    """Write Pearson's r (n, m_b) of some features of a with all of b.

    Args: their moments, means and 1/σ as `standardised` gives them, over so many rows.
    """
    for i in range(len(moments)):
        mean, scale = mean_a[i], scale_a[i]
        for j in range(len(mean_b)):
            one = (moments[i, j] / rows - mean * mean_b[j]) * (scale * scale_b[j])
            r[i, j] = 1.0 if one > 1 else -1.0 if one < -1 else one  # a NaN stays one
