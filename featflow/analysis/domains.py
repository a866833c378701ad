"""The shares on each corpus and each scope alone."""

from pathlib import Path

from featflow.core.slices import DomainsSlice


def run(
    cfg: DomainsSlice,
    *,
    shares: list[Path],
    output: Path,
) -> None:
    """The shares on each corpus and each scope alone.

    Args:
        shares: best partners of each pair of `cfg.shares`.
        output: domains.parquet.
    """
    raise NotImplementedError
