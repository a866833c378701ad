"""The data of every feature's page."""

from pathlib import Path

from featflow.core.slices import DashboardsSlice


def run(
    cfg: DashboardsSlice,
    *,
    model: Path,
    sae: Path,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    summary: Path,
    output: Path,
    flow: Path | None = None,
    chains: Path | None = None,
    scores: Path | None = None,
) -> None:
    """The data of every feature's page.

    Args:
        model: the model folder.
        sae: the SAE folder.
        dumps: of each of `cfg.models`, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        summary: of this dictionary.
        output: the folder; index.js is written last.
        flow: the fate of every feature.
        chains: where features come from.
        scores: explanations of this dictionary's features.
    """
    raise NotImplementedError
