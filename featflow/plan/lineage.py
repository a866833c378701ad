"""The lineage: which model came from which, on what data, and which dictionaries to compare."""

from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from typing import Literal, NamedTuple

from featflow.config.controlling import model_arm, sae_arm
from featflow.config.graph import (
    context_of,
    edges,
    has,
    is_control,
    parents_of,
    roots_of,
    trained_on,
)
from featflow.config.models import Merge, Random
from featflow.config.study import Study

Role = Literal["edge", "span", "control", "extra"]

ArmKind = Literal["unrelated", "random", "continued", "retrained", "data", "init", "context"]


class Dictionary(NamedTuple):
    """The features of one SAE on one model; written `model.sae`."""

    model: str
    sae: str

    def __str__(self) -> str:
        return f"{self.model}.{self.sae}"


class Arm(NamedTuple):
    """A control of an edge: where else the parent's features (or its other SAE's) are looked for.

    `unrelated`, `random`: floors. `continued`, `retrained`: the child is another training. `data`,
    `init`, `context`: the same edge with other SAEs.
    """

    parent: str
    child: str
    kind: ArmKind
    a: Dictionary
    b: Dictionary


@dataclass(frozen=True)
class Pair:
    """Two dictionaries whose features are correlated.

    `edge`: a parent and its child. `span`: a base and a merge of its descendants, for end-to-end
    chains. `control`: a dictionary and its second seed. `extra`: asked for by the config.
    """

    role: Role
    a: Dictionary
    b: Dictionary

    def __str__(self) -> str:
        return f"{self.a}-{self.b}"


class Lineage:
    """Questions about a study's graph of models.

    Models come back by generation and name, corpora by name: the order of the config's keys means
    nothing, so that no stage reruns when it changes.
    """

    def __init__(self, study: Study):
        self.study = study
        self._order = self._by_generation()
        # asked for by every job of a dry run, and the same each time: a study is frozen
        self._flow_edges = cache(self._find_flow_edges)
        self._arms = cache(self._find_arms)
        self._trained_on = cache(lambda model: sorted(trained_on(study, model)))
        self._flowing = [name for name in self._order if not is_control(study.models[name])]
        self._having = {s: [m for m in self._order if has(study, m, s)] for s in study.saes}

    def parents(self, model: str) -> list[str]:
        """The models that this one is made from."""
        return parents_of(self.study.models[model])

    def children(self, model: str) -> list[str]:
        """The models made from this one."""
        return [name for name in self.order() if model in self.parents(name)]

    def ancestors(self, model: str) -> list[str]:
        """Every model upstream of this one, itself left out."""
        found = {a for p in self.parents(model) for a in [p, *self.ancestors(p)]}
        return [name for name in self.order() if name in found]

    def common_ancestor(self, model: str) -> str | None:
        """The nearest model from which all parents of this one descend (None: there is none)."""
        shared = set.intersection(*({p, *self.ancestors(p)} for p in self.parents(model)))
        return next((m for m in reversed(self.order()) if m in shared), None)

    def roots(self) -> list[str]:
        """The models without a parent, controls left out."""
        return [name for name in self.models() if not self.parents(name)]

    def models(self) -> list[str]:
        """The models whose features flow: all but controls."""
        return list(self._flowing)

    def order(self) -> list[str]:
        """All models, parents before children."""
        return list(self._order)

    def _by_generation(self) -> list[str]:
        sorter = TopologicalSorter({name: self.parents(name) for name in self.study.models})
        sorter.prepare()
        found: list[str] = []
        while sorter.is_active():
            generation = sorted(sorter.get_ready())
            found += generation
            sorter.done(*generation)
        return found

    def edges(self) -> list[tuple[str, str]]:
        """(parent, child), in the order of the children; controls are in none."""
        models = self.models()
        found = [(parent, child) for child in models for parent in self.parents(child)]
        return [(parent, child) for parent, child in found if parent in models]

    def flow_edges(self, sae: str) -> list[tuple[str, str]]:
        """The edges of which both models have this SAE."""
        return self._flow_edges(sae)

    def _find_flow_edges(self, sae: str) -> list[tuple[str, str]]:
        having = edges(self.study, sae)
        return [edge for edge in self.edges() if edge in having]

    def corpora(self, model: str) -> list[str]:
        """What the model and its ancestors were trained on; a merge's are its parents' together.

        A model with random weights was trained on nothing: it stands for all corpora of the study.
        """
        return list(self._trained_on(model))

    def own_corpora(self, model: str) -> list[str]:
        """What the model itself was trained on last; a merge's are its parents' together."""
        named = self.study.models[model]
        if isinstance(named, Random):
            return []
        if not isinstance(named, Merge):
            return list(named.corpora)
        return sorted({c for p in self.parents(model) for c in self.own_corpora(p)})

    def activation_corpora(self, model: str, sae: str | None = None) -> list[str]:
        """The corpora whose training tokens an SAE of this model sees."""
        if sae is not None and (own := self.study.saes[sae].corpora) is not None:
            return sorted(own)
        if self.study.activations.data == "common":
            return sorted(self.study.corpora)
        return self.corpora(model)

    def context(self) -> int:
        """Tokens of a block that every model of the study can read."""
        return context_of(self.study)

    def sae_models(self, sae: str) -> list[str]:
        """The models that have this SAE."""
        return list(self._having[sae])

    def dictionaries(self) -> list[Dictionary]:
        """Every SAE on every model that has it."""
        return [Dictionary(m, s) for s in self.study.saes for m in self.sae_models(s)]

    def pairs(self, sae: str | None = None) -> list[Pair]:
        """What can be correlated: for one SAE (its reseeds included) or for the whole study."""
        saes = [sae] if sae else self.study.flow_saes
        pairs = [pair for name in saes for pair in self._pairs_of(name)]
        if sae is None:
            known = {str(pair) for pair in pairs}
            extra = [Pair("extra", _dictionary(a), _dictionary(b)) for a, b in self.study.pairs]
            pairs += [pair for pair in extra if str(pair) not in known]
        return pairs

    def pairs_of_all(self) -> list[Pair]:
        """What `all` correlates: the pairs of the flow, and those that the config names.

        A dictionary and its own reseed are left out, since ceilings come from stage shares; their
        matrix is made for who asks for it by name.
        """
        named = {f"{a}-{b}" for a, b in self.study.pairs}
        return [p for p in self.pairs() if p.role != "control" or str(p) in named]

    def _pairs_of(self, sae: str) -> list[Pair]:
        models = self.sae_models(sae)
        links, flowing = self.flow_edges(sae), self.models()
        merges = [m for m in models if m in flowing and isinstance(self.study.models[m], Merge)]
        spans = [
            (root, merge)
            for merge in merges
            for root in self.roots()
            if root in models and root in self.ancestors(merge) and (root, merge) not in links
        ]
        controls = [
            (Dictionary(model, sae), Dictionary(model, control))
            for control in self.reseeds(sae)
            for model in self.sae_models(control)
        ]
        return [
            *(Pair("edge", Dictionary(a, sae), Dictionary(b, sae)) for a, b in links),
            *(Pair("span", Dictionary(a, sae), Dictionary(b, sae)) for a, b in spans),
            *(Pair("control", a, b) for a, b in controls),
        ]

    def reseeds(self, sae: str) -> list[str]:
        """The SAEs that differ from this one in their seed alone."""
        found = [n for n, s in sorted(self.study.saes.items()) if s.control_of == sae]
        return [name for name in found if sae_arm(self.study, name) == "reseed"]

    def seeds(self, model: str, sae: str) -> list[str]:
        """The SAE and its reseeds, where this model has them."""
        return [s for s in (sae, *self.reseeds(sae)) if has(self.study, model, s)]

    def arms(self, sae: str) -> list[Arm]:
        """Every control of every edge, by edge; reseeds and frozen dictionaries left out."""
        return self._arms(sae)

    def _find_arms(self, sae: str) -> list[Arm]:
        controls = [n for n in self.order() if is_control(self.study.models[n])]
        controls = [n for n in controls if has(self.study, n, sae)]
        found: list[Arm] = []
        for parent, child in self.flow_edges(sae):
            a, b = Dictionary(parent, sae), Dictionary(child, sae)
            for name in (n for n in controls if self._controls(n, parent, child)):
                arm = model_arm(self.study, name)
                assert arm is not None
                found.append(Arm(parent, child, arm, a, Dictionary(name, sae)))
            for name in sorted(self.study.saes):
                if self.study.saes[name].control_of == sae:
                    found += self._sae_arms(parent, child, name, b)
        return found

    def _controls(self, name: str, parent: str, child: str) -> bool:
        """Whether a control is one of this edge."""
        model = self.study.models[name]
        if isinstance(model, Random):
            return model.like in roots_of(self.study, parent)
        return getattr(model, "control_of", None) == child

    def _sae_arms(self, parent: str, child: str, name: str, b: Dictionary) -> list[Arm]:
        kind, a = sae_arm(self.study, name), Dictionary(parent, name)
        if kind == "data":
            seen = self.activation_corpora(child) == self.activation_corpora(parent, name)
            there = has(self.study, parent, name) and seen
            return [Arm(parent, child, "data", a, b)] if there else []
        if kind in ("init", "context") and name in self.shared_saes(parent, child):
            return [Arm(parent, child, kind, a, Dictionary(child, name))]  # type: ignore[arg-type]
        return []

    def shared_saes(self, parent: str, child: str) -> list[str]:
        """The SAEs that both models have."""
        return [s for s in self.study.saes if all(has(self.study, m, s) for m in (parent, child))]


def _dictionary(name: str) -> Dictionary:
    model, sae = name.split(".")
    return Dictionary(model, sae)
