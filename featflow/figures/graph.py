"""Questions that several figures ask about the models of their slice."""

from collections.abc import Mapping

from featflow.plan.slices import Node


def depths(models: Mapping[str, Node]) -> dict[str, int]:
    """How many generations each model is from a base: the longest way."""
    known: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in known:
            known[name] = max((depth(parent) + 1 for parent in models[name].parents), default=0)
        return known[name]

    return {name: depth(name) for name in models}


def own_corpora(models: Mapping[str, Node], name: str) -> list[str]:
    """What a model was trained on last; a merge's are its parents' together."""
    node = models[name]
    if node.kind != "merge":
        return list(node.corpora)
    return list(dict.fromkeys(c for p in node.parents for c in own_corpora(models, p)))


def ordered(models: Mapping[str, Node]) -> list[list[str]]:
    """The models by generation; each generation in the order of its parents, to avoid crossings."""
    depth = depths(models)
    columns: list[list[str]] = []
    place: dict[str, float] = {}
    for generation in range(max(depth.values()) + 1):
        names = [name for name in models if depth[name] == generation]
        names.sort(key=lambda n: _mean([place[p] for p in models[n].parents]))
        place.update({name: (i + 0.5) / len(names) for i, name in enumerate(names)})
        columns.append(names)
    return columns


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
