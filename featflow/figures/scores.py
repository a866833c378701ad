"""Figure `scores`: how well explanations predict, of features that persist and of the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featflow.config.figures import ScoresFigure
from featflow.figures.files import matching
from featflow.figures.panels import stacked
from featflow.figures.scores_words import (
    EXPLAINED,
    FOOTNOTE,
    OTHERS,
    PERSISTING,
    Scored,
    heading,
    median,
    note,
    signed,
)
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from plotly.graph_objects import Figure

BIN = 0.1
"""Width of a bin of r."""

ROW = 150
"""Pixels of a model."""


def inputs(slices: Slices, figure: ScoresFigure) -> list[str]:
    """The scores of every model whose features are explained."""
    sae, models = slices.interpreted()
    return [paths.INTERPRET.at(study=slices.name, model=m, sae=sae) for m in models]


def models(slices: Slices, figure: ScoresFigure) -> Iterable[str]:
    """Those whose features are explained."""
    return slices.interpreted()[1]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """A row a model, all on the same axes: a histogram of Pearson's r for each side.

    Dashed outlines are the baseline's scores of the same features. Each trace's `meta` holds its
    model, its side, its explainer, and its features a bin.
    """
    from featflow.artifacts.io import load_table

    columns = ("feature", "groups", "explainer", "status", "pearson", "density", "stratum")
    found = matching(files, paths.INTERPRET, "model")
    models = {model: scored(load_table(file, *columns)) for model, file in found.items()}
    tables = [part for model in models.values() for part in (model.rows, model.beside)]
    bins = edges([table["pearson"] for table in tables])
    colours = _colours(tables)
    figure = stacked([heading(name, model) for name, model in models.items()], ROW)
    for row, (name, model) in enumerate(models.items(), 1):
        for side, colour in colours.items():
            for trace in _histograms(name, model, side, bins, colour):
                figure.add_trace(trace, row=row, col=1)
            middle = median(model.rows, side)
            if middle == middle:
                figure.add_vline(middle, row=row, col=1, line={"width": 2, "color": colour})
    sae = next(iter(matching(files, paths.INTERPRET, "sae")))
    return figure.update_layout(_layout(sae, models, bins, colours, figure.data))


def scored(table: "pd.DataFrame") -> Scored:
    """A model's scores, with the side of each feature; those of neither side are left out.

    A feature drawn for `persisting` is on that side; one drawn for `disappearing` or `emerging` is
    on the other. Where no feature was drawn for any of these, all are on one side.

    Args:
        table: feature, groups, explainer, status, pearson, density, stratum of scores.parquet.
    """
    from featflow.interpret.providers.lookup import NAME, PROBE_NAME

    names = list(dict.fromkeys(table["explainer"]))
    others = [name for name in names if name not in (NAME, PROBE_NAME)]
    explainer, baseline = (others[0], NAME) if others else (NAME, PROBE_NAME)
    drawn = table["groups"].str.split("+")
    sides = [_side(groups) for groups in drawn]
    if not any(sides):
        sides = [EXPLAINED] * len(table)
    table = table.assign(side=sides)
    table = table[table["side"] != ""]
    parts = [table[table["explainer"] == name] for name in (explainer, baseline)]
    return Scored(explainer, baseline, *parts)


def _side(groups: Sequence[str]) -> str:
    if "persisting" in groups:
        return PERSISTING
    return OTHERS if {"disappearing", "emerging"} & set(groups) else ""


def edges(scores: "list[pd.Series]") -> "np.ndarray":
    """The bins' edges, at multiples of BIN, from 0 or the lowest score to 1."""
    import numpy as np

    lowest = min((float(each.min()) for each in scores if each.notna().any()), default=0.0)
    first = min(0, int(np.floor(lowest / BIN + 1e-9)))
    return np.round(np.arange(first, round(1 / BIN) + 1) * BIN, 6)


def _colours(tables: "Sequence[pd.DataFrame]") -> dict[str, str]:
    """Of the sides that there are."""
    from featflow.figures.style import BLUE, GREY, VERMILLION

    known = {side for table in tables for side in table["side"]}
    colours = {PERSISTING: BLUE, OTHERS: VERMILLION, EXPLAINED: GREY}
    return {side: colour for side, colour in colours.items() if side in known}


def _histograms(name: str, model: Scored, side: str, bins: "np.ndarray", colour: str) -> list[Any]:
    """The explainer's scores as steps, filled; the baseline's dashed. None where there are none."""
    import numpy as np
    from plotly import graph_objects as go

    from featflow.figures.style import faded, percent

    traces = []
    for explainer, rows in ((model.explainer, model.rows), (model.baseline, model.beside)):
        found = rows.loc[rows["side"] == side, "pearson"].dropna()
        if not len(found):
            continue
        counts = np.histogram(found, bins)[0]
        texts = [
            f"{name}, {side}, {explainer}: {n:,} of {len(found):,} features "
            f"({percent(n / len(found))})<br>with r from {signed(low)} to {signed(high)}"
            for n, low, high in zip(counts, bins, bins[1:], strict=False)
        ]
        plain = explainer == model.explainer
        traces.append(
            go.Scatter(
                x=bins.tolist(),
                y=[*(counts / len(found)).tolist(), 0.0],
                hovertext=[*texts, ""],
                hovertemplate="%{hovertext}<extra></extra>",
                name=f"{name}, {side}, {explainer}",
                mode="lines",
                line={
                    "color": colour,
                    "width": 1.6 if plain else 1.3,
                    "shape": "hv",
                    "dash": "solid" if plain else "dot",
                },
                fill="tozeroy" if plain else None,
                fillcolor=faded(colour, 0.2) if plain else None,
                showlegend=False,
                meta={
                    "model": name,
                    "side": side,
                    "explainer": explainer,
                    "counts": counts.tolist(),
                },
            )
        )
    return traces


def _layout(
    sae: str,
    models: Mapping[str, Scored],
    bins: "np.ndarray",
    colours: Mapping[str, str],
    traces: Sequence[Any],
) -> dict[str, Any]:
    from featflow.figures.style import GREY

    highest = max((max(trace.y) for trace in traces), default=1.0)
    axes = [f"axis{row if row > 1 else ''}" for row in range(1, len(models) + 1)]
    across = {"range": [float(bins[0]), 1.0], "dtick": 0.2, "tickformat": ".1f"}
    upwards = {"range": [0, 1.05 * highest], "tickformat": ".0%", "nticks": 4}
    first = next(iter(models.values()))
    return {
        "title": {
            "text": f"How well explanations predict the features of the SAE {sae}",
            "subtitle": {
                "text": "Pearson's r of predicted and true activations on records that the "
                f"explainer ({first.explainer}) did not see. Heights: the share of a side's "
                "features. Line: the median."
            },
        },
        "showlegend": False,
        **{f"x{axis}": across for axis in axes},
        f"x{axes[-1]}": {**across, "title": "r"},
        **{f"y{axis}": upwards for axis in axes},
        "meta": {
            "legend": [
                *([colour, f"{side} features"] for side, colour in colours.items()),
                [GREY, f"dotted outlines: the same features by {first.baseline}"],
            ],
            "notes": [note(name, model, colours) for name, model in models.items()],
            "footnote": FOOTNOTE,
        },
    }
