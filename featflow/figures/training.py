"""Figure `training`: how each SAE was trained."""

from typing import TYPE_CHECKING

from featflow.core import paths
from featflow.core.config.figures import TrainingFigure
from featflow.core.config.study import Study
from featflow.core.lineage import Lineage
from featflow.core.slices import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def inputs(study_name: str, study: Study, figure: TrainingFigure) -> list[str]:
    """The training table of one SAE on every model that has it."""
    sae = figure.sae or study.flow_saes[0]
    models = Lineage(study).sae_models(sae)
    return [paths.SAE_TRAINING.at(study=study_name, model=m, sae=sae) for m in models]


def draw(cfg: FigureSlice, files: list[str]) -> "Figure":
    """Draw it."""
    raise NotImplementedError
