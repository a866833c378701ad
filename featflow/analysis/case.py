"""Stage `case`: a feature found by what it fires on, and followed through the lineage.

In the model of the case, among the living features that a reseed also finds, the one with the best
F1 for the tokens of the case (evidence.py); in every other model its partner, link by link
(tracing.py); what became of it there (verdicts.py); and passages of the probe on which it fires
(passages.py). What each reseed finds of it is followed likewise, and so is the feature with the
best F1 where that is another one: a verdict stands beside its range. docs/cases.md says how to read
it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from featflow.analysis import evidence
from featflow.analysis.choice import Chosen, choose
from featflow.analysis.evidence import MEASURES, measures, rounded, specific
from featflow.analysis.passages import passage, strongest
from featflow.analysis.tracing import Look, Place, follow, links, reseed_links
from featflow.analysis.verdicts import (
    function_sentence,
    functions,
    link_of,
    sentence,
    told,
    verdicts,
)
from featflow.artifacts.io import load_table, save_json
from featflow.artifacts.provenance import Provenance
from featflow.data.tokenizer import load
from featflow.features.moments import pearson
from featflow.features.probe import (
    Activations,
    Probe,
    check_model,
    check_rows,
    firings,
    read_activations,
    read_probe,
)
from featflow.plan.stages.analysis import CaseSlice
from featflow.runtime.log import log, progress

ASKED_FOR = "another was asked for by its number"
"""Why the feature with the best F1 is not the one that is followed."""

RUNNERS_UP = 5
"""Other features of the first model that are reported."""


class Followed(NamedTuple):
    """A dictionary's features on the probe."""

    columns: dict[int, np.ndarray]
    """(T,) float32 of each of its features that was followed."""
    best: dict[str, Any] | None
    """Its own feature with the best F1, whatever it is a partner of."""
    measures: dict[int, dict[str, Any]]
    """How well each of those features marks the tokens."""


class Trace(NamedTuple):
    """A feature of the model of the case, or of a reseed there, and where it is in each model."""

    places: dict[str, Place]
    verdicts: dict[str, str]

    def fates(self) -> dict[str, dict[str, Any]]:
        """By model: feature, r of the link that leads there, and the verdict."""
        return {
            m: {
                "feature": place.feature,
                "link_r": None if (link := link_of(place)) is None else link.r,
                "verdict": self.verdicts[m],
            }
            for m, place in self.places.items()
        }


class Traces(NamedTuple):
    """What became of all features that are followed."""

    chosen: Trace
    best: Trace
    """Of the feature with the best F1."""
    reseeds: dict[str, Trace]
    """Of the chosen one's partner in each reseed that has one."""


class Dictionaries(NamedTuple):
    """What the followed features do in each dictionary."""

    models: dict[str, Followed]
    reseeds: dict[str, Followed]
    """Of the model of the case."""


def run(
    cfg: CaseSlice,
    *,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    output: Path,
    flow: Path | None = None,
    shares: Path | None = None,
    reseeds: Sequence[Path] = (),
    neighbours: Sequence[Path] = (),
) -> None:
    """A feature found by what it fires on, and followed through the lineage.

    Args:
        dumps: of each of `cfg.models`, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        output: the case, as JSON.
        flow: the fate of every feature.
        shares: the model's own SAE compared with its reseeds.
        reseeds: dumps of each of `cfg.reseeds`, its corpora in their order.
        neighbours: the model's SAEs compared with those at the other end of each of
            `cfg.neighbours`.

    Raises:
        FeatflowError: when the tokens of the case are not in the vocabulary or never on the probe,
            when no feature fires on them, or when the feature asked for never fires.
        ArtifactError: when a file is unreadable, or of another model or other tokens.
    """
    inputs = [*dumps, *tokens, tokenizer, *(path for path in (flow, shares) if path is not None)]
    provenance = Provenance("case", cfg, [*inputs, *reseeds, *neighbours])
    found = study(
        cfg,
        dumps=dumps,
        tokens=tokens,
        tokenizer=tokenizer,
        flow=flow,
        shares=shares,
        reseeds=reseeds,
        neighbours=neighbours,
    )
    save_json(output, found, provenance)
    for line in said(found):
        log.info(line)


def study(
    cfg: CaseSlice,
    *,
    dumps: Sequence[Path],
    tokens: Sequence[Path],
    tokenizer: Path,
    flow: Path | None = None,
    shares: Path | None = None,
    reseeds: Sequence[Path] = (),
    neighbours: Sequence[Path] = (),
    runners_up: int = RUNNERS_UP,
    where: str | None = None,
) -> dict[str, Any]:
    """All that is said of a case: what `run` writes (plan/stages/analysis.py has the keys).

    Args:
        cfg, dumps, tokens, tokenizer, flow, shares, reseeds, neighbours: as for `run`.
        runners_up: how many other features of the first model to report.
        where: what messages call the query (None: the key of the case).

    Raises:
        FeatflowError, ArtifactError: as `run`.
    """
    files = _by_name(cfg.models, dumps, cfg)
    first = _dictionary(cfg, cfg.model, files[cfg.model])
    probe, words = read_probe(first, tokens), load(tokenizer)
    where = where or f"studies.{cfg.study}.cases.{cfg.case}"
    chosen = choose(cfg, first.matrices, probe, words, shares, where)
    look = links(flow, cfg.flow.threshold)
    places = follow(cfg.models, cfg.model, chosen.feature, look)
    best = follow(cfg.models, cfg.model, chosen.best, look)
    seeds = _follow_reseeds(cfg, chosen, look, neighbours)
    wanted = _features(cfg, [places, best], list(seeds.values()))
    followed = {
        name: _followed(_dictionary(cfg, name, files[name], first), features, chosen, probe, cfg)
        for name, features in progress(wanted.items(), "models")
    }
    partners = chosen.partners_of(chosen.feature)
    of_reseeds = {
        name: _followed(
            _dictionary(cfg, cfg.model, own, first),
            _known([partners.get(name)]),
            chosen,
            probe,
            cfg,
        )
        for name, own in _by_name(cfg.reseeds, reseeds, cfg).items()
    }
    traces = Traces(
        _judged(cfg, places, followed, followed[cfg.model]),
        _judged(cfg, best, followed, followed[cfg.model]),
        {name: _judged(cfg, seeds[name], followed, of_reseeds[name]) for name in seeds},
    )
    dictionaries = Dictionaries(followed, of_reseeds)
    return _content(cfg, chosen, traces, dictionaries, probe, words, runners_up)


def _known(features: Iterable[int | None]) -> set[int]:
    return {feature for feature in features if feature is not None}


def _features(
    cfg: CaseSlice, own: list[dict[str, Place]], seeds: list[dict[str, Place]]
) -> dict[str, set[int]]:
    """Which features of each model are followed.

    Args:
        cfg: the slice.
        own: where features of the model's SAE are.
        seeds: where features of its reseeds are, whose numbers there are the reseeds' own.
    """
    return {
        m: _known(places[m].feature for places in (own if m == cfg.model else [*own, *seeds]))
        for m in cfg.models
    }


def _by_name(names: Iterable[str], files: Sequence[Path], cfg: CaseSlice) -> dict[str, list[Path]]:
    """The dumps of each model, or SAE: its corpora in their order."""
    size = len(cfg.corpora)
    return {name: list(files[i * size : (i + 1) * size]) for i, name in enumerate(names)}


def _follow_reseeds(
    cfg: CaseSlice, chosen: Chosen, look: Look, neighbours: Sequence[Path]
) -> dict[str, dict[str, Place]]:
    """Where the partner of the chosen feature in each reseed is in every model."""
    tables = dict(zip(cfg.neighbours, neighbours, strict=True))
    partners = chosen.partners_of(chosen.feature)
    judged = {edge: _of_reseeds(cfg, edge, file) for edge, file in tables.items() if partners}
    found = {}
    for name, partner in partners.items():
        own = {edge: table[table["reseed"] == name] for edge, table in judged.items()}
        its_look = reseed_links(look, cfg.model, own, cfg.flow)
        found[name] = follow(cfg.models, cfg.model, partner, its_look)
    return found


def _of_reseeds(cfg: CaseSlice, edge: tuple[str, str], file: Path) -> pd.DataFrame:
    """What an edge's shares table says of the reseeds' features, on the scope of the flow.

    Raises:
        ArtifactError: when it cannot be read.
    """
    names = ("a", "b", "domain", "side", "feature", "partner", "r", "firings", "documents")
    table = load_table(file, *names)
    mine, theirs = ("a", "b") if edge[0] == cfg.model else ("b", "a")
    table = table[(table[theirs] == cfg.sae) & (table["domain"] == cfg.flow.scope)]
    table = table[(table["side"] == mine) & table[mine].isin(cfg.reseeds)]
    return table.rename(columns={mine: "reseed"})


def _dictionary(
    cfg: CaseSlice, model: str, files: Sequence[Path], first: Activations | None = None
) -> Activations:
    """The activations of one of a model's SAEs, on the rows of the first dictionary's.

    Raises:
        ArtifactError: when a dump is unreadable, another model's, or of other rows.
    """
    check_model(model, files)
    found = read_activations(cfg.corpora, files)
    if first is not None:
        check_rows(first, found)
    return found


def _followed(
    found: Activations,
    features: Iterable[int],
    chosen: Chosen,
    probe: Probe,
    cfg: CaseSlice,
) -> Followed:
    """What some features of a dictionary do, and its own best one."""
    counts = evidence.count(found.matrices, probe.split(chosen.marks.rows))
    best = counts.ranked(counts.fired >= cfg.flow.min_firings, 1)
    where = firings(found.matrices, sorted(features))
    columns = {f: fired.dense(len(probe)) for f, fired in where.items()}
    marks = {f: measures(evidence.count_one(v, chosen.marks.rows), 0) for f, v in columns.items()}
    return Followed(
        columns,
        measures(counts, best[0]) if best else None,
        {f: {**mark, "feature": f} for f, mark in marks.items()},
    )


def _judged(
    cfg: CaseSlice,
    places: dict[str, Place],
    followed: Mapping[str, Followed],
    at_origin: Followed,
) -> Trace:
    """What became of a feature.

    Args:
        cfg: the slice.
        places: where it is.
        followed: the models' dictionaries.
        at_origin: the dictionary in which it was found.
    """
    values = _values(cfg, places, followed, at_origin)
    r = _pearson(list(places), values)[list(places).index(cfg.model)]
    with_first = dict(zip(places, r, strict=True))
    return Trace(places, verdicts(places, cfg.model, with_first, cfg.flow.threshold))


def _values(
    cfg: CaseSlice,
    places: Mapping[str, Place],
    followed: Mapping[str, Followed],
    at_origin: Followed,
) -> dict[str, np.ndarray]:
    """The activations of each model's feature, where it has one."""
    return {
        m: (at_origin if m == cfg.model else followed[m]).columns[place.feature]
        for m, place in places.items()
        if place.feature is not None
    }


def _content(
    cfg: CaseSlice,
    chosen: Chosen,
    traces: Traces,
    dictionaries: Dictionaries,
    probe: Probe,
    words: Tokenizer,
    runners_up: int,
) -> dict[str, Any]:
    places, marked = traces.chosen.places, chosen.marks.rows
    values = _values(cfg, places, dictionaries.models, dictionaries.models[cfg.model])
    r = _pearson(list(places), values)
    others = [x for i, row in enumerate(r) for x in row[:i] if x is not None]
    return {
        **_asked(cfg, chosen, probe),
        "choice": chosen.choice,
        "reseeds": {
            name: _reseed(
                r_of, dictionaries.reseeds[name], traces.reseeds.get(name), model=cfg.model
            )
            for name, r_of in _reseeds(chosen, chosen.feature).items()
        },
        "best_marking": _best_marking(cfg, chosen, traces.best),
        "runners_up": [
            {**measures(chosen.counts, f), "reseed_r": rounded(chosen.reseed_r(f))}
            for f in chosen.ranking[1 : runners_up + 1]
        ],
        "r": {"models": list(places), "matrix": r},
        "mean_r": rounded(np.mean(others)) if others else None,
        **_became(cfg, chosen, traces, dictionaries, values),
        **_passages(cfg, traces.chosen.verdicts, values, marked, probe, words),
    }


def _asked(cfg: CaseSlice, chosen: Chosen, probe: Probe) -> dict[str, Any]:
    """What was asked for, where, and by which rule."""
    marked, probability = chosen.marks.rows, chosen.counts.probability
    return {
        "case": cfg.case,
        "query": _query(cfg, chosen),
        "ids": chosen.marks.ids,
        "model": cfg.model,
        "sae": cfg.sae,
        "feature": chosen.feature,
        "threshold": cfg.flow.threshold,
        "scope": cfg.flow.scope,
        "judged_on": cfg.scope,
        "probe": {"corpora": probe.corpora, "tokens": len(marked), "marked": int(marked.sum())},
        "probability": rounded(probability),
        "cap": rounded(-np.log(probability)),
    }


def _became(
    cfg: CaseSlice,
    chosen: Chosen,
    traces: Traces,
    dictionaries: Dictionaries,
    values: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What became of the feature, and of its function, in each model and in a sentence each.

    Args:
        cfg: the slice.
        chosen: the feature.
        traces: where it is.
        dictionaries: what marks the tokens in each.
        values: the activations of each model's feature.
    """
    places, verdict = traces.chosen.places, traces.chosen.verdicts
    best = {m: followed.best for m, followed in dictionaries.models.items()}
    numbers = {m: int(mark["feature"]) for m, mark in best.items() if mark is not None}
    best_f1 = {m: None if mark is None else mark["f1"] for m, mark in best.items()}
    seeds_f1 = [0.0 if f.best is None else f.best["f1"] for f in dictionaries.reseeds.values()]
    function = functions(best_f1, cfg.model, seeds_f1)
    fates = {name: trace.fates() for name, trace in traces.reseeds.items()}
    reseeds, f1 = _reseeds(chosen, chosen.feature), float(chosen.counts.f1[chosen.feature])
    return {
        "models": {
            m: {
                **_measured(values.get(m), values[cfg.model], chosen.marks.rows),
                **told(place),
                "reseed_r": rounded(chosen.reseed_r(chosen.feature)) if m == cfg.model else None,
                "best": best[m],
                "verdict": verdict[m],
                "function": function[m],
            }
            for m, place in places.items()
        },
        "verdict": sentence(verdict, places, reseeds, f1, numbers, fates),
        "function": function_sentence(function, best_f1, cfg.model, seeds_f1),
    }


def _reseed(r: float | None, followed: Followed, trace: Trace | None, model: str) -> dict[str, Any]:
    """What a reseed has of the feature: its partner there, how that marks, what became of it."""
    best = followed.best
    if trace is None:
        nothing = dict.fromkeys(("feature", "firings", *MEASURES))
        return {"r": r, **nothing, "best": best, "models": None}
    number = trace.places[model].feature
    assert number is not None  # it begins there
    return {"r": r, **followed.measures[number], "best": best, "models": trace.fates()}


def _best_marking(cfg: CaseSlice, chosen: Chosen, trace: Trace) -> dict[str, Any] | None:
    """The feature with the best F1, why it is not the one that is followed, and its own fate."""
    if chosen.best == chosen.feature:
        return None
    reseeds = _reseeds(chosen, chosen.best)
    found = " and ".join("–" if r is None else f"{r:.2f}" for r in reseeds.values())
    why = f"no reseed finds it at r > {cfg.flow.threshold:g} ({found})"
    return {
        **measures(chosen.counts, chosen.best),
        "reseed_r": rounded(chosen.reseed_r(chosen.best)),
        "reseeds": reseeds,
        "why": ASKED_FOR if cfg.settings.feature is not None else why,
        "models": trace.fates(),
    }


def _passages(
    cfg: CaseSlice,
    found: Mapping[str, str],
    values: Mapping[str, np.ndarray],
    marked: np.ndarray,
    probe: Probe,
    words: Tokenizer,
) -> dict[str, Any]:
    """Where the first feature is strongest on S; where a nearest miss is, and the first silent."""
    first, count = values[cfg.model], cfg.settings.passages
    shown = partial(
        passage, probe=probe, marks=marked, activations=values, tokenizer=words, scope=cfg.scope
    )
    return {
        "passages": [shown(row) for row in strongest(first * marked, probe, count, cfg.scope)],
        "misses": [
            {"model": m, **shown(row)}
            for m in values
            if found[m] == "vanishes"
            for row in strongest(values[m] * (first == 0), probe, count, cfg.scope)
        ],
    }


def _measured(values: np.ndarray | None, first: np.ndarray, marked: np.ndarray) -> dict[str, Any]:
    """How well a model's feature marks the tokens; None throughout where it has none."""
    if values is None:
        return {**dict.fromkeys(("firings", *MEASURES)), **specific(values, marked, first)}
    return {
        **measures(evidence.count_one(values, marked), 0),
        **specific(values, marked, first),
    }


def _query(cfg: CaseSlice, chosen: Chosen) -> dict[str, Any]:
    given = cfg.settings.model_dump(include={"tokens", "text", "feature"}, exclude_none=True)
    return {**given, "marks": chosen.marks.texts}


def _reseeds(chosen: Chosen, feature: int) -> dict[str, float | None]:
    return {name: rounded(r) for name, r in chosen.reseeds_of(feature).items()}


def _pearson(models: list[str], values: Mapping[str, np.ndarray]) -> list[list[float | None]]:
    """r of each two models' features on the whole probe; None where there is none."""
    r = np.full((len(models), len(models)), np.nan)
    if there := [i for i, m in enumerate(models) if m in values]:
        features = csr_array(np.stack([values[models[i]] for i in there], axis=1))
        r[np.ix_(there, there)] = pearson(features, features)[0]
    return [[rounded(x) for x in row] for row in r]


def said(case: Mapping[str, Any]) -> list[str]:
    """A case in lines: what was found, and what became of it."""
    first = case["models"][case["model"]]
    marks = ", ".join(map(repr, case["query"]["marks"]))
    best = case["best_marking"]
    other = []
    if best is not None:
        other = [f"feature {best['feature']} marks them better, F1 {best['f1']:.3f}: {best['why']}"]
    return [
        f"{case['model']}.{case['sae']} feature {case['feature']} marks {marks}: F1 "
        f"{first['f1']:.3f}, precision {first['precision']:.3f}, recall {first['recall']:.3f}, "
        f"mass {first['mass']:.3f}, LLR {first['llr']:.2f} of at most {case['cap']:.2f}",
        f"chosen among {case['choice']['candidates']:,} features: {case['choice']['rule']}",
        *other,
        f"the feature: {case['verdict']}",
        f"the function: {case['function']}",
    ]
