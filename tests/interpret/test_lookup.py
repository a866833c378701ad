from pathlib import Path

import numpy as np
import pytest

from featflow.config.interpreting import Lookup, Records
from featflow.interpret.judge import judge, plan
from featflow.interpret.providers import Marked
from featflow.interpret.providers.lookup import LookupProvider, fit_probe, fit_records, make
from featflow.interpret.records import sample

from .planted import (
    CONTEXTUAL,
    HALF,
    LOOKUP,
    NEXT,
    SHUFFLED,
    TEXTS,
    TOKEN,
    VOCABULARY,
    corpora,
    firings_of,
    probe_of,
    record,
)

PARTS = corpora()
PROBE, FOUND = probe_of(PARTS), firings_of(PARTS)
SCORES = ["simulation", "detection", "fuzzing"]


def results(feature: int, seed: int):
    """By lookup and by lookup_probe."""
    drawn = sample(PROBE, FOUND[feature], Records(), TEXTS, (seed, feature))
    plans = {feature: plan(drawn, SCORES, (seed, feature))}
    table = fit_probe(PROBE, FOUND[feature], drawn.documents, drawn.largest)
    providers = LookupProvider(), LookupProvider({feature: table}, dict(enumerate(TEXTS)))
    return [judge(provider, plans, SCORES)[feature] for provider in providers]


@pytest.mark.parametrize("seed", range(10))
def test_a_feature_of_one_token_is_predicted_and_a_shuffled_one_is_not(seed):
    for result in results(LOOKUP, seed):
        assert result.status == "ok" and result.numbers["pearson"] > 0.9
        assert result.numbers["fuzzing"] == 1
        assert result.numbers.get("detection") in (None, 1)  # few records are without the token
        assert result.explanation == f"fires on: 'w{TOKEN}'"
    for result in results(SHUFFLED, seed):
        assert result.numbers["pearson"] < 0.1
        assert result.numbers["fuzzing"] < 0.7


def test_what_depends_on_the_context_is_predicted_in_part():
    by_records, by_probe = results(CONTEXTUAL, 0)
    for result in (by_records, by_probe):
        assert 0.3 < result.numbers["pearson"] < 0.9
        assert result.explanation == f"fires on: 'w{NEXT}'"


def test_the_fit_on_records_is_the_mean_per_token():
    rng = np.random.default_rng(0)
    shown = []
    for _ in range(6):
        ids = rng.integers(0, VOCABULARY, 30).tolist()
        values = np.maximum(rng.normal(0, 1, 30), 0).tolist()
        shown.append(record(ids, values, 4.0))
    pairs = [pair for r in shown for pair in zip(r.ids, r.values, strict=True)]
    largest = max(value for _, value in pairs)
    table = fit_records(shown)
    for token in range(VOCABULARY):
        values = [value for i, value in pairs if i == token]
        mean = 10 * sum(values) / len(values) / largest if values else 0
        assert table.predict([token]) == [pytest.approx(mean)]


@pytest.mark.parametrize("feature", [LOOKUP, HALF, CONTEXTUAL, SHUFFLED])
def test_the_fit_on_the_probe_leaves_the_scored_documents_out(feature):
    dense = np.concatenate([part.dense[:, feature] for part in PARTS]).astype(np.float64)
    document, offset = [], 0
    for part in PARTS:
        document += (part.source.documents + offset).tolist()
        offset += 60
    without = frozenset({0, 4, 17, 61, 119})
    keep = ~np.isin(document, list(without))
    table = fit_probe(PROBE, FOUND[feature], without, 4.0)
    for token in range(VOCABULARY):
        values = dense[keep & (PROBE.tokens == token)]
        expected = 2.5 * values.mean() if len(values) else 0
        assert table.predict([token]) == [pytest.approx(expected, abs=1e-12)]


def test_a_token_that_was_not_seen_is_predicted_silent():
    table = fit_records([record([1, 2, 1], [4.0, 1.0, 0.0])])
    assert table.predict([1, 2, 3]) == [5.0, 2.5, 0.0]


def test_nothing_outside_the_scored_documents():
    everywhere = frozenset(PROBE.documents.tolist())
    table = fit_probe(PROBE, FOUND[LOOKUP], everywhere, 4.0)
    assert table.predict([TOKEN]) == [0.0]
    assert table.explanation({}) == "fires on no token that was seen"


def test_an_explanation_names_tokens_by_mean_times_count_and_escapes_them():
    texts = {1: " =", 2: "\n", 3: "\u202e<b>", 4: "d"}
    shown = record([1, 1, 1, 2, 3, 4], [2.0, 2.0, 2.0, 5.0, 1.0, 0.1])
    said = fit_records([shown]).explanation(texts)
    assert said == "fires on: ' =', '\\n', '\\u202e<b>'"  # 'd' has under a fiftieth


def test_detection_and_marks_go_by_the_predicted_level():
    provider = LookupProvider()
    provider.explain({5: [record([1, 2, 3], [10.0, 0.9, 0.0])]})
    absent, weak, strong = (
        record(ids, [0.0] * 3, 1.0) for ids in ([3, 4, 4], [2, 3, 4], [1, 3, 4])
    )
    (found,) = provider.detect([(5, "", [absent, weak, strong])])
    assert found.value == [False, False, True]
    marks = [Marked(strong, (0,)), Marked(strong, (1, 2)), Marked(strong, (0, 1, 2))]
    (found,) = provider.fuzz([(5, "", marks)])
    assert found.value == [True, False, True]  # (10 + 0 + 0) / 3 is a level of one or more


def test_it_names_no_category_and_keeps_no_files(tmp_path: Path):
    provider = make(Lookup(kind="lookup"), tmp_path)
    assert provider.name == "lookup"
    (found,) = provider.categorise([(0, "fires on: 'a'", ["words", "other"])])
    assert found.value is None and "lookup" in found.failure
    assert list(tmp_path.iterdir()) == []
