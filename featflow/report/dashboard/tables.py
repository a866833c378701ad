"""What other stages have found out about each feature, from their tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featflow.artifacts.io import load_table, readable
from featflow.report.scripts import rounded

FATES = ("persisting", "disappearing", "emerging", "rare", "silent")

CHAIN = (
    "role",
    "status",
    "via",
    "parent",
    "parent_feature",
    "root",
    "root_feature",
    "r_last",
    "r_first",
    "r_end",
    "direct",
)
SCORES = (
    "explainer",
    "explanation",
    "status",
    "reason",
    "pearson",
    "spearman",
    "detection",
    "fuzzing",
)
BASELINES = ("lookup", "lookup_probe")
"""The explainers whose explanations stand behind another's."""


def fates(flow: Path, model: str) -> dict[str, list[int]]:
    """What became of each feature on every edge: `{edge}:{role}` → indices into FATES.

    Args:
        flow: features.parquet of the SAE.
        model: whose features.
    """
    table = load_table(flow, "edge", "role", "model", "feature", "fate")
    table = table[table["model"] == model]
    found = {}
    with readable(flow):
        for (edge, role), rows in table.groupby(["edge", "role"], sort=False):
            named = rows.sort_values("feature")["fate"]
            found[f"{edge}:{role}"] = [FATES.index(fate) for fate in named]
    return found


def ratios(scaling: Path, features: int) -> np.ndarray:
    """ν_error and ν_reconstruction of each feature (m, 2), NaN where there is none."""
    table = load_table(scaling, "feature", "nu_error", "nu_reconstruction").set_index("feature")
    return table.reindex(range(features)).to_numpy(dtype=np.float64)


def chain_rows(chains: Path, model: str) -> dict[int, dict[str, Any]]:
    """Where each feature comes from, or what became of it: its row in chains.parquet."""
    table = load_table(chains, "model", "feature", *CHAIN)
    table = table[table["model"] == model]
    rows = objects(table[list(CHAIN)])
    return dict(zip(table["feature"].tolist(), rows, strict=True))


def score_rows(scores: Path) -> pd.DataFrame:
    """Explanations and scores, the baselines' behind those of another explainer."""
    table = load_table(scores, "feature", "category", *SCORES)
    place = table["explainer"].map(lambda name: name in BASELINES and 1 + BASELINES.index(name))
    return table.assign(place=place.astype(int)).sort_values(["feature", "place"], kind="stable")


def explained(table: pd.DataFrame, features: int) -> dict[str, list[Any]]:
    """Of each feature its first explanation, that one's score, and its category; null: none.

    Args:
        table: of `score_rows`.
        features: how many there are.
    """
    first = table[table["explanation"].notna()].drop_duplicates("feature").set_index("feature")
    first = first.reindex(range(features))
    return {
        "explanation": plain(first["explanation"]),
        "score": plain(first["pearson"]),
        "category": plain(first["category"]),
    }


def by_feature(table: pd.DataFrame) -> dict[int, list[dict[str, Any]]]:
    """All rows of each feature, as objects.

    Args:
        table: of `score_rows`.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    rows = objects(table[list(SCORES)])
    for feature, row in zip(table["feature"].tolist(), rows, strict=True):
        found.setdefault(int(feature), []).append(row)
    return found


def objects(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as objects: null where there is nothing, floats to four digits."""
    columns = {str(name): plain(table[name]) for name in table}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def plain(values: pd.Series) -> list[Any]:
    """A column as JSON knows it."""
    if pd.api.types.is_float_dtype(values):
        return rounded(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return [None if pd.isna(value) else value for value in values.tolist()]
