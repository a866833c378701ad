"""The page that browses all features."""

from collections.abc import Sequence
from pathlib import Path

from featflow.core.slices import ExplorerSlice


def run(
    cfg: ExplorerSlice,
    *,
    dashboards: list[Path],
    tokenizer: Path,
    output: Path,
    edges: Sequence[Path] = (),
    cases: Sequence[Path] = (),
) -> None:
    """The page that browses all features.

    Args:
        dashboards: index.js of each dictionary of `cfg.saes`.
        tokenizer: tokenizer.json.
        output: the page; vocabulary.js is written beside it.
        edges: edges.csv of each SAE that has edges.
        cases: of `cfg.cases`.
    """
    raise NotImplementedError
