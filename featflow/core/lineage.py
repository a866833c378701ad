"""The lineage: which model came from which, on what data, and which dictionaries to compare."""

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal, NamedTuple

from featflow.core.config.checks import context_of, has, parents_of
from featflow.core.config.models import Merge
from featflow.core.config.study import Study

Role = Literal["edge", "span", "control", "extra"]


class Dictionary(NamedTuple):
    """The features of one SAE on one model; written `model.sae`."""

    model: str
    sae: str

    def __str__(self) -> str:
        return f"{self.model}.{self.sae}"


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
        """The models without a parent."""
        return [name for name in self.order() if not self.parents(name)]

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
        """(parent, child), in the order of the children."""
        return [(parent, child) for child in self.order() for parent in self.parents(child)]

    def corpora(self, model: str) -> list[str]:
        """What the model and its ancestors were trained on; a merge's are its parents' together."""
        own = set(getattr(self.study.models[model], "corpora", []))
        own.update(c for p in self.parents(model) for c in self.corpora(p))
        return sorted(own)

    def own_corpora(self, model: str) -> list[str]:
        """What the model itself was trained on last; a merge's are its parents' together."""
        named = self.study.models[model]
        if not isinstance(named, Merge):
            return list(named.corpora)
        return sorted({c for p in self.parents(model) for c in self.own_corpora(p)})

    def activation_corpora(self, model: str) -> list[str]:
        """The corpora whose training tokens an SAE of this model sees."""
        if self.study.activations.data == "common":
            return sorted(self.study.corpora)
        return self.corpora(model)

    def context(self) -> int:
        """Tokens of a block that every model of the study can read."""
        return context_of(self.study)

    def sae_models(self, sae: str) -> list[str]:
        """The models that have this SAE."""
        return [m for m in self.order() if has(self.study, m, sae)]

    def dictionaries(self) -> list[Dictionary]:
        """Every SAE on every model that has it."""
        return [Dictionary(m, s) for s in self.study.saes for m in self.sae_models(s)]

    def pairs(self, sae: str | None = None) -> list[Pair]:
        """What is correlated: for one SAE (its controls included) or for the whole study."""
        saes = [sae] if sae else self.study.flow_saes
        pairs = [pair for name in saes for pair in self._pairs_of(name)]
        if sae is None:
            known = {str(pair) for pair in pairs}
            extra = [Pair("extra", _dictionary(a), _dictionary(b)) for a, b in self.study.pairs]
            pairs += [pair for pair in extra if str(pair) not in known]
        return pairs

    def _pairs_of(self, sae: str) -> list[Pair]:
        models = self.sae_models(sae)
        edges = [e for e in self.edges() if e[0] in models and e[1] in models]
        merges = [m for m in models if isinstance(self.study.models[m], Merge)]
        spans = [
            (root, merge)
            for merge in merges
            for root in self.roots()
            if root in models and root in self.ancestors(merge) and (root, merge) not in edges
        ]
        controls = [
            (Dictionary(model, sae), Dictionary(model, control))
            for control, settings in sorted(self.study.saes.items())
            if settings.control_of == sae
            for model in self.sae_models(control)
        ]
        return [
            *(Pair("edge", Dictionary(a, sae), Dictionary(b, sae)) for a, b in edges),
            *(Pair("span", Dictionary(a, sae), Dictionary(b, sae)) for a, b in spans),
            *(Pair("control", a, b) for a, b in controls),
        ]


def _dictionary(name: str) -> Dictionary:
    model, sae = name.split(".")
    return Dictionary(model, sae)
