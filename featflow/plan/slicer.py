"""A study as its stages ask about it: what several of their slices are made from."""

import hashlib
from collections.abc import Callable, Collection
from functools import cache, cached_property
from typing import Self

from featflow.config.errors import ConfigError, did_you_mean
from featflow.config.graph import is_control
from featflow.config.load import Workflow
from featflow.config.merging import TaskVectors
from featflow.config.models import Merge
from featflow.config.study import Flow, Study
from featflow.config.tokenizers import Bpe
from featflow.plan.lineage import Lineage
from featflow.plan.slices import Compared, Node, ProbeRows, Windows

WHAT = {"sae": "SAE", "a": "dictionary (model.sae)", "b": "dictionary (model.sae)"}
"""How a wildcard is called in a message."""


def seed_from(*parts: object) -> int:
    """A seed from the study's seed and the names involved; the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1  # numpy, torch and C ints all take 31 bits


class Slices:
    """A study, and what follows from it for the slices of its stages (plan/stages has these)."""

    def __init__(self, name: str, study: Study, paper: Study | None = None):
        """Args: paper: the study that the report compares settings with."""
        self.name, self.study, self.lineage = name, study, Lineage(study)
        self.paper = paper

    @classmethod
    def of(cls, workflow: Workflow, name: str) -> Self:
        """The slices of a study of the config."""
        return cls(name, workflow.studies[name], workflow.studies.get("paper"))

    @cached_property
    def model_kinds(self) -> dict[str, str]:
        """base, finetune, merge, pretrained or random, by model."""
        return {name: model.kind for name, model in self.study.models.items()}

    def check(self, names: dict[str, str]) -> None:
        """Check the names that a target is asked for with (model, sae, corpus, a, b, …).

        Raises:
            ConfigError: for a name that the study does not have, with the closest one.
        """
        study = self.study
        lists: dict[str, Callable[[], Collection[str]]] = {
            "corpus": lambda: study.corpora,
            "model": lambda: study.models,
            "sae": lambda: study.saes,
            "hook": lambda: [sae.hook for sae in study.saes.values()],
            "figure": lambda: study.drawn,
            "a": lambda: self._dictionaries,
            "b": lambda: self._dictionaries,
            "parent": lambda: study.models,
            "child": lambda: study.models,
            "case": lambda: study.cases,
        }
        known = {what: lists[what]() for what in names if what in lists}
        if "sae" in names and "model" in names:
            known["sae"] = [s for s in study.saes if names["model"] in self.lineage.sae_models(s)]
        elif "sae" in names:
            known["sae"] = study.flow_saes
        if "parent" in names and names.get("sae") in study.flow_saes:
            pairs = self.compared(names["sae"])
            known["parent"] = sorted({pair.parent for pair in pairs})
            known["child"] = sorted({p.child for p in pairs if p.parent == names["parent"]})
        if "shard" in names:
            count = -(-study.activations.tokens // study.activations.shard_tokens)
            known["shard"] = [str(i) for i in range(count)]
        for what, name in names.items():
            if what in known and name not in known[what]:
                hint = did_you_mean(name, known[what])
                raise ConfigError(f"study {self.name}: no {WHAT.get(what, what)} {name!r}; {hint}")

    @cached_property
    def _dictionaries(self) -> list[str]:
        return [str(dictionary) for dictionary in self.lineage.dictionaries()]

    def seed(self, *parts: object) -> int:
        return seed_from(self.study.seed, *parts)

    def tokenizer_corpora(self) -> list[str]:
        tokenizer = self.study.tokenizer
        return list(tokenizer.corpora) if isinstance(tokenizer, Bpe) else []

    def merge_base(self, model: str) -> str | None:
        """The model that a merge's task vectors are measured from (None: its method has none)."""
        method = self.merge_of(model).method
        if not isinstance(method, TaskVectors):
            return None
        return method.base or self.lineage.common_ancestor(model)

    def merge_of(self, model: str) -> Merge:
        merge = self.study.models[model]
        assert isinstance(merge, Merge)
        return merge

    def windows(self, sae: str | None = None) -> Windows:
        """How the study's windows are cut, or those of an SAE that wants another context."""
        activations = self.study.activations
        context = (self.study.saes[sae].context if sae else None) or activations.context
        window, alone = activations.window, context == "truncated"
        return Windows(
            window=window,
            context=context,
            context_length=window if alone else self.lineage.context(),
            special=activations.special,
        )

    def probe(self) -> ProbeRows:
        """The rows of the study's probe (an SAE with a context of its own has others)."""
        return ProbeRows(
            corpora=self.study.probe_corpora,
            windows=self.windows(),
            tokens_per_corpus=self.study.probe.tokens_per_corpus,
            blocks_seed=self.seed("blocks"),
        )

    def shards(self, sae: str) -> range:
        """The activation shards that this SAE is trained on."""
        settings = self.study.activations
        needed = min(settings.tokens, self.study.saes[sae].tokens)
        return range(-(-needed // settings.shard_tokens))

    def makes_its_own(self, sae: str) -> bool:
        """Whether an SAE makes its own activations: none are kept, or it wants others than they."""
        settings = self.study.saes[sae]
        own = settings.corpora is not None or settings.context is not None
        return own or not self.study.activations.keep

    @property
    def judging(self) -> Flow:
        """`flow` for who judges features: how much of r is kept changes nothing for them."""
        return self.study.flow.model_copy(update={"floor": None})

    def scopes(self, a: str, b: str) -> tuple[list[str], list[str]]:
        """The probe corpora on which the features of a, and those of b, are judged."""
        return self.scopes_by(a, b, self.study.flow.scope)

    def scopes_by(self, a: str, b: str, scope: str) -> tuple[list[str], list[str]]:
        homes = [set(self.lineage.corpora(model)) for model in (a, b)]
        if scope == "intersection":
            homes = [homes[0] & homes[1]] * 2
        elif scope == "union":
            homes = [homes[0] | homes[1]] * 2
        probe = self.study.probe_corpora
        first, second = ([c for c in probe if c in home] for home in homes)
        return first, second

    def no_corpus(self, a: str, b: str) -> ConfigError:
        """What to say where no corpus of the probe is in the scope of two models or SAEs."""
        scope = self.study.flow.scope
        if scope == "intersection":
            remedy = "use home or union, or add a corpus of both to probe.corpora"
        else:
            remedy = "add what each of them has learnt to probe.corpora"
        return ConfigError(
            f"study {self.name}: flow.scope {scope} leaves no corpus of the probe for {a} and {b}; "
            f"{remedy}"
        )

    def judged_on(self, model: str, sae: str) -> list[str]:
        """The probe corpora on which any edge judges a model's features; without edges its home.

        All of the probe where that is nothing.
        """
        edges = [edge for edge in self.lineage.flow_edges(sae) if model in edge]
        found = {c for edge in edges for c in self.scopes(*edge)[edge.index(model)]}
        found = found or set(self.lineage.corpora(model))
        probe = self.study.probe_corpora
        return [c for c in probe if c in found] or probe

    def compared(self, sae: str) -> list[Compared]:
        """The pairs of models that controls compare: edges, their arms, reseeds of one model."""
        return self._compared(sae)

    @cached_property
    def _compared(self) -> Callable[[str], list[Compared]]:
        return cache(self._find_compared)  # asked for by every job of a dry run

    def _find_compared(self, sae: str) -> list[Compared]:
        lineage = self.lineage
        ends = list(dict.fromkeys(model for edge in lineage.flow_edges(sae) for model in edge))
        pairs = [(m, m) for m in ends if len(lineage.seeds(m, sae)) > 1]
        pairs += lineage.flow_edges(sae)
        pairs += [(arm.a.model, arm.b.model) for arm in lineage.arms(sae)]
        return [Compared(parent=a, child=b) for a, b in dict.fromkeys(pairs)]

    def thresholds(self) -> list[float]:
        """Those of the sweep and the flow's own, ascending."""
        return sorted({*self.study.controls.thresholds, self.study.flow.threshold})

    def transferred(self, sae: str) -> list[Compared]:
        """The pairs of models of which the parent's SAE is applied to the child."""
        if not self.study.controls.transfer:
            return []
        lineage = self.lineage
        pairs = list(lineage.flow_edges(sae))
        pairs += [
            (arm.parent, arm.b.model)
            for arm in lineage.arms(sae)
            if arm.kind in ("unrelated", "random", "continued", "retrained")
        ]
        return [Compared(parent=a, child=b) for a, b in dict.fromkeys(pairs)]

    def interpreted(self) -> tuple[str, list[str]]:
        """The SAE, and the models, whose features are explained; none where none are."""
        settings = self.study.interpret
        if settings is None or not self.study.flow_saes:
            return "", []
        sae = settings.sae or self.study.flow_saes[0]
        known = [m for m in self.lineage.models() if m in self.lineage.sae_models(sae)]
        return sae, [m for m in known if settings.models is None or m in settings.models]

    def explored(self) -> dict[str, list[str]]:
        """Each SAE whose features have pages, and the models; none without an explorer."""
        settings = self.study.explorer
        if settings is None:
            return {}
        saes = settings.saes if settings.saes is not None else self.study.flow_saes
        models = set(self.lineage.models())
        return {s: [m for m in self.lineage.sae_models(s) if m in models] for s in saes}

    @cached_property
    def nodes(self) -> dict[str, Node]:
        return {
            name: Node(
                kind=model.kind,
                parents=self.lineage.parents(name),
                corpora=getattr(model, "corpora", []),
                method=model.method.kind if isinstance(model, Merge) else None,
                control_of=self._stands_for(name),
            )
            for name, model in sorted(self.study.models.items())  # as they are in a slice's JSON
        }

    def _stands_for(self, name: str) -> str | None:
        model = self.study.models[name]
        own = getattr(model, "like", None) or getattr(model, "control_of", None)
        return own if is_control(model) else None

    def corpus_kinds(self) -> dict[str, str]:
        return {name: corpus.kind for name, corpus in self.study.corpora.items()}
