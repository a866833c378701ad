"""The study's figures, as the page draws them: one copy of plotly.js for all."""

import json
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from featflow.artifacts.io import load_json, load_provenance, readable
from featflow.figures.files import matching
from featflow.figures.style import TITLE, Words
from featflow.plan import paths
from featflow.plan.stages.report import ReportSlice


class Figure(NamedTuple):
    """A figure, and the words around it."""

    name: str
    kind: str
    sae: str | None
    """The SAE that its settings name."""
    case: str | None
    """The case that its settings name."""
    words: Words
    height: int
    """Pixels."""
    plot: Markup
    """What plotly.js draws: JSON that may stand in a script element."""


def figures(cfg: ReportSlice, files: list[Path]) -> list[Figure]:
    """All figures of the study, in its order."""
    found = matching(files, paths.FIGURE, "figure", format="json")
    return [_figure(name, found[name]) for name in cfg.figures]


def _figure(name: str, file: Path) -> Figure:
    figure, provenance = load_json(file), load_provenance(file)
    with readable(file):
        if provenance is None or "meta" not in figure.get("layout", {}):
            raise ValueError("it is no figure of featflow")
    settings, layout = provenance["config"]["settings"], dict(figure["layout"])
    words = Words(**layout.pop("meta"))
    del layout["title"]  # it is among the words: the plot needs no room for it
    height = layout["height"] - TITLE
    layout |= {"height": height, "margin": {**layout.get("margin", {}), "t": 12}}
    plot = in_script({"data": figure["data"], "layout": layout})
    return Figure(
        name, settings["kind"], settings.get("sae"), settings.get("case"), words, height, plot
    )


def in_script(content: object) -> Markup:
    """JSON that no text in it can end the script element of."""
    return Markup(json.dumps(content, sort_keys=True).replace("<", "\\u003c"))
