"""Chains: what became of a root's features, and where a descendant's features come from.

The lineage is any graph; a root is a model none of whose parents has this SAE. A *link* is a living
child feature, a parent feature that counts, and r > τ on the child's scope. A descendant's feature
is `base-derived` if links lead from it to a root; where several paths do, the one with the largest
product of r is told. Two links above 0.8 guarantee an end-to-end r of only 0.28, so the r of both
ends stands beside them.
"""

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter

import numpy as np
import pandas as pd

from featflow.analysis.fates import Comparison, Side
from featflow.features.matrix import Matrix

Edges = Mapping[tuple[str, str], Comparison]
EndToEnd = Callable[[str, str], Matrix | np.ndarray | None]
"""(root, model) → r (m_root, m_model) on the model's scope; None where it was not computed."""

COLUMNS = {
    "role": "str",  # root | descendant
    "model": "str",
    "feature": "int64",
    "status": "str",
    "via": "str",  # root: the children it persists into; descendant: the parents it is in
    "parent": "str",
    "parent_feature": "Int64",
    "root": "str",
    "root_feature": "Int64",
    "r_last": "float64",  # the link into the parent
    "r_first": "float64",  # the link into the root
    "r_end": "float64",  # root feature and this one, directly
    "direct": "bool",
}


def chain_table(edges: Edges, spans: Edges, end_to_end: EndToEnd) -> pd.DataFrame:
    """A row for each feature of every root, and of every model with parents that have parents.

    A merge counts as such a model whatever its parents are.

    Args:
        edges: parent → child comparisons.
        spans: root → merge comparisons, for matches that no model between them has.
        end_to_end: where to look up r between a root and a descendant.
    """
    parents: dict[str, list[str]] = {}
    for parent, child in edges:
        parents.setdefault(child, []).append(parent)
        parents.setdefault(parent, [])
    roots = [model for model in parents if not parents[model]]
    traced: dict[str, pd.DataFrame] = {}
    tables = [_root(root, edges) for root in roots]
    for model in TopologicalSorter(parents).static_order():
        if model in roots:
            continue
        traced[model] = _traced(model, parents[model], edges, traced)
        if len(parents[model]) > 1 or not set(parents[model]) <= set(roots):
            rows = _descendant(model, parents[model], edges, traced[model])
            rows = _with_direct(rows, parents, edges, spans)
            tables.append(_with_ends(rows, end_to_end))
    if not tables:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    return pd.concat(tables, ignore_index=True)


def _fill(rows: pd.DataFrame) -> pd.DataFrame:
    """Every column, in order and of its type; null where there is nothing to say."""
    rows = rows.reindex(columns=list(COLUMNS))
    return rows.assign(direct=rows["direct"].eq(True)).astype(COLUMNS)


def _standing(sides: Sequence[Side], found: np.ndarray, fates: tuple[str, str]) -> np.ndarray:
    """One status a feature over several edges: living on any of them, else rare, else silent."""
    alive = np.any([side.alive for side in sides], axis=0)
    rare = np.any([side.rare for side in sides], axis=0)
    return np.select([alive & found, alive, rare], [*fates, "rare"], "silent")


def _joined(names: Sequence[str], found: Sequence[np.ndarray]) -> list[str | None]:
    """For each feature the names under which it was found, with "+" between them."""
    return [
        "+".join(name for name, there in zip(names, row, strict=True) if there) or None
        for row in np.stack(found, axis=1)
    ]


def _root(root: str, edges: Edges) -> pd.DataFrame:
    children = [child for parent, child in edges if parent == root]
    sides = [edges[root, child].a for child in children]
    found = [side.matched for side in sides]
    status = _standing(sides, np.any(found, axis=0), ("persisting", "disappearing"))
    rows = pd.DataFrame({"feature": np.arange(len(status)), "status": status})
    rows["via"] = _joined(children, found)
    return _fill(rows.assign(role="root", model=root))


def _traced(
    model: str, parents: Sequence[str], edges: Edges, traced: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The best path of each feature that has a partner in a parent; the index is the feature.

    A path that reaches a root is better than one that does not, then the product of r decides.
    """
    links = pd.concat([_links(parent, edges[parent, model].b, traced) for parent in parents])
    rooted = links["root"].notna()
    links = links.assign(rooted=rooted).sort_values(
        ["feature", "rooted", "product"], ascending=[True, False, False], kind="stable"
    )
    return links.drop_duplicates("feature").set_index("feature")


def _links(parent: str, side: Side, traced: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The links of a model into one parent, each with how that parent's feature goes on."""
    feature, partner, r = side.links
    links = pd.DataFrame({"feature": feature, "parent_feature": partner, "r_last": r})
    links = links.astype({"r_last": "float64"}).assign(parent=parent)
    if parent not in traced:  # a root: the path ends here
        r_last = links["r_last"]
        return links.assign(root=parent, root_feature=partner, r_first=r_last, product=r_last)
    onward = traced[parent][["root", "root_feature", "r_first", "product"]]
    links = links.join(onward, on="parent_feature")
    reaches = links["root"].notna()
    links["product"] = links["r_last"] * links["product"].where(reaches, 1.0)
    links["r_first"] = links["r_first"].where(reaches)
    return links


def _descendant(
    model: str, parents: Sequence[str], edges: Edges, best: pd.DataFrame
) -> pd.DataFrame:
    sides = [edges[parent, model].b for parent in parents]
    found = [side.matched for side in sides]
    status = _standing(sides, np.any(found, axis=0), ("emerged-in-finetune", "emerging"))
    rows = pd.DataFrame({"feature": np.arange(len(status))}).join(best, on="feature")
    rows["status"] = np.where(rows["root"].notna(), "base-derived", status)
    rows["via"] = _joined(parents, found)
    return _fill(rows.assign(role="descendant", model=model))


def _with_direct(
    rows: pd.DataFrame, parents: Mapping[str, Sequence[str]], edges: Edges, spans: Edges
) -> pd.DataFrame:
    """Mark what matches a root though no model between has it.

    That is an emerging feature (no partner in any parent) with r > τ to a root feature that
    persists into no child of the root that leads here; of several, the one with the largest r.
    """
    model = str(rows["model"].iat[0])
    between = _ancestors(model, parents)
    found = [
        pd.DataFrame({"feature": j, "root": root, "root_feature": i, "r": r})[~kept[i]]
        for (root, end), span in spans.items()
        if end == model
        for kept in [_kept(root, len(span.a.silent), between, edges)]
        for j, i, r in [span.b.links]
    ]
    if not found:
        return rows
    links = pd.concat(found).sort_values("r", ascending=False, kind="stable")
    links = links.drop_duplicates("feature").set_index("feature")
    emerging = rows.loc[rows["status"] == "emerging", "feature"]
    links = links[links.index.isin(emerging)]
    rows.loc[links.index, ["root", "root_feature"]] = links[["root", "root_feature"]]
    rows.loc[links.index, "direct"] = True
    return rows


def _kept(root: str, size: int, models: set[str], edges: Edges) -> np.ndarray:
    """Which features of a root persist into any of its children among these models."""
    found = [pair.a.matched for (a, b), pair in edges.items() if a == root and b in models]
    return np.any([np.zeros(size, dtype=bool), *found], axis=0)


def _ancestors(model: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    return {a for p in parents[model] for a in {p, *_ancestors(p, parents)}}


def _with_ends(rows: pd.DataFrame, end_to_end: EndToEnd) -> pd.DataFrame:
    """Fill r_end: the root feature and this one, without what lies between."""
    model = str(rows["model"].iat[0])
    for root, those in rows[rows["root"].notna()].groupby("root"):
        r = end_to_end(str(root), model)
        if r is not None:
            pairs = those["root_feature"].to_numpy(dtype=int), those["feature"].to_numpy(dtype=int)
            ends = r[pairs]
            rows.loc[those.index, "r_end"] = ends.astype("float64")
    return rows
