"""A provider at work: it explains features and predicts what they do; its predictions are scored.

A question that was not answered is told apart from a score that is undefined, and neither is ever a
0. Where more than MISSING of the questions behind a score of a feature were not answered, the score
has failed; where fewer, it is that of the answered ones, and the reason says how many were not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from featflow.interpret.providers import Outcome, Provider
from featflow.interpret.records import Sample
from featflow.interpret.score import balanced_accuracy, contains, markings, simulation

MISSING = 0.25
"""The share of a feature's questions that may stay unanswered."""

SHOWN = 5
"""Records in one question of detection or fuzzing (Paulo et al. 2024)."""

SCORES = ("simulation", "detection", "fuzzing")
"""The first of them that is asked for decides the status."""

NUMBERS = ("pearson", "spearman", "pearson_top_random", "pearson_random", "detection", "fuzzing")
"""What a result may have."""

Question = list[tuple[Any, bool]]
"""Records, or marked ones, that are asked about together, and the right answers."""


@dataclass(frozen=True)
class Plan:
    """What is asked about a feature."""

    sample: Sample
    detection: list[Question]
    fuzzing: list[Question]


@dataclass
class Result:
    """What came of a feature's explanation."""

    explanation: str | None = None
    status: str = "ok"
    """ok, undefined (there is nothing to score it by) or failed (it was not answered)."""
    reasons: list[str] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    """Those of NUMBERS that there are."""
    category: str | None = None


def plan(sample: Sample, scores: Sequence[str], seed: Sequence[int]) -> Plan:
    """The questions about a feature.

    Args:
        sample: its records.
        scores: which to have, of SCORES.
        seed: of the order in which records are shown, and of wrong marks.
    """
    rng = np.random.default_rng([*seed, 1])
    detection, fuzzing = _detection(sample, rng), _fuzzing(sample, rng)
    return Plan(
        sample,
        detection if "detection" in scores else [],
        fuzzing if "fuzzing" in scores else [],
    )


def announce(provider: Provider, plans: Mapping[int, Plan], scores: Sequence[str]) -> None:
    """Tell a provider all that it is going to be asked."""
    nothing = dict.fromkeys(plans, "")
    provider.announce(
        _shown(plans),
        _simulations(plans, nothing) if "simulation" in scores else [],
        _items({f: p.detection for f, p in plans.items()}, nothing),
        _items({f: p.fuzzing for f, p in plans.items()}, nothing),
    )


def judge(
    provider: Provider, plans: Mapping[int, Plan], scores: Sequence[str]
) -> dict[int, Result]:
    """Explain features and score the explanations."""
    results = {feature: Result() for feature in plans}
    for feature, each in plans.items():
        if each.sample.reason:
            results[feature] = Result(status="undefined", reasons=[each.sample.reason])
    for feature, outcome in provider.explain(_shown(plans)).items():
        results[feature].explanation = outcome.value
        if outcome.value is None:
            results[feature].status = "failed"
            results[feature].reasons.append(f"explanation: {outcome.failure}")
    said = {f: r.explanation for f, r in results.items() if r.explanation is not None}
    explained = {feature: plans[feature] for feature in said}
    asked = [score for score in SCORES if score in scores]
    for score in asked:
        if score == "simulation":
            statuses = _simulate(provider, explained, said, results)
        else:
            statuses = _classify(score, provider, explained, said, results)
        if score == asked[0]:
            for feature, status in statuses.items():
                results[feature].status = status
    return results


def _shown(plans: Mapping[int, Plan]) -> dict[int, Sequence[Any]]:
    return {f: each.sample.explain for f, each in plans.items() if not each.sample.reason}


def _simulations(plans: Mapping[int, Plan], said: Mapping[int, str]) -> list[tuple[int, str, Any]]:
    return [(f, said[f], record) for f, each in plans.items() for record in each.sample.score]


def _items(
    questions: Mapping[int, list[Question]], said: Mapping[int, str]
) -> list[tuple[int, str, list[Any]]]:
    return [
        (feature, said[feature], [each for each, _ in question])
        for feature, asked in questions.items()
        for question in asked
    ]


def _simulate(
    provider: Provider,
    plans: Mapping[int, Plan],
    said: Mapping[int, str],
    results: Mapping[int, Result],
) -> dict[int, str]:
    """Add correlations to the results; the status of each feature's."""
    outcomes = iter(provider.simulate(_simulations(plans, said)))
    statuses = {}
    for feature, each in plans.items():
        found, result = _take(outcomes, each.sample.score), results[feature]
        answered = _answered("simulation", found, result)
        statuses[feature] = _correlate(each.sample, found, result) if answered else "failed"
    return statuses


def _correlate(sample: Sample, found: Sequence[Outcome[list[float]]], result: Result) -> str:
    """Correlations over all score records, and over those of Bills et al."""
    kinds = (sample.top, sample.interval, sample.random, sample.same_token)
    kind = [i for i, records in enumerate(kinds) for _ in records]
    known = [
        (i, record, outcome.value)
        for i, record, outcome in zip(kind, sample.score, found, strict=True)
        if outcome.value is not None
    ]

    def over(*which: int):
        part = [(record, value) for i, record, value in known if i in which]
        return simulation([record for record, _ in part], [value for _, value in part])

    r = over(0, 1, 2, 3)
    numbers = {
        "pearson": r.pearson,
        "spearman": r.spearman,
        "pearson_top_random": over(0, 2).pearson,
        "pearson_random": over(2).pearson,
    }
    result.numbers.update({name: value for name, value in numbers.items() if value is not None})
    if r.pearson is not None:
        return "ok"
    silent = not any(value for _, record, _ in known for value in record.values)
    what = "the activation" if silent else "the prediction"
    result.reasons.append(f"simulation: {what} is constant on the score records")
    return "undefined"


def _detection(sample: Sample, rng: np.random.Generator) -> list[Question]:
    known = [(r, truth) for r in sample.score if (truth := contains(r)) is not None]
    return _parts([known[i] for i in rng.permutation(len(known))])


def _fuzzing(sample: Sample, rng: np.random.Generator) -> list[Question]:
    """Each record twice, with right and with wrong marks, but never twice in one question."""
    both = [pair for record in sample.score if (pair := markings(record, rng))]
    order = rng.permutation(len(both)).tolist()
    halves: list[Question] = [
        [
            (both[i][0], True) if (place + turn) % 2 else (both[i][1], False)
            for place, i in enumerate(order)
        ]
        for turn in (0, 1)
    ]
    for half in halves:
        rng.shuffle(half)
    return [part for half in halves for part in _parts(half)]


def _parts(pairs: Question) -> list[Question]:
    return [pairs[i : i + SHOWN] for i in range(0, len(pairs), SHOWN)]


def _classify(
    score: str,
    provider: Provider,
    plans: Mapping[int, Plan],
    said: Mapping[int, str],
    results: Mapping[int, Result],
) -> dict[int, str]:
    """Add balanced accuracies of yes-or-no answers to the results; the status of each feature's."""
    questions = {f: getattr(each, score) for f, each in plans.items()}
    ask: Any = provider.detect if score == "detection" else provider.fuzz
    outcomes, statuses = iter(ask(_items(questions, said))), {}
    for feature, asked in questions.items():
        found, result = _take(outcomes, asked), results[feature]
        if not _answered(score, found, result):
            statuses[feature] = "failed"
            continue
        known = [(q, o.value) for q, o in zip(asked, found, strict=True) if o.value is not None]
        truth = [right for question, _ in known for _, right in question]
        accuracy = balanced_accuracy(truth, [answer for _, value in known for answer in value])
        statuses[feature] = "undefined" if accuracy is None else "ok"
        if accuracy is None:
            result.reasons.append(f"{score}: too few records of either kind")
        else:
            result.numbers[score] = accuracy
    return statuses


def _take(outcomes: Iterator[Outcome[Any]], asked: Sequence[Any]) -> list[Outcome[Any]]:
    """The outcomes of the next so many questions."""
    return list(islice(outcomes, len(asked)))


def _answered(score: str, found: Sequence[Outcome[Any]], result: Result) -> bool:
    """Whether enough questions of a feature were answered; the reason says what is missing."""
    failures = [outcome.failure for outcome in found if outcome.value is None]
    if failures:
        common = Counter(failures).most_common(1)[0][0]
        counts = f"{len(failures)} of {len(found)} questions"
        result.reasons.append(f"{score}: {counts} not answered, most of them: {common}")
    return len(failures) <= MISSING * len(found)
