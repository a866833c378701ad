"""Stage `report`: one static page that shows a whole study."""

from pathlib import Path

from featflow.core.slices import ReportSlice


def run(cfg: ReportSlice, *, inputs: list[Path], output: Path) -> None:
    """Write the report of a study."""
    raise NotImplementedError
