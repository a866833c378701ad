"""Figure `density`: how often features fire, a histogram of log10 density a model."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.config.figures import DensityFigure
from featflow.figures.files import matching
from featflow.figures.panels import log_ticks, power, stacked
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from plotly.graph_objects import Figure

BIN = 0.1
"""Width of a bin, in powers of ten."""

ROW = 112
"""Pixels of a model."""


class Counted(NamedTuple):
    """A dictionary's features, by how often they fire on the probe."""

    features: int
    silent: int
    median: float
    """Density of the median living feature; NaN where none lives."""
    tokens: int | None
    """Tokens of the probe: one firing is a density of one by this. None where none lives."""
    counts: "np.ndarray"
    """Living features a bin."""


def inputs(slices: Slices, figure: DensityFigure) -> list[str]:
    """The summary table of one SAE on every model that has it."""
    sae = figure.sae or slices.study.flow_saes[0]
    models = slices.lineage.sae_models(sae)
    return [paths.SUMMARY.at(study=slices.name, model=m, sae=sae) for m in models]


def models(slices: Slices, figure: DensityFigure) -> Iterable[str]:
    """None."""
    return []


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """A row a model, all on the same axes; the line is the median living feature.

    Each histogram's `meta` holds its model and its living features a bin.
    """
    from featflow.artifacts.io import load_table
    from featflow.figures.style import series

    found = matching(files, paths.SUMMARY, "model")
    tables = {m: load_table(f, "density", "firings") for m, f in found.items()}
    bins = edges([table["density"] for table in tables.values()])
    counted = {model: count(table, bins) for model, table in tables.items()}
    colours = series(tables)
    figure = stacked([_heading(model, one) for model, one in counted.items()], ROW)
    for row, (model, one) in enumerate(counted.items(), 1):
        figure.add_trace(_histogram(model, one, bins, colours[model]), row=row, col=1)
        if one.silent < one.features:
            figure.add_vline(one.median, row=row, col=1, line={"width": 2, "color": colours[model]})
    sae = next(iter(matching(files, paths.SUMMARY, "sae")))
    return figure.update_layout(_layout(sae, counted, bins, colours))


def edges(densities: list["pd.Series"]) -> "np.ndarray":
    """The bins' edges as powers of ten, at multiples of BIN, around all living features."""
    import numpy as np
    import pandas as pd

    alive = pd.concat(densities)
    alive = np.log10(alive[alive > 0])
    low, high = (alive.min(), alive.max()) if len(alive) else (-2.0, -1.0)
    first, last = int(np.floor(low / BIN)) - 1, int(np.floor(high / BIN)) + 2
    return np.round(np.arange(first, last + 1) * BIN, 6)


def count(table: "pd.DataFrame", bins: "np.ndarray") -> Counted:
    """A summary table's features by how often they fire."""
    import numpy as np

    alive = table[table["density"] > 0]
    one = alive.iloc[0] if len(alive) else None
    return Counted(
        features=len(table),
        silent=len(table) - len(alive),
        median=float(alive["density"].median()) if len(alive) else float("nan"),
        tokens=None if one is None else round(one["firings"] / one["density"]),
        counts=np.histogram(np.log10(alive["density"]), bins)[0],
    )


def _histogram(model: str, one: Counted, bins: "np.ndarray", colour: str) -> Any:
    """The outline as steps, filled; each bin says its numbers."""
    from plotly import graph_objects as go

    from featflow.figures.style import faded, percent

    shares = (one.counts / max(one.features, 1)).tolist()
    texts = [
        f"{model}: {n:,} of {one.features:,} features ({percent(share)})"
        f"<br>with a density of {_written(10**low)} to {_written(10**high)}"
        for n, share, low, high in zip(one.counts, shares, bins, bins[1:], strict=False)
    ]
    return go.Scatter(
        x=(10.0**bins).tolist(),
        y=[*shares, 0.0],
        hovertext=[*texts, ""],
        hovertemplate="%{hovertext}<extra></extra>",
        name=model,
        mode="lines",
        line={"color": colour, "width": 1.6, "shape": "hv"},
        fill="tozeroy",
        fillcolor=faded(colour, 0.25),
        showlegend=False,
        meta={"model": model, "counts": one.counts.tolist()},
    )


def _layout(
    sae: str,
    counted: Mapping[str, Counted],
    bins: "np.ndarray",
    colours: Mapping[str, str],
) -> dict[str, Any]:
    highest = max(float((c.counts / max(c.features, 1)).max()) for c in counted.values())
    rows = range(1, len(counted) + 1)
    axes = [f"axis{row if row > 1 else ''}" for row in rows]
    low, high = float(bins[0]), float(bins[-1])
    across = {**log_ticks(10**low, 10**high), "range": [low, high]}
    upwards = {"range": [0, 1.05 * highest], "tickformat": ".0%", "nticks": 4}
    return {
        "title": {
            "text": f"How often the features of the SAE {sae} fire",
            "subtitle": {
                "text": "Density: the share of the probe's tokens at which a feature fires. "
                "Heights: the share of the SAE's features. Line: the median living feature."
            },
        },
        "showlegend": False,
        **{f"x{axis}": across for axis in axes},
        f"x{axes[-1]}": {**across, "title": "density"},
        **{f"y{axis}": upwards for axis in axes},
        "meta": {
            "legend": [[colours[model], model] for model in counted],
            "notes": [_note(model, one) for model, one in counted.items()],
            "footnote": _footnote(counted),
        },
    }


def _heading(model: str, one: Counted) -> str:
    median = f": median {_written(one.median)}" if one.silent < one.features else ""
    silent = f", {one.silent:,} silent" if one.silent else ""
    return f"<b>{model}</b>{median}{silent}"


def _written(density: float) -> str:
    return f"{density:.2g}" if density >= 1e-4 else power(density)


def _note(model: str, one: Counted) -> str:
    living = one.features - one.silent
    median = f", median density {_written(one.median)}" if living else ""
    return f"{model}: {living:,} of {one.features:,} features fire{median}; {one.silent:,} silent."


def _footnote(counted: Mapping[str, Counted]) -> str:
    tokens = {one.tokens for one in counted.values() if one.tokens}
    smallest = (
        f" One firing among {max(tokens):,} tokens is a density of {power(1 / max(tokens))}, the "
        "smallest that the probe can show."
        if tokens
        else ""
    )
    return (
        f"Bins of {BIN:g} in log10 density. Silent features, which fire at no token of the probe, "
        f"are in no bin.{smallest}"
    )
