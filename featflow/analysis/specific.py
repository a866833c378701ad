"""Whether what emerges is new to the model, or to its dictionary alone: latent scaling, counted.

Of a child feature ν_error and ν_reconstruction (features/scaling.py) say how much of it was in the
parent's activations already, unsaid by the parent's SAE or said by other features. Minder et al.
2025 (arXiv 2504.02922) call it specific to the child where ν_error < 0.2 and ν_reconstruction <
0.5. Neither is 0 by chance, so what emerges is read beside what is traced.
"""

from typing import Any

import numpy as np
import pandas as pd

SPECIFIC = {"nu_error": 0.2, "nu_reconstruction": 0.5}
"""A feature is specific to the child if both of its ν are below."""

ENDS = {"emerging": "emerging", "traced": "persisting"}
"""A child's features by what became of them, and their fate in features.parquet."""

NONE: dict[str, Any] = {
    f"{end}_{name}": value
    for end in ENDS
    for name, value in (
        ("scaled", pd.NA),
        ("specific", pd.NA),
        ("nu_error", np.nan),
        ("nu_reconstruction", np.nan),
    )
}
"""What there is to say of an edge without latent scaling."""


def counted(fates: pd.DataFrame, scaling: pd.DataFrame) -> dict[str, Any]:
    """Of one edge, for `emerging` and `traced`: features with both ν (`_scaled`), those of them
    that are specific (`_specific`), and the medians of both ν (`_nu_error`, `_nu_reconstruction`).

    Args:
        fates: the child's rows of features.parquet on this edge: feature, fate.
        scaling: scaling.parquet of the edge.
    """
    table = scaling.set_index("feature")[list(SPECIFIC)]
    found: dict[str, Any] = {}
    for end, fate in ENDS.items():
        known = table.reindex(fates.loc[fates["fate"] == fate, "feature"]).dropna()
        specific = (known < pd.Series(SPECIFIC)).all(axis=1)
        found[f"{end}_scaled"] = len(known)
        found[f"{end}_specific"] = int(specific.sum())
        found |= {f"{end}_{name}": known[name].median() for name in SPECIFIC}
    return found
