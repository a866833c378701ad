"""The frozen dictionary: the parent's SAE on the child's activations, feature by feature.

No second SAE is trained, so none of the loss between two dictionaries is in it: what is left is how
far the model itself moved. Feature i is compared with feature i, and persists if r > τ.
"""

from pathlib import Path

import numpy as np

from featflow.analysis.judged import Judged, alive, density_of
from featflow.artifacts.io import ArtifactError, load_table
from featflow.artifacts.reading import named, rebuild
from featflow.config.study import Flow

COLUMNS = ("feature", "r", "firings", "documents", "child_firings", "child_documents", "tokens")


def frozen(file: Path, flow: Flow, lookup_r: np.ndarray) -> Judged:
    """The parent's features, judged against themselves on the child.

    As everywhere, a feature that is silent or rare on the parent's activations is in no share, and
    one that is silent or rare on the child's is found nowhere.

    Args:
        file: frozen.parquet.
        flow: what is rare.
        lookup_r: (m,) of the parent's features, which the table does not have.

    Raises:
        ArtifactError: when the table cannot be read, or is of another dictionary.
    """
    rows = load_table(file, *COLUMNS).sort_values("feature", kind="stable")
    if not np.array_equal(rows["feature"].to_numpy(), np.arange(len(lookup_r))):
        raise ArtifactError(
            f"{file}: its features are not the {len(lookup_r):,} of the parent's SAE; "
            f"{rebuild(named(file))}"
        )
    r = rows["r"].to_numpy(np.float32, na_value=np.nan)
    there = alive(rows, flow, "child_")
    return Judged(
        alive=alive(rows, flow),
        r=np.where(there, r, np.float32(np.nan)),
        lookup_r=lookup_r,
        density=density_of(rows),
    )
