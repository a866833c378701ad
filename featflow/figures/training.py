"""Figure `training`: how an SAE was trained on each model, over the tokens visited."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter

from featflow.config.figures import TrainingFigure
from featflow.config.saes import STEERED, Relu, Sae, TopK
from featflow.figures.files import matching
from featflow.figures.panels import log_ticks, stacked
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

ROW = 150
"""Pixels of a panel."""


class Panel(NamedTuple):
    """A column of the training table over the tokens."""

    column: str
    title: str
    axis: dict[str, Any]
    said: str
    """Its value, as plotly writes it where the reader points."""


PANELS = (
    Panel("mse", "squared error", {"rangemode": "tozero", "nticks": 5}, "error %{y:.4f}"),
    Panel("l0", "L0: features that fire at a token", {}, "L0 %{y:.1f}"),
    Panel("dead", "dead features", {"tickformat": ".1~%", "nticks": 5}, "%{y:.2%} dead"),
    Panel(
        "lambda",
        "λ: the weight of the sparsity term",
        {"rangemode": "tozero", "nticks": 5, "exponentformat": "none"},
        "λ %{y:.5f}",
    ),
    Panel(
        "aux",
        "AuxK: of the error, what the dead features do not explain (squared)",
        {"rangemode": "tozero", "nticks": 5},
        "left of the error %{y:.4f}",
    ),
)
"""Those whose column a training table has."""


def inputs(slices: Slices, figure: TrainingFigure) -> list[str]:
    """The training table of one SAE on every model that has it."""
    sae = figure.sae or slices.study.flow_saes[0]
    models = slices.lineage.sae_models(sae)
    return [paths.SAE_TRAINING.at(study=slices.name, model=m, sae=sae) for m in models]


def models(slices: Slices, figure: TrainingFigure) -> Iterable[str]:
    """None."""
    return []


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """A panel a column, one below the other; a line a model.

    A line is what single steps measured; rounds of resampling are marked on the share of the dead.
    Each trace's `meta` holds its model and its column.
    """
    from featflow.artifacts.io import load_table
    from featflow.figures.style import series

    found = matching(files, paths.SAE_TRAINING, "model")
    tables = {model: load_table(file) for model, file in found.items()}
    settings = {model: _settings(file) for model, file in found.items()}
    colours = series(tables)
    panels = [p for p in PANELS if all(p.column in table for table in tables.values())]
    figure = stacked([f"<b>{panel.title}</b>" for panel in panels], ROW)
    for row, panel in enumerate(panels, 1):
        for model, table in tables.items():
            figure.add_trace(_line(panel, model, table, colours[model]), row=row, col=1)
        figure.update_yaxes(panel.axis, row=row, col=1)
    for model, table in tables.items():
        if (table["revived"] > 0).any():
            figure.add_trace(_revived(model, table, colours[model]), row=3, col=1)
    dead = max(float(table["dead"].max()) for table in tables.values())
    figure.update_yaxes(range=[-0.02 * max(dead, 0.01), 1.15 * max(dead, 0.01)], row=3, col=1)
    firing = [float(value) for table in tables.values() for value in table["l0"] if value > 0]
    figure.update_yaxes(log_ticks(min(firing), max(firing)) if firing else {}, row=2, col=1)
    _add_target(figure, settings)
    sae = next(iter(matching(files, paths.SAE_TRAINING, "sae")))
    return figure.update_layout(_layout(sae, tables, settings, colours))


def _settings(file: Path) -> dict[str, Any]:
    """The slice of the SAE's job, from the provenance in its table: without its defaults.

    Raises:
        ArtifactError: when the table does not say where it came from.
    """
    from featflow.artifacts.io import load_provenance, readable

    provenance = load_provenance(file)
    with readable(file):
        if provenance is None or provenance.get("stage") != "sae":
            raise ValueError("it is no training table of an SAE")
    return provenance["config"]


def _line(panel: Panel, model: str, table: "pd.DataFrame", colour: str) -> Any:
    from plotly import graph_objects as go

    return go.Scatter(
        x=table["tokens"].tolist(),
        y=table[panel.column].tolist(),
        name=model,
        mode="lines",
        line={"color": colour, "width": 1.3},
        showlegend=False,
        hovertemplate=f"{model}: {panel.said} after %{{x:,}} tokens<extra></extra>",
        meta={"model": model, "column": panel.column},
    )


def _revived(model: str, table: "pd.DataFrame", colour: str) -> Any:
    from plotly import graph_objects as go

    rows = table[table["revived"] > 0]
    return go.Scatter(
        x=rows["tokens"].tolist(),
        y=rows["dead"].tolist(),
        text=[f"{n:,}" for n in rows["revived"]],
        name=f"{model}: revived",
        mode="markers",
        marker={"color": colour, "size": 8, "symbol": "triangle-up"},
        showlegend=False,
        hovertemplate=f"{model}: %{{text}} features revived by %{{x:,}} tokens<extra></extra>",
        meta={"model": model, "column": "revived"},
    )


def _add_target(figure: "Figure", settings: Mapping[str, dict[str, Any]]) -> None:
    """The L0 that λ is steered to, and while it is."""
    from featflow.figures.style import GREY

    sae = _of(settings)
    if sae.l0 is None:
        return
    figure.add_hline(sae.l0, row=2, col=1, line={"dash": "dash", "width": 1.2, "color": GREY})
    if not isinstance(sae, Relu):
        return
    last = max(max(trace.x) for trace in figure.data)
    start, stop = (share * last for share in STEERED)
    band = {"fillcolor": GREY, "opacity": 0.12, "line_width": 0, "layer": "below"}
    figure.add_vrect(start, stop, row=4, col=1, **band)


def _of(settings: Mapping[str, dict[str, Any]]) -> Relu | TopK:
    """The SAE's settings: all models of one SAE have the same."""
    first = next(iter(settings.values()))
    found: Relu | TopK = TypeAdapter(Sae).validate_python(first["settings"])
    return found


def _layout(
    sae: str,
    tables: Mapping[str, "pd.DataFrame"],
    settings: Mapping[str, dict[str, Any]],
    colours: Mapping[str, str],
) -> dict[str, Any]:
    columns = [p.column for p in PANELS if all(p.column in table for table in tables.values())]
    last = f"xaxis{len(columns)}"
    return {
        "title": {
            "text": f"Training of the SAE {sae}",
            "subtitle": {"text": _subtitle(settings)},
        },
        "showlegend": False,
        "hovermode": "closest",
        last: {"title": "tokens visited", "rangemode": "tozero"},
        "meta": {
            "legend": [[colours[model], model] for model in tables],
            "notes": [_note(model, table) for model, table in tables.items()],
            "footnote": _footnote(tables, settings),
        },
    }


def _subtitle(settings: Mapping[str, dict[str, Any]]) -> str:
    from featflow.figures.style import percent

    sae = _of(settings)
    if isinstance(sae, TopK):
        return f"At a token the {sae.k} largest features fire, of those above 0."
    if sae.l0 is None:
        return f"λ is fixed at {sae.sparsity.l1:g}."
    start, stop = (percent(share) for share in STEERED)
    return (
        f"λ is steered to an L0 of {sae.l0:g} (dashed) from {start} to {stop} of the run (shaded), "
        "then fixed."
    )


def _note(model: str, table: "pd.DataFrame") -> str:
    """Where a run ended: means over the last tenth of its rows."""
    end = table.tail(max(1, len(table) // 10))
    rounds = int((table["revived"] > 0).sum())
    revived = int(table["revived"].sum())
    times = "round" if rounds == 1 else "rounds"
    again = f", {revived:,} revived in {rounds} {times} (▲)" if revived else ", none revived"
    weight = f"λ {end['lambda'].iloc[-1]:.3g}, " if "lambda" in end else ""
    return (
        f"{model}: L0 {end['l0'].mean():.1f}, squared error {end['mse'].mean():.3g}, "
        f"{weight}{end['dead'].iloc[-1]:.1%} dead{again}."
    )


def _footnote(tables: Mapping[str, "pd.DataFrame"], settings: Mapping[str, dict[str, Any]]) -> str:
    first = next(iter(settings.values()))
    raw = first.get("activations", {}).get("scale") == "none"
    scale = (
        "raw activations, whose scale differs from model to model"
        if raw
        else "activations scaled to a mean norm of √n, the same for every model"
    )
    rows = max(len(table) for table in tables.values())
    remedy = "resampling" if isinstance(_of(settings), Relu) else "AuxK"
    return (
        f"Lines: {rows:,} single steps of the run, on their own batches. Squared error: the mean "
        f"over tokens and elements, on {scale}. Dead: silent for so long that a feature is due for "
        f"{remedy}. In the notes L0 and squared error are means over the last tenth of the lines."
    )
