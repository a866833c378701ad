"""A language model with random weights."""

from pathlib import Path

from featflow.core.slices import RandomSlice


def run(
    cfg: RandomSlice,
    *,
    tokenizer: Path,
    output: Path,
    like: Path | None = None,
) -> None:
    """A language model with random weights.

    Args:
        tokenizer: tokenizer.json.
        output: the model folder.
        like: folder of the pretrained model whose architecture it has.
    """
    raise NotImplementedError
