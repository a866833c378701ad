"""Where a feature fires: the rows that its page shows, and the tokens around them.

Of the largest activations alone one learns little of what a feature does most of the time; so the
range of its activation is cut into equal intervals, and rows are drawn from each (Bricken et al.
2023, "Feature intervals").
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from featflow.config.exploring import Explorer
from featflow.features.columns import Columns, by_blocks, within
from featflow.features.probe import Probe
from featflow.features.ranking import top_rows
from featflow.report.dashboard.activity import bin_of

TOP = -1
"""In the place of an interval: the largest activations."""

SEED = 0
"""What rows are drawn by: the same for every dictionary."""


class Chosen(NamedTuple):
    """The n rows that are shown, by feature: the top first, then the intervals from above."""

    feature: np.ndarray
    """(n,) int64, ascending."""
    interval: np.ndarray
    """(n,) int64: from 0 on, or TOP."""
    row: np.ndarray
    """(n,) int64, of the probe."""


class Contexts(NamedTuple):
    """The tokens around n rows, one context after another."""

    corpus: np.ndarray
    """(n,) int64."""
    document: np.ndarray
    """(n,) int64: its number in the corpus."""
    position: np.ndarray
    """(n,) int64: the row's place in the corpus's stream."""
    at: np.ndarray
    """(n,) int64: which of the context's tokens it is."""
    edges: np.ndarray
    """(n + 1,) int64: context i has the tokens edges[i] … edges[i + 1] − 1."""
    ids: np.ndarray
    """(L,) int32: token ids."""
    rows: np.ndarray
    """(L,) int64: of the probe; −1: the token is none of it."""


def chosen(
    columns: Columns,
    document: np.ndarray,
    settings: Explorer,
    first: Sequence[range] = (),
    then: Sequence[range] = (),
) -> Chosen:
    """Which rows of each feature are shown.

    Args:
        columns: the activations, m features.
        document: (T,) the document of each row, ascending.
        settings: how many.
        first: the rows of the corpora on which the features are judged (none: all rows are).
        then: those of the others.

    Returns:
        `top` rows of the largest activations, each of another document: as many as there are of
        `first`, strongest first, before any of `then`. Then, with K intervals,
        interval i being (i · max / K, (i + 1) · max / K], `per_interval` rows of each, drawn at
        random, of different documents as far as there are such. A row may be among both.
    """
    count = len(columns.starts)
    parts = [part for part in (first or [range(len(document))], then) if part]
    tops = np.concatenate([_top(columns, document, settings.top, part) for part in parts], axis=1)
    there = np.argsort(tops < 0, axis=1, kind="stable")[:, : settings.top]
    top = np.take_along_axis(tops, there, axis=1)
    shape = count, settings.intervals, settings.per_interval
    drawn = np.full(shape, -1)
    by_blocks(lambda first, stop: _draw(columns, first, stop, document, SEED, drawn), count)
    rows = np.concatenate([top, drawn[:, ::-1].reshape(count, -1)], axis=1)
    of = np.repeat(np.arange(settings.intervals)[::-1], settings.per_interval)
    intervals = np.concatenate([np.full(settings.top, TOP), of])
    feature, rank = np.nonzero(rows >= 0)
    return Chosen(feature, intervals[rank], rows[feature, rank])


def _top(columns: Columns, document: np.ndarray, count: int, ranges: Sequence[range]) -> np.ndarray:
    """The strongest rows of each feature within some ranges: (m, k), −1 where there is none."""
    found = [top_rows(within(columns, rows), document, count) for rows in ranges]
    rows, values = (np.concatenate(each, axis=1) for each in zip(*found, strict=True))
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(rows, order, axis=1)


def contexts(probe: Probe, rows: np.ndarray, around: int) -> Contexts:
    """The tokens around some rows: `around` before, half as many after, none of another document.

    Args:
        probe: what lies at the rows.
        rows: (n,) of the probe.
        around: tokens before the row's.
    """
    corpus = probe.corpus_of(rows)
    position, document = probe.positions[rows], np.zeros(len(rows), np.int64)
    low, high = np.zeros((2, len(rows)), np.int64)
    for c, stream in enumerate(probe.streams):
        mine = corpus == c
        at, starts = position[mine], stream.document_starts
        document[mine] = number = np.searchsorted(starts, at, side="right") - 1
        ends = np.append(starts[1:], len(stream.ids))
        low[mine] = np.maximum(at - around, starts[number])
        high[mine] = np.minimum(at + around // 2 + 1, ends[number])
    edges = np.concatenate([[0], np.cumsum(high - low)])
    flat = np.arange(edges[-1]) + np.repeat(low - edges[:-1], high - low)
    ids, there = np.zeros(len(flat), np.int32), np.full(len(flat), -1)
    where = np.repeat(corpus, high - low)
    for c, stream in enumerate(probe.streams):
        mine = where == c
        ids[mine] = stream.ids[flat[mine]]
        there[mine] = _rows_at(probe, c, flat[mine])
    return Contexts(corpus, document, position, position - low, edges, ids, there)


def _rows_at(probe: Probe, corpus: int, positions: np.ndarray) -> np.ndarray:
    """The rows of the probe at positions of a corpus's stream; −1 where there is none."""
    first, stop = probe.offsets[corpus : corpus + 2]
    known = np.append(probe.positions[first:stop], -1)
    found = np.searchsorted(known[:-1], positions)
    return np.where(known[found] == positions, first + found, -1)


def values(columns: Columns, feature: np.ndarray, found: Contexts) -> np.ndarray:
    """Activations on the contexts' tokens: (L,) float32, NaN where a token is no row of the probe.

    Args:
        columns: of the dictionary that is asked.
        feature: (n,) its feature in each context; −1: none, which gives zeros.
        found: the contexts.
    """
    values = np.where(found.rows < 0, np.float32(np.nan), np.float32(0))
    by_blocks(
        lambda first, stop: _values(columns, first, stop, feature, found.edges, found.rows, values),
        len(feature),
        4096,
    )
    return values


@njit(cache=True, nogil=True)
def _values(columns, first, stop, feature, edges, rows, values):
    for i in range(first, stop):
        if feature[i] < 0:
            continue
        k, end = columns.starts[feature[i]], columns.stops[feature[i]]
        begun = False
        for t in range(edges[i], edges[i + 1]):  # rows ascend, those that are none aside
            if rows[t] < 0:
                continue
            if not begun:
                k += np.searchsorted(columns.rows[k:end], rows[t])
                begun = True
            while k < end and columns.rows[k] < rows[t]:
                k += 1
            if k < end and columns.rows[k] == rows[t]:
                values[t] = columns.values[k]


@njit(cache=True, nogil=True)
def _draw(columns, first, stop, document, seed, drawn):
    """Draw rows of each interval: those with the smallest random numbers, a document's smallest."""
    count, wanted = drawn.shape[1:]
    if count * wanted == 0:
        return
    last = np.uint64(0xFFFFFFFFFFFFFFFF)
    for i in range(first, stop):
        highest = np.float32(0)
        for k in range(columns.starts[i], columns.stops[i]):
            highest = max(highest, columns.values[k])
        apart = np.full((count, wanted), -1)  # rows of different documents
        apart_by = np.full((count, wanted), last)
        any_rows, any_by = apart.copy(), apart_by.copy()
        open_rows, open_by = np.full(count, -1), np.full(count, last)  # of the document being read
        for k in range(columns.starts[i], columns.stops[i]):
            row = columns.rows[k]
            if k > columns.starts[i] and document[row] != document[columns.rows[k - 1]]:
                _close(open_rows, open_by, apart, apart_by)
            interval = bin_of(columns.values[k], highest, count)
            number = _random(seed, i, row)
            _insert(any_rows[interval], any_by[interval], row, number)
            if open_rows[interval] < 0 or number < open_by[interval]:
                open_rows[interval], open_by[interval] = row, number
        _close(open_rows, open_by, apart, apart_by)
        for interval in range(count):
            _fill(apart[interval], any_rows[interval], drawn[i, interval])


@njit(cache=True, nogil=True)
def _random(seed, feature, row):
    """A random number for a row of a feature (splitmix64, Steele et al. 2014)."""
    state = np.uint64(seed) + np.uint64(feature) * np.uint64(0x9E3779B97F4A7C15)
    for number in (np.uint64(row), np.uint64(0)):
        state += number + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


@njit(cache=True, nogil=True)
def _close(open_rows, open_by, apart, apart_by):
    """A document is read: its rows, one an interval, are candidates."""
    for interval in range(len(open_rows)):
        if open_rows[interval] >= 0:
            _insert(apart[interval], apart_by[interval], open_rows[interval], open_by[interval])
            open_rows[interval] = -1


@njit(cache=True, nogil=True)
def _insert(rows, by, row, number):
    place = len(rows)
    while place > 0 and (rows[place - 1] < 0 or number < by[place - 1]):
        place -= 1
    for k in range(len(rows) - 1, place, -1):
        rows[k], by[k] = rows[k - 1], by[k - 1]
    if place < len(rows):
        rows[place], by[place] = row, number


@njit(cache=True, nogil=True)
def _fill(apart, others, drawn):
    """Rows of different documents, then others until there are enough."""
    count = 0
    for row in apart:
        if row >= 0:
            drawn[count] = row
            count += 1
    for row in others:
        if row >= 0 and count < len(drawn) and not np.any(drawn[:count] == row):
            drawn[count] = row
            count += 1
