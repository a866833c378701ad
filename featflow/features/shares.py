"""Best partners of every feature on every domain, for the controls."""

from pathlib import Path

from featflow.core.slices import SharesSlice


def run(
    cfg: SharesSlice,
    *,
    a: list[Path],
    b: list[Path],
    tokens: list[Path],
    best: Path,
    bootstrap: Path,
) -> None:
    """Best partners of every feature on every domain, for the controls.

    Args:
        a: dumps of the parent: for each SAE of `cfg.a`, its corpora in their order.
        b: dumps of the child, likewise.
        tokens: the corpora's validation tokens, in their order.
        best: where to write the best partners (parquet).
        bootstrap: where to write the bootstrap's shares (parquet).
    """
    raise NotImplementedError
