"""Stage `pretrained`: a language model that exists, brought into the study."""

from pathlib import Path

from featflow.core.slices import PretrainedSlice


def run(cfg: PretrainedSlice, *, tokenizer: Path, output: Path) -> None:
    """Fetch a language model that exists."""
    raise NotImplementedError
