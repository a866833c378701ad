"""What every share stands beside: ceilings, floors, arms and intervals."""

from collections.abc import Sequence
from pathlib import Path

from featflow.core.slices import ControlsSlice


def run(
    cfg: ControlsSlice,
    *,
    shares: list[Path],
    bootstraps: list[Path],
    output: Path,
    frozen: Sequence[Path] = (),
) -> None:
    """What every share stands beside: ceilings, floors, arms and intervals.

    Args:
        shares: best partners of each pair of `cfg.shares`.
        bootstraps: the bootstrap's shares of the same.
        output: controls.parquet.
        frozen: frozen dictionaries of each pair of `cfg.transfers`.
    """
    raise NotImplementedError
