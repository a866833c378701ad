"""The cases: a feature each, in every model of the lineage, and the verdict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from featflow.core import paths
from featflow.core.artifacts import load_json
from featflow.report.files import among
from featflow.report.tables import UNKNOWN, Cell, Column, Table, count, number, share, text


class Case(NamedTuple):
    """A case."""

    name: str
    """Of the config: its figure is drawn with it."""
    verdict: str
    table: Table


def cases(files: list[Path]) -> list[Case]:
    """Every case of the study, by name."""
    found = sorted(among(files, paths.CASE, "case").items())
    return [_case(name, load_json(file)) for name, file in found]


def _case(name: str, case: Mapping[str, Any]) -> Case:
    marks = ", ".join(f"“{mark}”" for mark in case["query"]["marks"])
    columns = [
        *(Column(title, is_text=True) for title in ("model", "feature", "verdict")),
        *(Column(title) for title in ("r of its link", "ln P(s given f) / P(s)", "F1")),
        *(Column(title, "of its firings") for title in ("number", "on S", "others than the root")),
    ]
    note = (
        f"S: the tokens {marks}, {case['probe']['marked']:,} of the {case['probe']['tokens']:,} of "
        f"the probe; the log-likelihood ratio is at most {case['cap']:.2f}. Link: to the feature "
        "of the model that it came from, the best partner there or, where it vanishes, the nearest "
        "miss. Others than the root: how many times as often it fires outside S as the feature of "
        f"{case['model']} does. Mean r over all pairs of models: {_mean(case['mean_r'])}."
    )
    rows = [_row(model, found) for model, found in case["models"].items()]
    table = Table(f"case{name}", f"The feature of {marks} in every model", columns, rows, note)
    return Case(name, case["verdict"], table)


def _row(model: str, found: Mapping[str, Any]) -> list[Cell]:
    feature = found["feature"]
    return [
        text(model),
        text(UNKNOWN if feature is None else feature),
        text(found["verdict"]),
        number(found.get("link_r")),
        number(found["llr"], 2),
        number(found["f1"]),
        count(found["firings"]),
        share(found["precision"]),
        number(found["other_ratio"], 2),
    ]


def _mean(r: float | None) -> str:
    return UNKNOWN if r is None else f"{r:.3f}"
