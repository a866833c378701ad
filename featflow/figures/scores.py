"""Figure `scores`: how well explanations predict, of features that persist and of the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.config.figures import ScoresFigure
from featflow.figures.files import matching
from featflow.figures.panels import stacked
from featflow.figures.style import BLUE, GREY, VERMILLION, faded, percent
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

PERSISTING, OTHERS, EXPLAINED = "persisting", "disappearing or emerging", "explained"
"""The sides that features are told apart by; the last is of a study without edges."""

FOOTNOTE = (
    "lookup predicts the mean activation of each token on the records that explain; lookup_probe, "
    "that on the probe without the documents of the score records. Matched on density: the "
    "difference of the two sides' mean r among features that fire equally often (half powers of "
    "ten). Contextual: lookup_r up to 0.5. Undefined and failed scores are in no bin."
)


class Scored(NamedTuple):
    """A model's explained features, twice: by an explainer, and by the baseline beside it."""

    explainer: str
    baseline: str
    rows: "pd.DataFrame"
    """Of the explainer: feature, side, status, pearson, density, stratum."""
    beside: "pd.DataFrame"
    """Of the baseline."""


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
    figure = stacked([_heading(name, model) for name, model in models.items()], ROW)
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


def median(rows: "pd.DataFrame", side: str) -> float:
    """Of Pearson's r of a side; NaN where it has none."""
    return float(rows.loc[rows["side"] == side, "pearson"].median())


def _colours(tables: "Sequence[pd.DataFrame]") -> dict[str, str]:
    """Of the sides that there are."""
    known = {side for table in tables for side in table["side"]}
    colours = {PERSISTING: BLUE, OTHERS: VERMILLION, EXPLAINED: GREY}
    return {side: colour for side, colour in colours.items() if side in known}


def _histograms(name: str, model: Scored, side: str, bins: "np.ndarray", colour: str) -> list[Any]:
    """The explainer's scores as steps, filled; the baseline's dashed. None where there are none."""
    import numpy as np
    from plotly import graph_objects as go

    traces = []
    for explainer, rows in ((model.explainer, model.rows), (model.baseline, model.beside)):
        found = rows.loc[rows["side"] == side, "pearson"].dropna()
        if not len(found):
            continue
        counts = np.histogram(found, bins)[0]
        texts = [
            f"{name}, {side}, {explainer}: {n:,} of {len(found):,} features "
            f"({percent(n / len(found))})<br>with r from {_signed(low)} to {_signed(high)}"
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
            "notes": [_note(name, model, colours) for name, model in models.items()],
            "footnote": FOOTNOTE,
        },
    }


def _heading(name: str, model: Scored) -> str:
    """A model and its medians."""
    medians = [
        f"{median(model.rows, side):.2f} {side}"
        for side in (PERSISTING, OTHERS, EXPLAINED)
        if median(model.rows, side) == median(model.rows, side)
    ]
    return f"<b>{name}</b>" + (f": median r {', '.join(medians)}" if medians else ": no score")


def _note(name: str, model: Scored, sides: Mapping[str, str]) -> str:
    """A model in words: medians, the baseline's, what is not shown, the matched difference."""
    parts = []
    for side in sides:
        rows = model.rows[model.rows["side"] == side]
        if len(rows):
            count = int(rows["pearson"].notna().sum())
            beside = _number(median(model.beside, side))
            parts.append(
                f"{count:,} {side}, median r {_number(median(model.rows, side))} "
                f"({model.baseline}: {beside})"
            )
    parts += [text for text in (_contextual(model.rows), _matched(model.rows)) if text]
    statuses = model.rows["status"].value_counts()
    missing = [f"{statuses.get(s, 0):,} {s}" for s in ("undefined", "failed")]
    return f"{name}: {'; '.join([*parts, ', '.join(missing)])}."


def _contextual(rows: "pd.DataFrame") -> str:
    """The medians of contextual features alone, in words; nothing where a side has none."""
    from featflow.features.strata import LOOKUPS

    known = rows[(rows["stratum"] == LOOKUPS[0]) & rows["pearson"].notna()]
    counts = [int((known["side"] == side).sum()) for side in (PERSISTING, OTHERS)]
    if not all(counts):
        return ""
    first, second = (
        f"{_number(median(known, side))} ({count:,})"
        for side, count in zip((PERSISTING, OTHERS), counts, strict=True)
    )
    return f"{LOOKUPS[0]} features alone {first} against {second}"


def _matched(rows: "pd.DataFrame") -> str:
    """The difference of the two sides at equal density, in words; nothing where there is none."""
    from featflow.interpret.score import matched

    known = rows[rows["pearson"].notna() & (rows["density"] > 0)]
    sides = [known[known["side"] == side] for side in (PERSISTING, OTHERS)]
    pairs = [(part["density"].to_numpy(), part["pearson"].to_numpy()) for part in sides]
    found = matched(pairs[0], pairs[1])
    if found is None:
        return ""
    return f"matched on density {_signed(found.difference, plus='+')} ({found.pairs:,} pairs)"


def _signed(value: float, plus: str = "") -> str:
    """A number with the minus sign that fits its digits."""
    digits = f"{abs(value):.2f}" if plus else f"{abs(value):.1f}"
    return f"{'−' if value < 0 and float(digits) else plus}{digits}"


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.2f}".replace("-", "−")
