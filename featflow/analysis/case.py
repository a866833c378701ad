"""Stage `case`: a feature found by what it fires on, and followed through the lineage.

In the model of the case, among the living features that a reseed also finds, the one with the best
F1 for the tokens of the case (evidence.py); in every other model its partner, link by link
(tracing.py); what became of it there (verdicts.py); and passages of the probe on which it fires
(passages.py). docs/cases.md says how to read it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from featflow.analysis import evidence
from featflow.analysis.choice import Chosen, choose
from featflow.analysis.evidence import MEASURES, measures, rounded, specific
from featflow.analysis.passages import passage, strongest
from featflow.analysis.probe import Probe, column, dumps_of, probe_of
from featflow.analysis.tracing import Place, follow, links
from featflow.analysis.verdicts import sentence, told, verdicts
from featflow.core.artifacts import save_json
from featflow.core.provenance import Provenance
from featflow.core.runtime import log, progress
from featflow.core.slices import CaseSlice
from featflow.data.tokenizer import load
from featflow.features.moments import pearson

RUNNERS_UP = 5
"""Other features of the first model that are reported."""


class Followed(NamedTuple):
    """A model's feature on the probe."""

    values: np.ndarray
    """(T,) float32, 0 throughout where the model has no such feature."""
    own: dict[str, Any] | None
    """The model's own feature with the best F1, whatever it is a partner of."""


def run(
    cfg: CaseSlice,
    *,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    output: Path,
    flow: Path | None = None,
    shares: Path | None = None,
) -> None:
    """A feature found by what it fires on, and followed through the lineage.

    Args:
        dumps: of each of `cfg.models`, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        output: the case, as JSON.
        flow: the fate of every feature.
        shares: the model's own SAE compared with its reseeds.

    Raises:
        FeatflowError: when the tokens of the case are not in the vocabulary or never on the probe,
            when no feature fires on them, or when the feature asked for never fires.
        ArtifactError: when a file is unreadable, or of another model or other tokens.
    """
    inputs = [*dumps, *tokens, tokenizer, *(path for path in (flow, shares) if path is not None)]
    provenance = Provenance("case", cfg, inputs)
    found = study(cfg, dumps=dumps, tokens=tokens, tokenizer=tokenizer, flow=flow, shares=shares)
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
    runners_up: int = RUNNERS_UP,
    where: str | None = None,
) -> dict[str, Any]:
    """All that is said of a case: what `run` writes (core/formats/cases.py has the keys).

    Args:
        cfg, dumps, tokens, tokenizer, flow, shares: as for `run`.
        runners_up: how many other features of the first model to report.
        where: what messages call the query (None: the key of the case).

    Raises:
        FeatflowError, ArtifactError: as `run`.
    """
    size = len(cfg.corpora)
    files = {m: list(dumps[i * size : (i + 1) * size]) for i, m in enumerate(cfg.models)}
    probe, words = probe_of(cfg.corpora, files[cfg.model], tokens), load(tokenizer)
    where = where or f"studies.{cfg.study}.cases.{cfg.case}"
    chosen = choose(cfg, dumps_of(cfg.model, files[cfg.model], probe), probe, words, shares, where)
    look = links(flow, cfg.flow.threshold)
    places = follow(cfg.models, cfg.model, chosen.feature, look)
    followed = {
        name: _followed(name, files[name], places[name], chosen, probe, cfg)
        for name in progress(places, "models")
    }
    return _content(cfg, chosen, places, followed, probe, words, runners_up)


def _followed(
    name: str, files: Sequence[Path], place: Place, chosen: Chosen, probe: Probe, cfg: CaseSlice
) -> Followed:
    """One model's dumps are read at a time."""
    matrices = dumps_of(name, files, probe)
    counts = evidence.count(matrices, probe.split(chosen.marks.rows))
    best = counts.ranked(counts.fired >= cfg.flow.min_firings, 1)
    own = measures(counts, best[0]) if best else None
    values = np.zeros(len(probe.ids), np.float32)
    return Followed(values if place.feature is None else column(matrices, place.feature), own)


def _content(
    cfg: CaseSlice,
    chosen: Chosen,
    places: Mapping[str, Place],
    followed: Mapping[str, Followed],
    probe: Probe,
    words: Tokenizer,
    runners_up: int,
) -> dict[str, Any]:
    values = {m: f.values for m, f in followed.items() if places[m].feature is not None}
    marked, r = chosen.marks.rows, _pearson(list(places), values)
    origin = dict(zip(places, r[list(places).index(cfg.model)], strict=True))
    found = verdicts(places, cfg.model, origin, cfg.flow.threshold)
    others = [x for i, row in enumerate(r) for x in row[:i] if x is not None]
    best = {m: int(f.own["feature"]) for m, f in followed.items() if f.own is not None}
    f1 = float(chosen.counts.f1[chosen.feature])
    counts, probability = chosen.counts, chosen.counts.probability
    return {
        "case": cfg.case,
        "query": _query(cfg, chosen),
        "ids": chosen.marks.ids,
        "model": cfg.model,
        "sae": cfg.sae,
        "feature": chosen.feature,
        "threshold": cfg.flow.threshold,
        "scope": cfg.flow.scope,
        "probe": {"corpora": probe.corpora, "tokens": len(marked), "marked": int(marked.sum())},
        "probability": rounded(probability),
        "cap": rounded(-np.log(probability)),
        "choice": chosen.choice,
        "reseeds": _reseeds(chosen),
        "runners_up": [
            {**measures(counts, f), "reseed_r": rounded(chosen.reseed_r(f))}
            for f in chosen.ranking[1 : runners_up + 1]
        ],
        "models": {
            m: {
                **_measured(values.get(m), values[cfg.model], marked),
                **told(place),
                "reseed_r": rounded(chosen.reseed_r(chosen.feature)) if m == cfg.model else None,
                "best": followed[m].own,
                "verdict": found[m],
            }
            for m, place in places.items()
        },
        "r": {"models": list(places), "matrix": r},
        "mean_r": rounded(np.mean(others)) if others else None,
        "verdict": sentence(found, places, _reseeds(chosen), f1, best),
        **_passages(cfg, found, values, marked, probe, words),
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
    shown = partial(passage, probe=probe, marks=marked, activations=values, tokenizer=words)
    return {
        "passages": [shown(row) for row in strongest(first * marked, probe, count)],
        "misses": [
            {"model": m, **shown(row)}
            for m in values
            if found[m] == "vanishes"
            for row in strongest(values[m] * (first == 0), probe, count)
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


def _reseeds(chosen: Chosen) -> dict[str, float | None]:
    return {name: rounded(r) for name, r in chosen.reseeds_of(chosen.feature).items()}


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
    return [
        f"{case['model']}.{case['sae']} feature {case['feature']} marks {marks}: F1 "
        f"{first['f1']:.3f}, precision {first['precision']:.3f}, recall {first['recall']:.3f}, "
        f"mass {first['mass']:.3f}, LLR {first['llr']:.2f} of at most {case['cap']:.2f}",
        f"chosen among {case['choice']['candidates']:,} features: {case['choice']['rule']}",
        case["verdict"],
    ]
