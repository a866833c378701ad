"""Figure `sweep`: a merge's accuracy on its parents' data against t, and the t that was chosen."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from featflow.config.figures import SweepFigure
from featflow.figures.files import matching
from featflow.figures.graph import own_corpora
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure


ORIGIN = {
    "equilibrium": "where the two are equal",
    "balanced": "where the smaller share of the parents' gains is largest",
    "config": "as the config says",
}
"""How a merge's t was chosen, by merge.json's `t_from`."""


def inputs(slices: Slices, figure: SweepFigure) -> list[str]:
    """The merge's sweep, its merge.json, and how the parents' common ancestor does."""
    merge = figure.model or slices.study.swept[0]
    base = slices.lineage.common_ancestor(merge)
    return [
        paths.SWEEP.at(study=slices.name, model=merge),
        paths.MERGE.at(study=slices.name, model=merge),
        *([paths.EVALUATE.at(study=slices.name, model=base)] if base else []),
    ]


def models(slices: Slices, figure: SweepFigure) -> Iterable[str]:
    """The merge."""
    return [figure.model or slices.study.swept[0]]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Accuracy on each parent's data against t.

    A parent with several corpora has the mean of their accuracies as its line, as when t is chosen.
    """
    from plotly import graph_objects as go

    from featflow.artifacts.io import load_json, load_table
    from featflow.figures.style import SERIES

    ((merge, sweep),) = matching(files, paths.SWEEP, "model").items()
    report = load_json(matching(files, paths.MERGE, "model")[merge])
    chosen = report["t"]
    evaluated = matching(files, paths.EVALUATE, "model")
    base = next(iter(evaluated), None)
    measured = load_json(evaluated[base]) if base else {}
    table = load_table(sweep)
    parents = cfg.models[merge].parents
    figure = go.Figure()
    at_chosen: dict[str, float] = {}
    for parent, colour in zip(parents, SERIES, strict=False):
        corpora = own_corpora(cfg.models, parent)
        line = _accuracy(table, corpora)
        at_chosen[parent] = _interpolated(line, chosen)
        figure.add_traces(_curves(line, at_chosen[parent], chosen, merge, corpora, colour))
        if base:
            level = sum(measured[corpus]["accuracy"] for corpus in corpora) / len(corpora)
            figure.add_trace(_level(level, base, corpora, colour))
    return figure.update_layout(_layout(cfg, merge, report, at_chosen, base))


def _accuracy(table: "pd.DataFrame", corpora: list[str]) -> "pd.Series":
    """Mean accuracy over some corpora; the index is t, ascending."""
    return table[table["corpus"].isin(corpora)].groupby("t")["accuracy"].mean()


def _interpolated(line: "pd.Series", t: float) -> float:
    import numpy as np

    return float(np.interp(t, line.index.to_numpy(dtype=float), line.to_numpy(dtype=float)))


def _curves(
    line: "pd.Series", found: float, t: float, merge: str, corpora: list[str], colour: str
) -> list[Any]:
    from plotly import graph_objects as go

    data = " and ".join(corpora)
    curve = go.Scatter(
        x=line.index.tolist(),
        y=line.tolist(),
        name=f"{merge} on {data}",
        mode="lines+markers",
        line={"color": colour, "width": 2.5},
        marker={"size": 5},
        hovertemplate=f"t = %{{x:.2f}}: accuracy %{{y:.3f}} on {data}<extra></extra>",
    )
    mark = go.Scatter(
        x=[t],
        y=[found],
        name=f"{merge} on {data}, at the t chosen",
        showlegend=False,
        mode="markers",
        marker={"color": colour, "size": 12, "symbol": "diamond", "line": {"width": 1.5}},
        hovertemplate=f"t chosen, {t:.3f}: accuracy {found:.3f} on {data}<extra></extra>",
    )
    return [curve, mark]


def _level(accuracy: float, base: str, corpora: list[str], colour: str) -> Any:
    from plotly import graph_objects as go

    data = " and ".join(corpora)
    return go.Scatter(
        x=[0, 1],
        y=[accuracy, accuracy],
        name=f"{base} on {data}",
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": "dash"},
        hovertemplate=f"{base}: accuracy %{{y:.3f}} on {data}<extra></extra>",
    )


def _layout(
    cfg: FigureSlice,
    merge: str,
    report: dict[str, Any],
    found: dict[str, float],
    base: str | None,
) -> dict[str, Any]:
    from featflow.figures.style import GREY

    first, last = cfg.models[merge].parents
    t = report["t"]
    values = list(found.values())
    met = max(values) - min(values) < 0.0005
    reached = f"{values[0]:.3f}" if met else " / ".join(f"{v:.3f}" for v in values)
    dashed = f" Dashed: {base}, on the validation split." if base else ""
    return {
        "title": {
            "text": f"{merge}: accuracy on its parents' data against t",
            "subtitle": {
                "text": f"t = {t:.3f} ({ORIGIN[report['t_from']]}): accuracy {reached}"
                + ("." if met else f" on the data of {first} and {last}.")
            },
        },
        "height": 460,
        "xaxis": {"title": f"t (0 is {first}, 1 is {last})", "range": [-0.02, 1.02]},
        "yaxis": {"title": "next-token accuracy", "tickformat": ".2f"},
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        "annotations": [
            {
                "x": t,
                "y": 0,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "text": f"t = {t:.2f}<br>accuracy {reached}",
            }
        ],
        "shapes": [
            {
                "type": "line",
                "x0": t,
                "x1": t,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"width": 1, "dash": "dot", "color": GREY},
                "layer": "below",
            }
        ],
        "meta": {
            "footnote": "Solid: the merge at each t, on the selection split, which chooses t and "
            f"nothing else.{dashed} Accuracy is that of the next token's argmax."
        },
    }
