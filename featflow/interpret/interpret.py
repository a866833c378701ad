"""Explanations of features, and how well they predict."""

from pathlib import Path

from featflow.core.slices import InterpretSlice


def run(
    cfg: InterpretSlice,
    *,
    dumps: list[Path],
    tokens: list[Path],
    tokenizer: Path,
    output: Path,
    flow: Path | None = None,
) -> None:
    """Explanations of features, and how well they predict.

    Args:
        dumps: of the model, its corpora in their order.
        tokens: the corpora's validation tokens, in their order.
        tokenizer: tokenizer.json.
        output: scores.parquet; answers.jsonl lies beside it.
        flow: the fate of every feature.
    """
    raise NotImplementedError
