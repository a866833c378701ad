"""What the explained features are about: the categories of each group, and along chains.

The categories are those of scores.parquet (rules.py says how a feature gets one): here they are
counted. Within a group they are a random sample's; a chain status (analysis/chains.py) takes the
explained features that have it, whichever group they were drawn for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from featflow.artifacts.io import load_table, save_table
from featflow.artifacts.provenance import Provenance
from featflow.interpret.providers.lookup import PROBE_NAME
from featflow.interpret.rules import OTHER, load
from featflow.interpret.select import GROUPS, LISTED, members_of
from featflow.plan.stages.interpret import CategoriesSlice
from featflow.runtime.log import log

COLUMNS = {
    "model": "str",
    "explainer": "str",
    "kind": "str",
    "name": "str",
    "category": "str",
    "features": "int64",
    "of": "int64",
    "share": "float64",
    "population": "Int64",
}

STATUSES = ("persisting", "disappearing", "base-derived", "emerged-in-finetune", "emerging")
"""Of a root's and of a descendant's features; silent and rare ones are never explained."""


def run(
    cfg: CategoriesSlice,
    *,
    scores: list[Path],
    output: Path,
    flow: Path | None = None,
    chains: Path | None = None,
) -> None:
    """What the explained features are about.

    Args:
        scores: scores.parquet of each of `cfg.interpreted`.
        output: categories.parquet.
        flow: the fate of every feature, for how many each group has.
        chains: where features come from.

    Raises:
        ArtifactError: when an input is missing, truncated or foreign.
    """
    optional = [path for path in (flow, chains) if path is not None]
    provenance = Provenance("categories", cfg, [*scores, *optional])
    fates = load_table(flow, "model", "feature", "fate") if flow else None
    links = load_table(chains, "model", "feature", "status") if chains else None
    order = load(cfg.settings.categories).names
    lines: list[tuple] = []
    for model, path in zip(cfg.interpreted, scores, strict=True):
        table = load_table(path, "feature", "groups", "explainer", "category")
        status = _own(links, model).set_index("feature")["status"] if links is not None else None
        sizes = populations(_own(fates, model) if fates is not None else None, status)
        lines += [(model, *line, sizes.get(line[1:3])) for line in count(table, status, order)]
    table = pd.DataFrame(lines, columns=list(COLUMNS)).astype(COLUMNS)
    save_table(output, table, provenance)
    log.info("%s rows about %s models", len(lines), len(cfg.interpreted))


def count(
    table: pd.DataFrame, status: pd.Series | None, order: Sequence[str] = ()
) -> Iterator[tuple[str, str, str, str, int, int, float]]:
    """The categories of a model's explained features, group by group.

    Args:
        table: feature, groups, explainer, category of scores.parquet; rows without a category (not
            explained) are left out. `lookup_probe` says no other than `lookup`, and is left out.
        status: of each feature along chains (the index is the feature); None: it has none.
        order: of categories that are equally frequent.

    Yields:
        explainer, kind (group or chain), the group's or the status's name, category, its features,
        the features of the group, and the share; the most frequent category first.
    """
    known = table[table["category"].notna() & (table["explainer"] != PROBE_NAME)]
    places = {name: place for place, name in enumerate([*order, OTHER])}
    for explainer, rows in known.groupby("explainer", sort=False):
        for kind, name, members in _parts(rows, status):
            counts = members["category"].value_counts()
            ranked = sorted(counts.items(), key=lambda c: (-c[1], places.get(str(c[0]), -1)))
            for category, features in ranked:
                share = features / len(members)
                yield (
                    str(explainer),
                    kind,
                    name,
                    str(category),
                    int(features),
                    len(members),
                    float(share),
                )


def populations(
    fates: pd.DataFrame | None, status: pd.Series | None
) -> Mapping[tuple[str, str], int]:
    """How many features a model has of each group and status, explained or not.

    Args:
        fates: feature and fate on each of the model's edges.
        status: as for `count`.
    """
    sizes = {}
    if fates is not None:
        sizes = {("group", group): len(found) for group, found in members_of(fates).items()}
    if status is not None:
        sizes |= {("chain", str(name)): int(n) for name, n in status.value_counts().items()}
    return sizes


def _own(table: pd.DataFrame, model: str) -> pd.DataFrame:
    return table[table["model"] == model]


def _parts(rows: pd.DataFrame, status: pd.Series | None) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """The explained features of each group and of each chain status that has any."""
    groups = rows["groups"].str.split("+")
    for group in (*GROUPS, LISTED):
        inside = rows[[group in found for found in groups]]
        if len(inside):
            yield "group", group, inside
    if status is None:
        return
    found = rows["feature"].map(status)
    for name in STATUSES:
        if (found == name).any():
            yield "chain", name, rows[found == name]
