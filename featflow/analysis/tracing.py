"""A feature followed from its model to all others of the lineage, link by link.

A link is an edge of the lineage and the best partner that counts on it, as stage `flow` has it:
towards a child the parent's feature is judged, on the parent's side of the scope; towards a parent
the child's is. It *holds* if r > τ and the feature is living there.

First the ancestors, nearest first; then all other models that a placed parent leads to. Where
several links lead to a model, one that holds at the end of an unbroken path goes before one that
only comes from such a path, and this before any other; of equals the one with the largest r is
chosen. (By r alone, a merge would often be reached through what is only a near miss in one parent.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from featflow.artifacts.io import load_table
from featflow.config.study import Flow
from featflow.features import rule
from featflow.plan.slices import Node

COLUMNS = ("edge", "role", "feature", "fate", "partner", "r")


class Link(NamedTuple):
    """What a feature of one end of an edge has at the other end."""

    feature: int | None
    """The best partner that counts there; None: there is none."""
    r: float | None
    fate: str
    """Of the feature that is followed: persisting or disappearing, emerging, rare, silent."""
    holds: bool


@dataclass
class Place:
    """Where the feature is in a model."""

    feature: int | None = None
    came_from: str | None = None
    """The model at the other end of the chosen link; None in the model where it was found."""
    unbroken: bool = True
    """Whether every link from there to here holds."""
    parents: dict[str, Link] = field(default_factory=dict)
    """The links by which parents lead here."""
    children: dict[str, Link] = field(default_factory=dict)
    """Those by which children do: for ancestors of the model where it was found."""


Look = Callable[[str, str, str, int], Link]
"""(parent, child, role of the end where the feature is, feature) → its link."""


def links(table: Path | None, threshold: float) -> Look:
    """How to look up links in features.parquet of stage `flow` (None: there are no edges).

    Raises:
        ArtifactError: when it cannot be read.
    """
    found = pd.DataFrame(columns=list(COLUMNS)) if table is None else load_table(table, *COLUMNS)

    def look(parent: str, child: str, role: str, feature: int) -> Link:
        here = (found["edge"] == f"{parent}-{child}") & (found["role"] == role)
        rows = found[here & (found["feature"] == feature)]
        if rows.empty:
            return Link(None, None, "silent", False)
        row = rows.iloc[0]
        r = None if pd.isna(row["r"]) else round(float(row["r"]), 6)
        partner = None if pd.isna(row["partner"]) else int(row["partner"])
        living = row["fate"] not in ("silent", "rare")
        return Link(partner, r, str(row["fate"]), living and _above(row["r"], threshold))

    return look


def reseed_links(
    look: Look, model: str, tables: Mapping[tuple[str, str], pd.DataFrame], flow: Flow
) -> Look:
    """Links for a feature of a reseed of `model`: those at `model` are the reseed's own.

    All others are between the SAEs that the study follows.

    Args:
        look: these others.
        model: whose SAE has the reseed.
        tables: by edge of the model, the reseed's rows in its shares table: feature, partner, r,
            firings, documents, on the scope of the flow.
        flow: the threshold and what is rare.
    """

    def own(parent: str, child: str, role: str, feature: int) -> Link:
        if model != (parent if role == "parent" else child) or (parent, child) not in tables:
            return look(parent, child, role, feature)
        rows = tables[parent, child]
        rows = rows[rows["feature"] == feature]
        if rows.empty:
            return Link(None, None, "silent", False)
        row = rows.iloc[0]
        partner = None if row["partner"] < 0 else int(row["partner"])
        r = None if pd.isna(row["r"]) else round(float(row["r"]), 6)
        counts = row["firings"], row["documents"]
        alive = bool(rule.alive(*counts, flow.min_firings, flow.min_documents))
        holds = alive and _above(row["r"], flow.threshold)
        gone = "disappearing" if role == "parent" else "emerging"
        fate = gone if alive else "rare" if row["firings"] else "silent"
        return Link(partner, r, "persisting" if holds else fate, holds)

    return own


def _above(r: float, threshold: float) -> bool:
    return not pd.isna(r) and bool(rule.above(r, threshold))


def generations(models: Mapping[str, Node]) -> list[str]:
    """The models, parents before children, by name within a generation."""
    parents = {m: [p for p in node.parents if p in models] for m, node in models.items()}
    sorter = TopologicalSorter(parents)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        generation = sorted(sorter.get_ready())
        order += generation
        sorter.done(*generation)
    return order


def follow(models: Mapping[str, Node], model: str, feature: int, look: Look) -> dict[str, Place]:
    """Where the feature is in each model; parents before children.

    Args:
        models: the lineage.
        model: where the feature was found.
        feature: its number there.
        look: the links.

    Returns:
        A place for every model, without a feature where no link leads to one.
    """
    order = generations(models)
    places = {m: Place() for m in order}
    places[model].feature = feature
    above = _ancestors(models, model)
    for name in [m for m in reversed(order) if m in above]:
        below = [c for c in order if name in models[c].parents and (c in above or c == model)]
        known = {c: f for c in below if (f := places[c].feature) is not None}
        found = {c: look(name, c, "child", f) for c, f in known.items()}
        _settle(places, name, found)
        places[name].children = found
    for name in [m for m in order if m != model and m not in above]:
        known = {
            p: f
            for p in models[name].parents
            if p in places and (f := places[p].feature) is not None
        }
        found = {p: look(p, name, "parent", f) for p, f in known.items()}
        _settle(places, name, found)
        places[name].parents = found
    return places


def _ancestors(models: Mapping[str, Node], model: str) -> set[str]:
    parents = [p for p in models[model].parents if p in models]
    return {*parents, *(a for p in parents for a in _ancestors(models, p))}


def _settle(places: Mapping[str, Place], name: str, found: Mapping[str, Link]) -> None:
    """Choose among the links that lead to a model."""

    def rank(source: str) -> tuple[bool, bool, float]:
        link, unbroken = found[source], places[source].unbroken
        return unbroken and link.holds, unbroken, -2.0 if link.r is None else link.r

    leading = [source for source in found if found[source].feature is not None]
    if not leading:
        places[name].unbroken = False
        return
    best = max(leading, key=rank)  # of equal ones the first in the config's order of parents
    places[name].feature = found[best].feature
    places[name].came_from = best
    places[name].unbroken = places[best].unbroken and found[best].holds
