"""Figure `scores`."""

from typing import TYPE_CHECKING

from featflow.core import paths
from featflow.core.config.figures import ScoresFigure
from featflow.core.config.study import Study
from featflow.core.slicer import Slices
from featflow.core.slices import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def inputs(study_name: str, study: Study, figure: ScoresFigure) -> list[str]:
    """What it draws."""
    sae, models = Slices(study_name, study).interpreted()
    return [paths.INTERPRET.at(study=study_name, model=m, sae=sae) for m in models]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Not drawn yet."""
    raise NotImplementedError
