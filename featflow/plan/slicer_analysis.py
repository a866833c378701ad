"""The slices of what compares features: correlation, flow, controls."""

import hashlib
from collections.abc import Callable
from functools import cache, cached_property

from featflow.config.errors import ConfigError
from featflow.config.study import Flow, Study
from featflow.plan.lineage import Dictionary, Lineage
from featflow.plan.slices import (
    Compared,
    ControlsSlice,
    CorrelationSlice,
    Domain,
    DomainsSlice,
    EdgeArm,
    EdgeSae,
    EdgesSlice,
    FlowPair,
    FlowSlice,
    ProbeRows,
    SharesSlice,
    TransferSlice,
    Windows,
)


def seed_from(*parts: object) -> int:
    """A seed from the study's seed and the names involved; the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1  # numpy, torch and C ints all take 31 bits


class AnalysisSlices:
    """What `Slices` has for the stages that compare features."""

    name: str
    study: Study
    lineage: Lineage
    _paper: Study | None

    def windows(self, sae: str | None = None) -> Windows:
        raise NotImplementedError

    def _seed(self, *parts: object) -> int:
        return seed_from(self.study.seed, *parts)

    def probe(self) -> ProbeRows:
        """The rows of the study's probe (an SAE with a context of its own has others)."""
        return ProbeRows(
            corpora=self.study.probe_corpora,
            windows=self.windows(),
            tokens_per_corpus=self.study.probe.tokens_per_corpus,
            blocks_seed=self._seed("blocks"),
        )

    def _no_corpus(self, a: str, b: str) -> ConfigError:
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

    def correlation(self, a: str, b: str) -> CorrelationSlice:
        """Raises ConfigError where the two models have no probe corpus in their scope."""
        first, second = Dictionary(*a.split(".")), Dictionary(*b.split("."))
        if self.windows(first.sae) != self.windows(second.sae):
            raise ConfigError(
                f"study {self.name}: {a} and {b} read other windows (context): they have no "
                "tokens in common to be correlated on"
            )
        scope_a, scope_b = self.scopes(first.model, second.model)
        if not (scope_a and scope_b):
            raise self._no_corpus(a, b)
        saes = self.study.saes
        related = {first.model, *self.lineage.ancestors(first.model)} & {
            second.model,
            *self.lineage.ancestors(second.model),
        }
        return CorrelationSlice(
            study=self.name,
            a=a,
            b=b,
            corpora=[c for c in self.study.probe_corpora if c in {*scope_a, *scope_b}],
            scope_a=scope_a,
            scope_b=scope_b,
            partners=self.study.flow.partners,
            decoders=bool(related) and saes[first.sae].hook == saes[second.sae].hook,
            min_firings=self.study.flow.min_firings,
            min_documents=self.study.flow.min_documents,
            floor=self.study.flow.floor,
        )

    @property
    def judging(self) -> Flow:
        """`flow` for who judges features: how much of r is kept changes nothing for them."""
        return self.study.flow.model_copy(update={"floor": None})

    def scopes(self, a: str, b: str) -> tuple[list[str], list[str]]:
        """The probe corpora on which the features of a, and those of b, are judged."""
        return self._scopes(a, b, self.study.flow.scope)

    def _scopes(self, a: str, b: str, scope: str) -> tuple[list[str], list[str]]:
        homes = [set(self.lineage.corpora(model)) for model in (a, b)]
        if scope == "intersection":
            homes = [homes[0] & homes[1]] * 2
        elif scope == "union":
            homes = [homes[0] | homes[1]] * 2
        probe = self.study.probe_corpora
        first, second = ([c for c in probe if c in home] for home in homes)
        return first, second

    def judged_on(self, model: str, sae: str) -> list[str]:
        """The probe corpora on which any edge judges a model's features; without edges its home.

        All of the probe where that is nothing.
        """
        edges = [edge for edge in self.lineage.flow_edges(sae) if model in edge]
        found = {c for edge in edges for c in self.scopes(*edge)[edge.index(model)]}
        found = found or set(self.lineage.corpora(model))
        probe = self.study.probe_corpora
        return [c for c in probe if c in found] or probe

    def flow(self, sae: str) -> FlowSlice:
        found = [p for p in self.lineage.pairs(sae) if p.role in ("edge", "span")]
        pairs = [FlowPair(role=p.role, a=str(p.a), b=str(p.b)) for p in found]
        return FlowSlice(study=self.name, sae=sae, flow=self.judging, pairs=pairs)

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

    def shares(self, sae: str, parent: str, child: str) -> SharesSlice:
        study, lineage, flow = self.study, self.lineage, self.study.flow
        mine, theirs = lineage.seeds(parent, sae), lineage.seeds(child, sae)
        edge = (parent, child) in lineage.flow_edges(sae)
        if parent == child:
            pairs = [(a, b) for i, a in enumerate(mine) for b in mine[i + 1 :]]
            everywhere = list(pairs)
        else:
            pairs = [(a, b) for a in mine for b in theirs] if edge else [(sae, sae)]
            arms = [a for a in lineage.arms(sae) if (a.a.model, a.b.model) == (parent, child)]
            everywhere = [(arm.a.sae, arm.b.sae) for arm in arms]
            everywhere = list(dict.fromkeys([(sae, sae), *everywhere]))
            pairs = list(dict.fromkeys([*pairs, *everywhere]))
        scopes = {s: self._scopes(parent, child, s) for s in ("home", "intersection", "union")}
        own = {corpus: ([corpus], [corpus]) for corpus in study.probe_corpora}
        domains = {n: Domain(a=a, b=b) for n, (a, b) in {**own, **scopes}.items() if a and b}
        if flow.scope not in domains:
            raise self._no_corpus(parent, child)
        return SharesSlice(
            study=self.name,
            sae=sae,
            parent=parent,
            child=child,
            a=list(dict.fromkeys(a for a, _ in pairs)),
            b=list(dict.fromkeys(b for _, b in pairs)),
            pairs=pairs,
            everywhere=everywhere,
            corpora=study.probe_corpora,
            domains=domains,
            domain=flow.scope,
            min_firings=flow.min_firings,
            min_documents=flow.min_documents,
            seed=self._seed("shares", sae, parent, child),
            shift=study.controls.shift and edge,
            bootstrap=study.controls.bootstrap if edge else 0,
            thresholds=self.thresholds() if edge else [],
            partners=flow.partners if edge else 0,
        )

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

    def transfer(self, sae: str, parent: str, child: str) -> TransferSlice:
        scope_a, scope_b = self.scopes(parent, child)
        return TransferSlice(
            study=self.name,
            sae=sae,
            parent=parent,
            child=child,
            hook=self.study.saes[sae].hook,
            corpora=self.study.probe_corpora,
            windows=self.windows(sae),
            tokens_per_corpus=self.study.probe.tokens_per_corpus,
            blocks_seed=self._seed("blocks"),
            scope_a=scope_a,
            scope_b=scope_b,
            scaling=parent in self.lineage.ancestors(child),
        )

    def _edge_arms(self, sae: str) -> list[EdgeArm]:
        return [
            EdgeArm(parent=a.parent, child=a.child, kind=a.kind, a=str(a.a), b=str(a.b))
            for a in self.lineage.arms(sae)
        ]

    def _seeds(self, sae: str) -> dict[str, list[str]]:
        found = self.lineage.flow_edges(sae)
        ends = dict.fromkeys(model for edge in found for model in edge)
        return {model: self.lineage.seeds(model, sae) for model in ends}

    def controls(self, sae: str) -> ControlsSlice:
        return ControlsSlice(
            study=self.name,
            sae=sae,
            flow=self.judging,
            controls=self.study.controls,
            edges=self.lineage.flow_edges(sae),
            seeds=self._seeds(sae),
            arms=self._edge_arms(sae),
            shares=self.compared(sae),
            transfers=self.transferred(sae),
        )

    def domains(self, sae: str) -> DomainsSlice:
        return DomainsSlice(
            study=self.name,
            sae=sae,
            flow=self.judging,
            thresholds=self.thresholds(),
            edges=self.lineage.flow_edges(sae),
            seeds=self._seeds(sae),
            arms=self._edge_arms(sae),
            shares=self.compared(sae),
        )

    def edges(self, sae: str) -> EdgesSlice:
        return EdgesSlice(
            study=self.name,
            sae=sae,
            flow=self.judging,
            edges=self.lineage.flow_edges(sae),
            models=list(self._seeds(sae)),
            saes=self._edge_saes(sae),
        )

    def _edge_saes(self, sae: str) -> list[EdgeSae]:
        lineage = self.lineage
        found: dict[Dictionary, list[str]] = {}
        for parent, child in lineage.flow_edges(sae):
            ends = [Dictionary(m, s) for m in (parent, child) for s in lineage.seeds(m, sae)]
            arms = [d for a in lineage.arms(sae) if a[:2] == (parent, child) for d in (a.a, a.b)]
            for dictionary in dict.fromkeys([*ends, *arms]):
                found.setdefault(dictionary, []).append(f"{parent}-{child}")
        return [
            EdgeSae(
                dictionary=str(each),
                l0=self.study.saes[each.sae].l0,
                own=lineage.own_corpora(each.model),
                edges=edges,
            )
            for each, edges in found.items()
        ]
