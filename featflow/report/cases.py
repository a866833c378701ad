"""The cases: a feature each, in every model of the lineage, and the verdict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from featflow.artifacts.io import load_json
from featflow.figures.files import matching
from featflow.plan import paths
from featflow.report.tables import UNKNOWN, Cell, Column, Table, count, number, share, text


class Case(NamedTuple):
    """A case."""

    name: str
    """Of the config: its figure is drawn with it."""
    verdict: str
    """On the feature."""
    function: str
    """The verdict on what it does: whether some feature marks the tokens as well."""
    best: str
    """Of the feature that marks the tokens best, where it is not the one that is followed."""
    table: Table
    seeds: Table | None
    """What each reseed has of it; None: there are none."""


def cases(files: list[Path]) -> list[Case]:
    """Every case of the study, by name."""
    found = sorted(matching(files, paths.CASE, "case").items())
    return [_case(name, load_json(file)) for name, file in found]


def _case(name: str, case: Mapping[str, Any]) -> Case:
    marks = ", ".join(f"“{mark}”" for mark in case["query"]["marks"])
    columns = [
        *(Column(title, is_text=True) for title in ("model", "feature", "verdict")),
        *(Column(title) for title in ("r of its link", "over reseeds")),
        *(Column(title) for title in ("ln P(s given f) / P(s)", "F1")),
        *(Column(title, "of its firings") for title in ("number", "on S", "others than the root")),
        Column("verdict", "the model’s best", is_text=True),
        Column("F1", "the model’s best"),
    ]
    note = (
        f"S: the tokens {marks}, {case['probe']['marked']:,} of the {case['probe']['tokens']:,} of "
        f"the probe; the log-likelihood ratio is at most {case['cap']:.2f}. Link: to the feature "
        "of the model that it came from, the best partner there or, where it vanishes, the nearest "
        "miss; over reseeds: the same for the features of the reseeds. The model’s best: its own "
        "feature with the best F1, and whether it marks the tokens as well as the best of "
        f"{case['model']} does. Others than the root: how many times as often it fires outside S "
        f"as the feature of {case['model']} does. Mean r over all pairs of models: "
        f"{_mean(case['mean_r'])}."
    )
    rows = [_row(case, model, found) for model, found in case["models"].items()]
    table = Table(f"case{name}", f"The feature of {marks} in every model", columns, rows, note)
    seeds = _seeds(name, case) if case["reseeds"] else None
    return Case(name, case["verdict"], case["function"], _best(case), table, seeds)


def _best(case: Mapping[str, Any]) -> str:
    best = case["best_marking"]
    if best is None:
        return ""
    fates = ", ".join(
        f"{model} {fate['verdict']}"
        for model, fate in best["models"].items()
        if model != case["model"]
    )
    return (
        f"Followed is feature {case['feature']} (F1 {case['models'][case['model']]['f1']:.2f}); "
        f"feature {best['feature']} marks the tokens better (F1 {best['f1']:.2f}), but "
        f"{best['why']}{f': {fates}' if fates else ''}."
    )


def _seeds(name: str, case: Mapping[str, Any]) -> Table:
    """A row a reseed of the model's SAE: what it has of the feature, and of the function."""
    others = [model for model in case["models"] if model != case["model"]]
    columns = [
        Column("reseed", is_text=True),
        *(Column(title, "its best partner") for title in ("feature", "r", "F1")),
        Column("F1", "its best for the tokens"),
        *(Column(model, "what became of the partner", is_text=True) for model in others),
    ]
    rows = []
    for reseed, found in case["reseeds"].items():
        fates, best = found["models"] or {}, found["best"]
        rows.append(
            [
                text(reseed),
                text(UNKNOWN if found["feature"] is None else found["feature"]),
                number(found["r"]),
                number(found["f1"]),
                number(None if best is None else best["f1"]),
                *(_fate(fates.get(model)) for model in others),
            ]
        )
    note = (
        f"The SAE of {case['model']} once more, from other seeds: how far a verdict hangs on the "
        "one that was drawn."
    )
    title = "The same from other seeds of its SAE"
    return Table(f"seeds{name}", title, columns, rows, note)


def _fate(found: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return text(UNKNOWN)
    r = "" if found["link_r"] is None else f", r {found['link_r']:.2f}"
    return text(f"{found['verdict']}{r}")


def _over(case: Mapping[str, Any], model: str) -> Cell:
    """The smallest and the largest r of the link by which the reseeds' features lead to a model."""
    found = [each["models"][model]["link_r"] for each in case["reseeds"].values() if each["models"]]
    r = sorted(value for value in found if value is not None)
    if not r:
        return Cell(UNKNOWN)
    return Cell(f"{r[0]:.3f} to {r[-1]:.3f}" if len(r) > 1 else f"{r[0]:.3f}", key=r[0])


def _row(case: Mapping[str, Any], model: str, found: Mapping[str, Any]) -> list[Cell]:
    feature, best = found["feature"], found["best"]
    return [
        text(model),
        text(UNKNOWN if feature is None else feature),
        text(found["verdict"]),
        number(found.get("link_r")),
        _over(case, model),
        number(found["llr"], 2),
        number(found["f1"]),
        count(found["firings"]),
        share(found["precision"]),
        number(found["other_ratio"], 2),
        text(found["function"]),
        number(None if best is None else best["f1"]),
    ]


def _mean(r: float | None) -> str:
    return UNKNOWN if r is None else f"{r:.3f}"
