"""What the chains add up to, apart from how they are found: figures and pages read no more."""

import pandas as pd


def chain_counts(chains: pd.DataFrame) -> pd.DataFrame:
    """What the chains add up to: a row a statement, with the features that it is a share of.

    Returns:
        columns `model`, `statement`, `features`, `of` (the living features, or those traced).
    """
    rows = []
    for (role, model), part in chains.groupby(["role", "model"], sort=False):
        status = part["status"].value_counts()
        living = len(part) - status.get("rare", 0) - status.get("silent", 0)
        derived, later = status.get("base-derived", 0), status.get("emerged-in-finetune", 0)
        if role == "root":
            rows.append((model, "persist into any child", status.get("persisting", 0), living))
            continue
        rows += [
            (model, "are traced to a parent", derived + later, living),
            (model, "are derived from a base, of those traced", derived, derived + later),
            (model, "emerged in fine-tuning, of those traced", later, derived + later),
            (model, "are emerging", status.get("emerging", 0), living),
            (model, "match a base, but no model between", int(part["direct"].sum()), living),
        ]
    table = pd.DataFrame(rows, columns=["model", "statement", "features", "of"])
    return table.astype({"features": "int64", "of": "int64"})
