"""Figure `case`."""

from typing import TYPE_CHECKING

from featflow.core import paths
from featflow.core.config.figures import CaseFigure
from featflow.core.config.study import Study
from featflow.core.slices import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def inputs(study_name: str, study: Study, figure: CaseFigure) -> list[str]:
    """What it draws."""
    return [paths.CASE.at(study=study_name, case=figure.case)]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Not drawn yet."""
    raise NotImplementedError
