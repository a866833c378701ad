"""`featflow find`: the features that fire on some tokens, and what became of the best of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import ValidationError

from featflow.commands.terminal import CONFIG, ConfigPath, chosen, coloured, columns
from featflow.config import FeatflowError
from featflow.config.cases import Case
from featflow.config.errors import did_you_mean
from featflow.config.study import Study
from featflow.plan import paths
from featflow.plan.programs import snakemake
from featflow.plan.slicer import Slices
from featflow.plan.stages.analysis import CaseSlice, case_slice

CASE = "find"
"""What the query is called where a case has a name."""


def _optional(metavar: str) -> Any:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="(optional)")


def find(
    *,
    study: Annotated[str | None, tyro.conf.arg(metavar="STUDY", help_behavior_hint="")] = None,
    tokens: Annotated[list[str] | None, _optional("TOKEN [TOKEN ...]")] = None,
    text: Annotated[str | None, _optional("TEXT")] = None,
    feature: Annotated[str | None, _optional("MODEL/NUMBER")] = None,
    model: Annotated[str | None, _optional("MODEL")] = None,
    sae: Annotated[str | None, _optional("SAE")] = None,
    top: int = 10,
    config: ConfigPath = CONFIG,
) -> None:
    """Search a built study for the features that fire on some tokens, and follow the best of them.

    What a case of the config does, without writing anything: docs/cases.md says what the numbers
    mean.

      featflow find --study demo --tokens "=" "+="
      featflow find --study demo --text "raise ValueError"
      featflow find --study demo --feature babypython/627

    Args:
        study: the study's name (default: the config's `study`).
        tokens: tokens as text, with or without spaces around them.
        text: a text whose tokens it fires on, wherever that occurs in the probe.
        feature: a feature by its number; the token it fires on most stands for it.
        model: where to look (default: the study's first root).
        sae: of which SAE (default: the study's first that is no control).
        top: how many features to list.
        config: the file that describes the studies.
    """
    from featflow.analysis import case

    query = _query(tokens, text, feature, model, sae)
    if top < 1:
        raise FeatflowError(f"--top: {top} features cannot be listed; give 1 or more")
    checked, name = chosen(study, config)
    cfg = _slice(name, checked.studies[name], query)
    found = case.study(cfg, **files(cfg), runners_up=top - 1, where=CASE)
    print("\n".join(lines(found)))


def _query(
    tokens: list[str] | None,
    text: str | None,
    feature: str | None,
    model: str | None,
    sae: str | None,
) -> Case:
    """The flags as a case.

    Raises:
        FeatflowError: when they are not one question.
    """
    if sum(bool(given) for given in (tokens, text, feature)) != 1:
        raise FeatflowError("give one of --tokens, --text, --feature (model/number)")
    if feature and model:
        raise FeatflowError("--feature names the model already: leave --model out")
    tokens, text = tokens and [*map(_decoded, tokens)], text and _decoded(text)
    given = {"tokens": tokens, "text": text, "feature": feature, "model": model, "sae": sae}
    try:
        return Case.model_validate({key: value for key, value in given.items() if value})
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        hint = "a model and a number, such as lua/12" if key == "feature" else "a name"
        raise FeatflowError(f"--{key}: {given[key]!r} is not {hint}") from None


def _decoded(text: str) -> str:
    """What was typed as UTF-8, whatever the locale takes it for (LANG=C)."""
    return os.fsencode(text).decode("utf-8", "replace")


def _slice(name: str, study: Study, query: Case) -> CaseSlice:
    """What the stage would read of the config, were the query a case.

    Raises:
        FeatflowError: when the study has no such SAE, or no such model with it.
    """
    if not study.flow_saes:
        raise FeatflowError(f"study {name} has no SAE whose features to read")
    sae = query.sae or study.flow_saes[0]
    if sae not in study.flow_saes:
        raise FeatflowError(
            f"--sae: study {name} follows no features of {sae!r}; "
            f"{did_you_mean(sae, study.flow_saes)}"
        )
    slices = Slices(name, study.model_copy(update={"cases": {CASE: query}}))
    lineage, having = slices.lineage, slices.lineage.sae_models(sae)
    models = [m for m in lineage.models() if m in having]
    model = query.feature.split("/")[0] if query.feature else query.model
    if model is not None and model not in models:
        flag = "--feature" if query.feature else "--model"
        raise FeatflowError(
            f"{flag}: study {name} follows no features of SAE {sae!r} in {model!r}; "
            f"{did_you_mean(model, models)}"
        )
    return case_slice(slices, CASE)


def files(cfg: CaseSlice) -> dict[str, Any]:
    """The files that the stage would be given.

    Raises:
        FeatflowError: naming the targets to build, where some are missing.
    """
    at = {"study": cfg.study, "sae": cfg.sae}
    dumps = {
        Path(paths.FEATURES.at(**at, model=m, corpus=c)): paths.SUMMARY.at(**at, model=m)
        for m in cfg.models
        for c in cfg.corpora
    }
    tokens = [
        Path(paths.TOKENS.at(study=cfg.study, corpus=c, split="validation")) for c in cfg.corpora
    ]
    tokenizer = Path(paths.TOKENIZER.at(study=cfg.study))
    related = any(p in cfg.models for node in cfg.models.values() for p in node.parents)
    flow = Path(paths.FLOW_FEATURES.at(**at)) if related else None
    own = {"parent": cfg.model, "child": cfg.model}
    shares = Path(paths.SHARES.at(**at, **own)) if cfg.reseeds else None
    reseeds = {
        Path(
            paths.FEATURES.at(study=cfg.study, sae=s, model=cfg.model, corpus=c)
        ): paths.SUMMARY.at(study=cfg.study, sae=s, model=cfg.model)
        for s in cfg.reseeds
        for c in cfg.corpora
    }
    neighbours = [Path(paths.SHARES.at(**at, parent=a, child=b)) for a, b in cfg.neighbours]
    others = [*tokens, tokenizer, *(path for path in (flow, shares) if path is not None)]
    targets = {**dumps, **reseeds, **{path: str(path) for path in [*others, *neighbours]}}
    if missing := list(dict.fromkeys(t for path, t in targets.items() if not path.is_file())):
        raise FeatflowError(
            f"study {cfg.study} is not built that far; make what is missing with: "
            f"{snakemake(*missing)}"
        )
    return {
        "dumps": list(dumps),
        "tokens": tokens,
        "tokenizer": tokenizer,
        "flow": flow,
        "shares": shares,
        "reseeds": list(reseeds),
        "neighbours": neighbours,
    }


def lines(case: Mapping[str, Any]) -> list[str]:
    """What is printed: the candidates, the best one in every model, the verdict."""
    probe, models = case["probe"], case["models"]
    first = {**models[case["model"]], "feature": case["feature"]}
    marks = ", ".join(map(repr, case["query"]["marks"]))
    return [
        f"{marks}: {probe['marked']:,} of {probe['tokens']:,} tokens of the probe "
        f"({', '.join(probe['corpora'])}); no LLR is above {case['cap']:.2f}",
        "",
        coloured(f"Features of {case['model']}, SAE {case['sae']}", "bold"),
        f"of {case['choice']['candidates']:,}: {case['choice']['rule']}",
        *_on_reseeds(len(case["reseeds"])),
        "",
        *columns([_CANDIDATES, *map(_candidate, [first, *case["runners_up"]])]),
        *_best(case),
        "",
        coloured(f"{case['model']}/{case['feature']} in every model", "bold"),
        f"r of links on flow.scope {case['scope']}; r to it, and all counts, on the whole probe",
        "",
        *columns([_MODELS, *(_model(case, name) for name in case["r"]["models"])]),
        *_reseeds(case),
        "",
        f"{case['model']}/{case['feature']}: {case['verdict']}.",
        f"The function: {case['function']}.",
    ]


def _on_reseeds(count: int) -> list[str]:
    """What the column `reseed r` is, where it is not what the features were chosen by."""
    if count < 2:
        return []
    return [f"reseed r: the mean over {count} reseeds; to be found by one of them is enough"]


def _best(case: Mapping[str, Any]) -> list[str]:
    """The feature that marks the tokens best, where it is not the one that is followed."""
    best = case["best_marking"]
    if best is None:
        return []
    return ["", "better, but not followed:", *columns([_CANDIDATES, _candidate(best)]), best["why"]]


def _reseeds(case: Mapping[str, Any]) -> list[str]:
    """A row a reseed of the model's SAE: its partner of the feature, and what became of that."""
    if not case["reseeds"]:
        return []
    others = [name for name in case["r"]["models"] if name != case["model"]]
    rows = []
    for name, found in case["reseeds"].items():
        fates, best = found["models"] or {}, found["best"]
        rows.append(
            (
                name,
                _number(found["feature"], "d"),
                _number(found["r"], ".2f"),
                _number(found["f1"], ".3f"),
                _number(best and best["f1"], ".3f"),
                *(_fate(fates.get(model)) for model in others),
            )
        )
    head = ("reseed", "feature", "r", "F1", "best F1", *others)
    return ["", "the same from other seeds of the SAE", "", *columns([head, *rows])]


def _fate(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return f"{found['verdict']} {_number(found['link_r'], '.2f')}"


_CANDIDATES = ("feature", "F1", "precision", "recall", "mass", "LLR", "density", "reseed r")
_MODELS = ("model", "feature", "from", "r", "r to it", "verdict", *_CANDIDATES[1:6], "own best")
_SHARES = ("f1", "precision", "recall", "mass")


def _candidate(found: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(found["feature"]),
        *(_number(found[key], ".3f") for key in _SHARES),
        _number(found["llr"], ".2f"),
        _number(found["density"], ".2g"),
        _number(found["reseed_r"], ".2f"),
    )


def _model(case: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found, order = case["models"][name], case["r"]["models"]
    own = found["best"]
    r = case["r"]["matrix"][order.index(case["model"])][order.index(name)]
    return (
        name,
        _number(found["feature"], "d"),
        found["via"] or "–",
        _number(found["link_r"], ".2f"),
        _number(r, ".2f"),
        found["verdict"],
        *(_number(found[key], ".3f") for key in _SHARES),
        _number(found["llr"], ".2f"),
        "–" if own is None else f"{own['feature']} (F1 {own['f1']:.3f})",
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
