"""The typed config. Nothing here imports torch, so that a dry run is instant."""

from featflow.config.errors import ConfigError, FeatflowError
from featflow.config.load import Workflow, load
from featflow.config.study import Study

__all__ = ["ConfigError", "FeatflowError", "Study", "Workflow", "load"]
