"""A parent's SAE applied to its child: the frozen dictionary, and latent scaling."""

from pathlib import Path

from featflow.core.slices import TransferSlice


def run(
    cfg: TransferSlice,
    *,
    parent: Path,
    child: Path,
    parent_sae: Path,
    child_sae: Path,
    tokens: list[Path],
    frozen: Path,
    scaling: Path,
) -> None:
    """A parent's SAE applied to its child: the frozen dictionary, and latent scaling.

    Args:
        parent: the parent's model folder.
        child: the child's.
        parent_sae: the parent's SAE folder.
        child_sae: the child's.
        tokens: the corpora's validation tokens, in their order.
        frozen: where to write r of each parent feature with itself on the child (parquet).
        scaling: where to write the child's features' latent scaling (parquet).
    """
    raise NotImplementedError
