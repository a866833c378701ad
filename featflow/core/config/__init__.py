"""The typed config. Nothing here imports torch, so that a dry run is instant."""

from featflow.core.config.errors import ConfigError, FeatflowError
from featflow.core.config.load import Workflow, load
from featflow.core.config.study import Study

__all__ = ["ConfigError", "FeatflowError", "Study", "Workflow", "load"]
