"""Figure `controls`."""

from typing import TYPE_CHECKING

from featflow.core import paths
from featflow.core.config.figures import ControlsFigure
from featflow.core.config.study import Study
from featflow.core.slices import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def inputs(study_name: str, study: Study, figure: ControlsFigure) -> list[str]:
    """What it draws."""
    sae = figure.sae or study.flow_saes[0]
    return [t.at(study=study_name, sae=sae) for t in (paths.FLOW_CONTROLS, paths.FLOW_EDGES)]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Not drawn yet."""
    raise NotImplementedError
