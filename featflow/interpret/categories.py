"""What the explained features are about."""

from pathlib import Path

from featflow.core.slices import CategoriesSlice


def run(
    cfg: CategoriesSlice,
    *,
    scores: list[Path],
    output: Path,
    flow: Path | None = None,
    chains: Path | None = None,
) -> None:
    """What the explained features are about.

    Args:
        scores: scores.parquet of each of `cfg.interpreted`.
        output: categories.csv.
        flow: the fate of every feature.
        chains: where features come from.
    """
    raise NotImplementedError
