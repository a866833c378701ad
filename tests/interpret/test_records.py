from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from featflow.config.interpreting import Records
from featflow.features.probe import Firings
from featflow.interpret import records
from featflow.interpret.records import levels, sample, window

from .planted import (
    CONTEXTUAL,
    HALF,
    LOOKUP,
    RARE,
    SILENT,
    TEXTS,
    TOKEN,
    corpora,
    firings_of,
    probe_of,
)

PARTS = corpora()
PROBE, FOUND = probe_of(PARTS), firings_of(PARTS)
DENSE = np.concatenate([part.dense for part in PARTS])
IDS = np.concatenate([part.ids[part.positions] for part in PARTS])


def frame(feature: int) -> pd.DataFrame:
    """Every row of the probe: its document, its token, what the feature does."""
    document = np.concatenate([part.source.documents + 1000 * i for i, part in enumerate(PARTS)])
    return pd.DataFrame({"document": document, "token": IDS, "value": DENSE[:, feature]})


def spied(monkeypatch, *arguments, **keywords):
    """A sample, and the rows of its records by the order of their making."""
    made, original = [], records._record

    def spy(probe, found, row, *rest):
        made.append(row)
        return original(probe, found, row, *rest)

    monkeypatch.setattr(records, "_record", spy)
    drawn = sample(*arguments, **keywords)
    sizes = [len(drawn.explain), len(drawn.top), len(drawn.interval), len(drawn.random)]
    return drawn, np.split(np.array(made, dtype=int), np.cumsum(sizes))


def test_firings_are_those_of_the_dumps():
    for feature, found in FOUND.items():
        rows = np.flatnonzero(DENSE[:, feature])
        assert found.rows.tolist() == rows.tolist()
        assert found.values.tolist() == DENSE[rows, feature].tolist()
    assert PROBE.counts.tolist() == np.bincount(IDS).tolist()
    assert PROBE.occurrences(TOKEN).tolist() == np.flatnonzero(IDS == TOKEN).tolist()
    expected = np.flatnonzero(np.isin(PROBE.documents, [3, 70]))
    assert PROBE.rows_of([70, 3]).tolist() == expected.tolist()


def test_a_window_is_a_run_of_tokens_of_one_document():
    place = np.concatenate([part.positions + 10**6 * i for i, part in enumerate(PARTS)])
    rng = np.random.default_rng(0)
    for row in rng.integers(0, len(PROBE), 400):
        start, stop = window(PROBE, int(row))
        assert start <= row < stop <= start + 64
        assert (np.diff(place[start:stop]) == 1).all()
        assert len(set(PROBE.documents[start:stop])) == 1
        run = np.flatnonzero(
            (PROBE.documents == PROBE.documents[row])
            & (place - np.arange(len(place)) == place[row] - row)
        )
        assert stop - start == min(64, len(run))
        before, after = row - start, stop - 1 - row
        if start > run[0] and stop <= run[-1]:  # not at an end of the run: in the middle
            assert (before, after) == (32, 31)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("feature", [LOOKUP, CONTEXTUAL, HALF])
def test_explain_and_score_share_no_document_and_no_text(monkeypatch, feature, seed):
    drawn, rows = spied(monkeypatch, PROBE, FOUND[feature], Records(), TEXTS, (seed, feature))
    explain, scored = rows[0], np.concatenate(rows[1:])
    documents = PROBE.documents
    assert not set(documents[explain]) & set(documents[scored])
    assert drawn.documents == set(documents[scored].tolist())
    windows = sorted(window(PROBE, int(row)) for row in [*explain, *scored])
    assert all(a[1] <= b[0] for a, b in pairwise(windows))
    assert len(drawn.explain) == 10 and len(drawn.random) == 10
    assert len(drawn.top) == len(drawn.interval) == 5
    for row, made in zip(explain, drawn.explain, strict=True):
        start, stop = window(PROBE, int(row))
        assert made.ids == tuple(IDS[start:stop].tolist())
        assert made.values == pytest.approx(DENSE[start:stop, feature].tolist())
        assert made.tokens == tuple(TEXTS[i] for i in made.ids)
        assert made.levels == tuple(levels(np.array(made.values), drawn.largest).tolist())


def test_top_records_are_the_strongest_documents_in_turn(monkeypatch):
    drawn, rows = spied(monkeypatch, PROBE, FOUND[HALF], Records(), TEXTS, (0, HALF))
    strongest = frame(HALF).sort_values("value", ascending=False).drop_duplicates("document")
    wanted = strongest.index[:10].tolist()
    assert rows[0][:5].tolist() == wanted[0::2]
    assert rows[1].tolist() == wanted[1::2]
    assert drawn.largest == max(max(r.values) for r in drawn.explain) == DENSE[wanted[0], HALF]


def test_interval_records_are_spread_over_the_range(monkeypatch):
    asked = Records(top=1, interval=10, random=1, same_token=0)
    rows = FOUND[LOOKUP].rows
    value = np.random.default_rng(0).uniform(0.001, 10, len(rows))
    found = Firings(rows, value)
    _, made = spied(monkeypatch, PROBE, found, asked, TEXTS, (1,))
    interval = np.concatenate([made[0][1:], made[2]])
    share = value[np.searchsorted(rows, interval)] / value.max()
    assert sorted(np.ceil(10 * share).astype(int)) == list(range(1, 11))
    # Each in turn: what explains and what scores alternate from the strongest down.
    scored, explain = (value[np.searchsorted(rows, part)] for part in (made[2], made[0][1:]))
    merged = [v for pair in zip(scored, explain, strict=True) for v in pair]
    assert merged == sorted(merged, reverse=True)


def test_empty_bins_are_filled_from_the_others(monkeypatch):
    asked = Records(top=1, interval=10, random=1, same_token=0)
    rows = FOUND[LOOKUP].rows
    value = np.where(np.arange(len(rows)) % 2, 0.11, 0.51)  # two bins of ten, and the largest
    value[0] = 1.0
    _, made = spied(monkeypatch, PROBE, Firings(rows, value), asked, TEXTS, (1,))
    drawn = value[np.searchsorted(rows, np.concatenate([made[0][1:], made[2]]))]
    assert sorted(drawn) == [0.11] * 5 + [0.51] * 5


def test_same_token_records_have_the_token_and_no_firing_on_it(monkeypatch):
    drawn, rows = spied(monkeypatch, PROBE, FOUND[HALF], Records(), TEXTS, (0, HALF))
    assert len(drawn.same_token) == 5
    assert (IDS[rows[4]] == TOKEN).all() and (DENSE[rows[4], HALF] == 0).all()
    always = sample(PROBE, FOUND[LOOKUP], Records(), TEXTS, (0, LOOKUP))
    assert always.same_token == ()  # it fires on every occurrence


def test_random_records_are_drawn_from_all_rows(monkeypatch):
    asked = Records(top=1, interval=1, random=40, same_token=0)
    rows = [
        spied(monkeypatch, PROBE, FOUND[HALF], asked, TEXTS, (seed, HALF))[1][3]
        for seed in range(20)
    ]
    found = np.concatenate(rows)
    assert len(found) == 800
    assert 0.45 < np.mean(found < len(PROBE) / 2) < 0.55
    assert abs(np.mean(IDS[found] == TOKEN) - np.mean(IDS == TOKEN)) < 0.02


def test_quantisation():
    values = np.array([0.0, 0.04, 0.06, 0.149, 0.151, 0.94, 0.96, 1.0, 1.7])
    assert levels(values, 1.0).tolist() == [0, 0, 1, 1, 2, 9, 10, 10, 10]
    assert levels(values * 37, 37.0).tolist() == levels(values, 1.0).tolist()


def test_too_little_to_draw_from():
    never = sample(PROBE, FOUND[SILENT], Records(), TEXTS, (0,))
    assert never.reason == "it never fires on the probe" and never.score == never.explain == ()
    rare = sample(PROBE, FOUND[RARE], Records(), TEXTS, (0,))
    assert rare.reason == "it fires in 3 of the probe's documents; records need 4"
    assert rare.score == ()


@pytest.mark.parametrize(("documents", "top", "interval"), [(4, 2, 2), (7, 3, 4), (15, 7, 8)])
def test_few_documents_are_shared_out(documents, top, interval):
    rows = FOUND[LOOKUP].rows
    kept = rows[np.isin(PROBE.documents[rows], np.unique(PROBE.documents[rows])[:documents])]
    found = Firings(kept, np.random.default_rng(0).uniform(1, 2, len(kept)))
    drawn = sample(PROBE, found, Records(), TEXTS, (0,))
    assert drawn.reason is None
    assert len(drawn.explain) + len(drawn.top) + len(drawn.interval) == documents
    assert len(drawn.top) == top // 2 and len(drawn.interval) == (interval + 1) // 2


def test_the_seed_decides():
    one, same, other = (
        sample(PROBE, FOUND[HALF], Records(), TEXTS, (seed, HALF)) for seed in (0, 0, 1)
    )
    assert one == same
    assert one.random != other.random and one.top == other.top
