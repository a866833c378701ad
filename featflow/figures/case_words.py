"""The words of the case figure: labels, notes, what the colours are."""

from collections.abc import Mapping
from typing import Any

from featflow.figures.strips import visible

SHADE = 0.65
"""How opaque the strongest activation is: text on it keeps its contrast, light and dark."""

MISSED = ("vanishes", "lost", "absent", "unjudged")
"""Verdicts on a model whose feature is not the one that is followed."""


def heading(passage: Mapping[str, Any]) -> str:
    """Where a passage stands, and whether the feature is judged there."""
    elsewhere = "" if passage["in_scope"] else " (no corpus on which its fate is judged)"
    return f"<b>{passage['corpus']}</b>, document {passage['document']:,}{elsewhere}"


def label(case: Mapping[str, Any], model: str) -> str:
    """The model and its feature; below it what became of it."""
    found = case["models"][model]
    head = f"<b>{model}</b> {found['feature']} · LLR {found['llr']:.2f}"
    verdict = "nearest miss" if found["verdict"] == "vanishes" else found["verdict"]
    if found["via"] is None:
        told = "where it was found"
    else:
        told = f"{verdict}, r {_number(found['link_r'])} with {found['via']}"
    return f'{head}<br><span style="font-size:11px">{told}</span>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def texts(case: Mapping[str, Any], min_width: int) -> dict[str, Any]:
    """What stands around the figure, for its layout."""
    from featflow.figures.style import BLUE, GREY, VERMILLION, faded

    marks = ", ".join(
        f"“{visible(text)}”".replace("\u00a0", " ") for text in case["query"]["marks"]
    )
    missed = any(each["verdict"] in MISSED for each in case["models"].values())
    legend = [[faded(BLUE, SHADE), "activation of the matched feature"]]
    if missed:
        legend.append([faded(VERMILLION, SHADE), "of its nearest miss, where it is not found"])
    legend.append([GREY, "framed: a token of the case"])
    mean = "" if case["mean_r"] is None else f" Mean r between the models {case['mean_r']:.2f}."
    return {
        "title": {
            "text": f"{case['case']}: feature {case['feature']} of {case['model']} on {marks}",
            "subtitle": {
                "text": f"{_sentence(case['verdict'])} The function: {case['function']}.{mean}"
            },
        },
        "meta": {
            "legend": legend,
            "notes": [
                *(_note(case, model) for model in case["r"]["models"]),
                *_best(case),
                *(_reseed(case, name) for name in case["reseeds"]),
            ],
            "footnote": _footnote(case),
            "min_width": min_width,
        },
    }


def _best(case: Mapping[str, Any]) -> list[str]:
    """The feature that marks the tokens best, where it is not the one that is followed."""
    best = case["best_marking"]
    if best is None:
        return []
    return [
        f"Feature {best['feature']} of {case['model']} marks the tokens better (F1 "
        f"{best['f1']:.2f}), but {best['why']}."
    ]


def _reseed(case: Mapping[str, Any], name: str) -> str:
    """What a reseed has of the feature, and what became of that."""
    found, best = case["reseeds"][name], case["reseeds"][name]["best"]
    own = "" if best is None else f"; its best for the tokens has F1 {best['f1']:.2f}"
    if found["models"] is None:
        return f"Reseed {name} has no partner of it{own}."
    fates = [
        f"{model} {fate['verdict']} (r {_number(fate['link_r'])})"
        for model, fate in found["models"].items()
        if model != case["model"]
    ]
    return (
        f"Reseed {name} has it as feature {found['feature']}, r {_number(found['r'])}, F1 "
        f"{found['f1']:.2f}{own}. From there: {', '.join(fates) or 'nowhere'}."
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _note(case: Mapping[str, Any], model: str) -> str:
    """A model's numbers: what a reader without the colours has."""
    from featflow.figures.style import percent

    found = case["models"][model]
    if found["feature"] is None:
        return f"{model}: no link of the lineage leads to a feature of it."
    order, first = case["r"]["models"], case["model"]
    r = case["r"]["matrix"][order.index(first)][order.index(model)]
    link = "" if found["via"] is None else f", r {_number(found['link_r'])} with {found['via']}"
    own, best = "", found["best"]
    if best is not None and best["feature"] != found["feature"]:
        own = f" Its own best feature for the tokens: {best['feature']}, F1 {best['f1']:.2f}."
    return (
        f"{model} {found['feature']}: {found['verdict']}{link}; LLR {found['llr']:.2f}, F1 "
        f"{found['f1']:.2f} (precision {found['precision']:.2f}, recall {found['recall']:.2f}), "
        f"{percent(found['mass'])} of its activation on the tokens; "
        f"r {_number(r)} with {first}'s on the whole probe.{own}"
    )


def _footnote(case: Mapping[str, Any]) -> str:
    return (
        f"Shading: from 0 to the feature's largest activation on the probe. No LLR is above "
        f"{case['cap']:.2f}, −ln P(s). r beside a model: of the link, on flow.scope "
        f"{case['scope']}; it holds above {case['threshold']:g}. Pale tokens are no rows of the "
        "probe. ↵ is a line break, → a tab."
    )
