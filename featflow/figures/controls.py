"""Figure `controls`: every edge's share against the threshold, between its floors and ceiling."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.analysis.edge_words import share_in_words
from featflow.config.figures import ControlsFigure
from featflow.config.graph import edges
from featflow.figures.panels import stacked
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

ROW = 210
"""Pixels of an edge."""

SHADE = 0.3
"""How opaque a band is."""

Row = Mapping[str, Any]
"""A row of edges.csv."""


class Look(NamedTuple):
    """How a control is drawn."""

    colour: str
    dash: str
    name: str


def inputs(slices: Slices, figure: ControlsFigure) -> list[str]:
    """Every control of every edge, and the edges' own rows."""
    sae = figure.sae or slices.study.flow_saes[0]
    return [t.at(study=slices.name, sae=sae) for t in (paths.FLOW_CONTROLS, paths.FLOW_EDGES)]


def models(slices: Slices, figure: ControlsFigure) -> Iterable[str]:
    """Those of its edges."""
    sae = figure.sae or slices.study.flow_saes[0]
    return [name for edge in edges(slices.study, sae) for name in edge]


def looks() -> dict[str, Look]:
    """The controls that are drawn, the share itself last: it lies on top."""
    from featflow.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION

    return {
        "random": Look(GREY, "dot", "floor: a model with random weights"),
        "unrelated": Look(VERMILLION, "dot", "floor: an unrelated lineage"),
        "continued": Look(ORANGE, "dashdot", "the parent trained on, on its own data"),
        "frozen": Look(PURPLE, "dashdot", "the parent's SAE applied to the child"),
        "ceiling": Look(GREEN, "dash", "ceiling: a second seed of the SAE"),
        "edge": Look(BLUE, "solid", "share that persists"),
    }


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """A panel an edge; each line's `meta` holds its edge and control, a band's its kind too."""
    from featflow.artifacts.io import load_table
    from featflow.figures.style import GREY

    controls, counted = (load_table(Path(file)) for file in files)
    everything = controls["stratum"] == "all"
    edges: list[Row] = [{str(k): v for k, v in r.items()} for r in counted.to_dict("records")]
    lines: dict[str, None] = {}
    bands: dict[str, None] = {}
    figure = stacked([_heading(row) for row in edges], ROW)
    for panel, row in enumerate(edges, 1):
        mine = controls[
            everything & (controls["edge"] == row["edge"]) & (controls["domain"] == row["scope"])
        ]
        if (band := _band(mine)) is not None:
            figure.add_trace(_filled(row["edge"], *band), row=panel, col=1)
            bands[band[0]] = None
        for control, look in looks().items():
            line = _mean(mine[mine["control"] == control])
            if len(line):
                figure.add_trace(_line(row["edge"], control, look, line), row=panel, col=1)
                lines[control] = None
        upright = {"width": 1, "dash": "dot", "color": GREY}
        figure.add_vline(row["threshold"], row=panel, col=1, line=upright)
    return figure.update_layout(_layout(edges, list(lines), list(bands)))


def _mean(rows: "pd.DataFrame") -> "pd.Series":
    """A control's share by threshold: the mean where the study has several models of that kind."""
    return rows.groupby("threshold")["share"].mean().dropna()


def _band(mine: "pd.DataFrame") -> "tuple[str, pd.DataFrame] | None":
    """The interval of an edge: over SAE seeds where there are several, else over documents."""
    for control in ("edge", "bootstrap"):
        rows = mine[(mine["control"] == control) & mine["low"].notna() & mine["high"].notna()]
        if len(rows):
            return control, rows.sort_values("threshold")
    return None


BANDS = {"edge": "SAE seeds", "bootstrap": "documents"}
"""What an interval is over, by the control whose rows have it."""


def _filled(edge: str, control: str, rows: "pd.DataFrame") -> Any:
    from plotly import graph_objects as go

    from featflow.figures.style import BLUE, faded

    x = rows["threshold"].tolist()
    return go.Scatter(
        x=[*x, *reversed(x)],
        y=[*rows["high"].clip(0, 1), *reversed(rows["low"].clip(0, 1).tolist())],
        fill="toself",
        fillcolor=faded(BLUE, SHADE),
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        name=f"{edge} over {BANDS[control]}",
        meta={"edge": edge, "control": control, "kind": "band"},
    )


def _line(edge: str, control: str, look: Look, shares: "pd.Series") -> Any:
    from plotly import graph_objects as go

    from featflow.figures.style import percent

    thresholds = [float(x) for x in shares.index]
    texts = [
        f"{edge}<br>{look.name}<br>{percent(share)} at r > {threshold:g}"
        for threshold, share in zip(thresholds, shares.tolist(), strict=True)
    ]
    itself = control == "edge"
    return go.Scatter(
        x=thresholds,
        y=shares.tolist(),
        mode="lines+markers" if itself else "lines",
        line={"color": look.colour, "width": 2.6 if itself else 1.8, "dash": look.dash},
        marker={"size": 6},
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
        name=f"{edge} {control}",
        meta={"edge": edge, "control": control},
    )


def _heading(row: Row) -> str:
    from featflow.figures.style import percent

    parent, child = row["edge"].split("-")
    floor = f", floor {percent(row['floor'])}" if isinstance(row["floor_of"], str) else ""
    return (
        f"<b>{parent} → {child}</b>: {percent(row['share'])} at {row['threshold']:g}, ceiling "
        f"{percent(row['ceiling'])}{floor}"
    )


def _layout(edges: list[Row], lines: list[str], bands: list[str]) -> dict[str, Any]:
    from featflow.figures.style import BLUE, faded

    count = len(edges)
    axes = [f"axis{i if i > 1 else ''}" for i in range(1, count + 1)]
    about = (
        f"Scope {edges[0]['scope']}. The dotted upright is flow.threshold, "
        f"{edges[0]['threshold']:g}."
    )
    known = looks()
    # the share first, then from the ceiling down
    legend = [[known[c].colour, known[c].name] for c in reversed(known) if c in lines]
    if bands:
        over = " or ".join(BANDS[c] for c in BANDS if c in bands)
        legend.insert(1, [faded(BLUE, SHADE), f"its 95 % interval over {over}"])
    upwards = {"range": [0, 1.02], "tickformat": ".0%", "dtick": 0.25}
    return {
        "title": {"text": "What persists, at every threshold", "subtitle": {"text": about}},
        **{f"y{axis}": upwards for axis in axes},
        **{f"x{axis}": {"dtick": 0.1} for axis in axes},
        f"x{axes[-1]}": {"dtick": 0.1, "title": {"text": "threshold on r"}},
        "meta": {
            "legend": legend,
            "notes": [_note(row) for row in edges],
            "footnote": "A share without its ceiling and floor says little: a second seed of the "
            "very same SAE does not find every feature again either, and an unrelated model has "
            "look-alikes. Silent and rare features are in no share.",
        },
    }


def _note(row: Row) -> str:
    """An edge in words: its share beside everything that it is held against."""
    from featflow.figures.style import percent

    parent, child = row["edge"].split("-")
    share, *beside = share_in_words(row)
    said = [f"{parent} → {child}: {share} at r > {row['threshold']:g}", *beside]
    for key, name in (
        ("floor_random", "random weights"),
        ("frozen", "frozen dictionary"),
        ("continued", "trained on"),
    ):
        if row[key] == row[key]:
            said.append(f"{name} {percent(row[key])}")
    flag = "; L0 of the two differ by more than 10 %" if row["l0_differs"] else ""
    return "; ".join(said) + flag + "."
