"""What makes the numbers of an edge doubtful: SAEs that are not good enough, dead or rare features.

Each is a sentence that stands where shares are read: in edges.csv, `featflow table`, the report and
the flow's figure. docs/methods.md says where the bars are from. No torch here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from featflow.config.study import Flow
from featflow.plan.stages.analysis import EdgeSae
from featflow.saes.explained import over_corpora
from featflow.wording import percent

LEAST_FVE = 0.5
"""Variance explained, without outliers where metrics.json has it."""

LEAST_EXPLAINED_LOSS = 0.6

MOST_OFF_L0 = 0.2
"""How far L0 may lie from the target of `sparsity.l0`, as a share of the target."""

MOST_DEAD = 0.2
"""Share of the features that never fire on the validation tokens."""

LEAST_LIVING = 0.5
"""Share of the features that are neither silent nor rare where an edge judges them."""

SEPARATOR = "; "
"""Between the remarks of an edge in edges.csv; none of them holds it."""

Metrics = Mapping[str, Any]
"""Of metrics.json."""


def on_own(metrics: Metrics, own: Sequence[str]) -> list[Metrics]:
    """The parts of the corpora that the model was trained on last; all where none was measured."""
    parts = metrics["corpora"]
    return [parts[c] for c in own if c in parts] or list(parts.values())


def doubts(sae: EdgeSae, metrics: Metrics) -> str | None:
    """What is not good enough about an SAE, in a sentence with each number and its bar.

    Args:
        sae: which, its target and its model's own corpora.
        metrics: its metrics.json.

    Returns:
        None: nothing.
    """
    fve, name = metrics.get("fve_without_outliers"), "variance explained without outliers"
    if fve is None:
        fve, name = metrics["fve"], "variance explained"
    loss, l0, dead = (
        over_corpora(on_own(metrics, sae.own)),
        metrics["l0"],
        metrics["dead_fraction"],
    )
    found = []
    if fve is not None and fve < LEAST_FVE:
        found.append(f"{name} {percent(fve)} (bar {percent(LEAST_FVE)})")
    if loss is not None and loss < LEAST_EXPLAINED_LOSS:
        found.append(f"explained loss {percent(loss)} (bar {percent(LEAST_EXPLAINED_LOSS)})")
    if sae.l0 is not None and abs(l0 - sae.l0) > MOST_OFF_L0 * sae.l0:
        found.append(f"L0 {l0:.1f}, over {percent(MOST_OFF_L0)} off its target {sae.l0:g}")
    if dead > MOST_DEAD:
        found.append(f"{percent(dead)} of its features never fire (bar {percent(MOST_DEAD)})")
    return f"SAE {sae.dictionary} is not good enough: {', '.join(found)}" if found else None


def few_living(edge: str, role: str, sae: str, side: pd.DataFrame, flow: Flow) -> str | None:
    """What is wrong where under half of an end's features live, or none of them.

    Args:
        edge: `{parent}-{child}`.
        role: parent or child.
        sae: its SAE.
        side: of features.parquet, the rows of this end: fate, firings, documents.
        flow: what is rare.

    Returns:
        None: enough of them live.
    """
    parent, child = edge.split("-")
    model, other = (parent, child) if role == "parent" else (child, parent)
    total, silent = len(side), int((side["fate"] == "silent").sum())
    rare = int((side["fate"] == "rare").sum())
    living = total - silent - rare
    if living >= LEAST_LIVING * total:
        return None
    where = f"where {model} is judged against {other} (flow.scope {flow.scope})"
    if living:
        return (
            f"{living:,} of {total:,} features of {model}.{sae} live {where}, "
            f"{silent:,} are silent and {rare:,} rare (bar {percent(LEAST_LIVING)})"
        )
    return (
        f"none of the {total:,} features of {model}.{sae} lives {where}, so its share says "
        f"nothing: {_cause(side, silent, flow)}"
    )


def _cause(side: pd.DataFrame, silent: int, flow: Flow) -> str:
    """Why no feature lives."""
    if silent == len(side):
        return "none fires there at all"
    documents, firings = int(side["documents"].max()), int(side["firings"].max())
    few = [
        f"none fires {what} {most:,} {thing}, and flow.{key} asks for {least:,}"
        for most, least, what, thing, key in (
            (documents, flow.min_documents, "in more than", "documents", "min_documents"),
            (firings, flow.min_firings, "at more than", "tokens", "min_firings"),
        )
        if most < least
    ]
    if not few:
        few = [
            f"none fires at {flow.min_firings:,} tokens (flow.min_firings) and in "
            f"{flow.min_documents:,} documents (flow.min_documents) at once"
        ]
    return (
        f"{', '.join(few)}. Where documents are long a probe has few of them: lower these keys, or "
        "raise probe.tokens_per_corpus"
    )


def remarks(
    edges: Sequence[str],
    saes: Sequence[EdgeSae],
    metrics: Sequence[Metrics],
    features: pd.DataFrame,
    sae: str,
    flow: Flow,
) -> dict[str, str | None]:
    """All remarks on each edge, the worst first.

    Args:
        edges: `{parent}-{child}`.
        saes: those whose features or shares any edge's numbers are from.
        metrics: metrics.json of each.
        features: features.parquet.
        sae: whose flow it is.
        flow: what is rare.
    """
    doubtful = [(s, doubts(s, m)) for s, m in zip(saes, metrics, strict=True)]
    sides = dict(list(features.groupby(["edge", "role"], sort=False)))
    found = {}
    for edge in edges:
        ends = (
            few_living(edge, role, sae, sides[edge, role], flow)
            for role in ("parent", "child")
            if (edge, role) in sides
        )
        said = [*ends, *(doubt for each, doubt in doubtful if edge in each.edges)]
        found[edge] = SEPARATOR.join(filter(None, said)) or None
    return found


def each_once(rows: Sequence[Mapping[Any, Any]]) -> Iterator[str]:
    """The remarks of all edges, each SAE's once.

    Args: rows: of edges.csv.
    """
    said = [row["remarks"] for row in rows if isinstance(row["remarks"], str)]
    yield from dict.fromkeys(each for one in said for each in one.split(SEPARATOR))
