"""A feature found by what it fires on, and followed through the lineage."""

from pathlib import Path

from featflow.core.slices import CaseSlice


def run(
    cfg: CaseSlice,
    *,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    output: Path,
    flow: Path | None = None,
    shares: Path | None = None,
) -> None:
    """A feature found by what it fires on, and followed through the lineage.

    Args:
        dumps: of each of `cfg.models`, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        output: the case, as JSON.
        flow: the fate of every feature.
        shares: the model's own SAE compared with its reseeds.
    """
    raise NotImplementedError
