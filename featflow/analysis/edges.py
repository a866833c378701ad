"""Every share beside its controls."""

from pathlib import Path

from featflow.core.slices import EdgesSlice


def run(
    cfg: EdgesSlice,
    *,
    counts: Path,
    features: Path,
    controls: Path,
    summaries: list[Path],
    edges: Path,
    strata: Path,
) -> None:
    """Every share beside its controls.

    Args:
        counts: counts.csv of stage flow.
        features: the fate of every feature.
        controls: controls.parquet.
        summaries: of each of `cfg.models`.
        edges: edges.csv.
        strata: strata.csv.
    """
    raise NotImplementedError
