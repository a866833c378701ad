"""What the jobs of the rules read: paths for the wildcards of a target.

Everything follows from the slices of the wildcards' study. Methods take Snakemake's wildcards, as
its input functions do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from featflow.plan import paths
from featflow.plan.paths import Template, folder
from featflow.plan.slicer import Slices

Wildcards = Any
"""Snakemake's, with a `study` and other names."""


class Inputs:
    """The inputs of jobs that are not said by a path in their rule."""

    def __init__(self, of: Callable[[Wildcards], Slices]):
        """Args: of: gives the slices of the wildcards' study, once their names are checked."""
        self._of = of

    # ---- models

    def tokens(self, w: Wildcards, corpora: Iterable[str], split: str) -> list[str]:
        """The token files of some corpora."""
        return [paths.TOKENS.at(study=w.study, corpus=c, split=split) for c in corpora]

    def models(self, w: Wildcards, models: Iterable[str]) -> list[str]:
        """The handles of some models."""
        return [paths.MODEL.at(study=w.study, model=m) for m in models]

    def tokenizer_documents(self, w: Wildcards) -> list[str]:
        """The documents that a tokenizer is trained on; none for one that exists."""
        corpora = self._of(w).tokenizer_corpora()
        return [paths.CORPUS.at(study=w.study, corpus=c, split="train") for c in corpora]

    def like(self, w: Wildcards) -> list[str]:
        """The handle of the pretrained model that a random one is like; none: that is trained."""
        models = self._of(w).study.models
        like = models[w.model].like  # type: ignore[union-attr]
        return self.models(w, [like] if models[like].kind == "pretrained" else [])

    def sweep_corpora(self, w: Wildcards) -> list[str]:
        """The corpora of a merge's parents, each once."""
        corpora = self._of(w).sweep(w.model).corpora
        return list(dict.fromkeys(corpus for own in corpora for corpus in own))

    def choice_of_t(self, w: Wildcards) -> dict[str, str]:
        """What a merge needs to choose its t, by flag: the sweep; for `balanced` the ancestor."""
        slices = self._of(w)
        t = getattr(slices.study.models[w.model].method, "t", None)  # type: ignore[union-attr]
        found = {}
        if isinstance(t, str):
            found["--sweep"] = paths.SWEEP.at(study=w.study, model=w.model)
        if t == "balanced":
            ancestor = slices.lineage.common_ancestor(w.model)
            found["--ancestor"] = paths.EVALUATE.at(study=w.study, model=ancestor)
        return found

    def merge_base(self, w: Wildcards) -> list[str]:
        """The handle of the model that a merge's task vectors are measured from, if any."""
        base = self._of(w).merge_base(w.model)
        return self.models(w, [base] if base else [])

    # ---- SAEs and their dumps

    def sae_data(self, w: Wildcards) -> dict[str, list[str]]:
        """What an SAE is trained on, by flag: shards, or tokens where no shards are kept."""
        slices = self._of(w)
        if slices.makes_its_own(w.sae):
            corpora = slices.lineage.activation_corpora(w.model, w.sae)
            return {"--tokens": self.tokens(w, corpora, "train")}
        at = {"study": w.study, "model": w.model, "hook": slices.study.saes[w.sae].hook}
        shards = slices.shards(w.sae)
        return {"--shards": [paths.ACTIVATIONS.at(**at, shard=i) for i in shards]}

    def sae(self, w: Wildcards, dictionary: str) -> str:
        """The handle of a dictionary's SAE."""
        model, sae = dictionary.split(".")
        return paths.SAE.at(study=w.study, model=model, sae=sae)

    def dumps(
        self, w: Wildcards, models: Iterable[str], saes: Iterable[str], corpora: Iterable[str]
    ) -> list[str]:
        """The dumps of some dictionaries, each with all corpora, in this order."""
        return [
            paths.FEATURES.at(study=w.study, model=m, sae=s, corpus=c)
            for m in models
            for s in saes
            for c in corpora
        ]

    def pair_dumps(self, w: Wildcards, dictionary: str) -> list[str]:
        """The dumps of one side of a pair, in the order of its slice's corpora."""
        model, sae = dictionary.split(".")
        return self.dumps(w, [model], [sae], self._of(w).correlation(w.a, w.b).corpora)

    def seed_dumps(self, w: Wildcards, side: str) -> list[str]:
        """The dumps of one side of a pair of models, of all SAEs that are compared."""
        model, saes, corpora = self._seeds(w, side)
        return self.dumps(w, [model], saes, corpora)

    def seed_saes(self, w: Wildcards, side: str) -> list[str]:
        """The handles of these SAEs."""
        model, saes, _ = self._seeds(w, side)
        return [self.sae(w, f"{model}.{sae}") for sae in saes]

    def _seeds(self, w: Wildcards, side: str) -> tuple[str, Sequence[str], Sequence[str]]:
        cfg = self._of(w).shares(w.sae, w.parent, w.child)
        model, saes = {"a": (cfg.parent, cfg.a), "b": (cfg.child, cfg.b)}[side]
        return model, saes, cfg.corpora

    # ---- pairs and flows

    def of_pairs(self, w: Wildcards, template: Template) -> list[str]:
        """A file of each pair of this SAE, in the order of its slice's pairs."""
        pairs = self._of(w).flow(w.sae).pairs
        return [template.at(study=w.study, a=pair.a, b=pair.b) for pair in pairs]

    def of_compared(self, w: Wildcards, template: Template) -> list[str]:
        """A file of each pair of models that controls compare, in the order of their slices."""
        pairs = self._of(w).compared(w.sae)
        at = {"study": w.study, "sae": w.sae}
        return [template.at(**at, parent=p.parent, child=p.child) for p in pairs]

    def of_transfers(self, w: Wildcards, template: Template) -> list[str]:
        """A file of each pair of models of which the parent's SAE is applied to the child."""
        pairs = self._of(w).transferred(w.sae)
        at = {"study": w.study, "sae": w.sae}
        return [template.at(**at, parent=p.parent, child=p.child) for p in pairs]

    def flow_features(self, w: Wildcards) -> list[str]:
        """The fates of the features of this SAE, if they have any."""
        return self._of_flow(w, w.sae, paths.FLOW_FEATURES)

    def flow_chains(self, w: Wildcards) -> list[str]:
        """The chains of this SAE, if there are any."""
        return self._of_flow(w, w.sae, paths.FLOW_CHAINS)

    def _of_flow(self, w: Wildcards, sae: str, template: Template) -> list[str]:
        """A table of an SAE's flow, in a list; none where it has no edges."""
        found = self._of(w).lineage.flow_edges(sae)
        return [template.at(study=w.study, sae=sae)] if found else []

    def edge_metrics(self, w: Wildcards) -> list[str]:
        """The metrics of all SAEs that the numbers of a flow's edges are from."""
        names = [each.dictionary.split(".") for each in self._of(w).edges(w.sae).saes]
        return [paths.SAE_METRICS.at(study=w.study, model=m, sae=s) for m, s in names]

    # ---- cases and dashboards

    def case_flow(self, w: Wildcards) -> list[str]:
        """The fates of the features among which a case is."""
        return self._of_flow(w, self._of(w).case(w.case).sae, paths.FLOW_FEATURES)

    def case_dumps(self, w: Wildcards) -> list[str]:
        """The dumps of every model in which a case is followed."""
        cfg = self._of(w).case(w.case)
        return self.dumps(w, cfg.models, [cfg.sae], cfg.corpora)

    def case_shares(self, w: Wildcards) -> list[str]:
        """The comparison of a case's model with its own reseeds, if it has any."""
        cfg = self._of(w).case(w.case)
        at = {"study": w.study, "sae": cfg.sae, "parent": cfg.model, "child": cfg.model}
        return [paths.SHARES.at(**at)] if cfg.reseeds else []

    def case_reseeds(self, w: Wildcards) -> list[str]:
        """The dumps of the reseeds of a case's model."""
        cfg = self._of(w).case(w.case)
        return self.dumps(w, [cfg.model], cfg.reseeds, cfg.corpora)

    def case_neighbours(self, w: Wildcards) -> list[str]:
        """The comparisons of a case's model, reseeds and all, with its parents and children."""
        cfg = self._of(w).case(w.case)
        at = {"study": w.study, "sae": cfg.sae}
        return [paths.SHARES.at(**at, parent=a, child=b) for a, b in cfg.neighbours]

    def dashboard_dumps(self, w: Wildcards) -> list[str]:
        """The dumps of every model whose features stand side by side."""
        cfg = self._of(w).dashboards(w.model, w.sae)
        return self.dumps(w, cfg.models, [cfg.sae], cfg.corpora)

    def dashboard_summaries(self, w: Wildcards) -> list[str]:
        """The summary beside the dumps of each of these models: written last, so it says that they
        are whole."""
        models = self._of(w).dashboards(w.model, w.sae).models
        return [paths.SUMMARY.at(study=w.study, model=m, sae=w.sae) for m in models]

    def dashboard_scores(self, w: Wildcards) -> list[str]:
        """The explanations of a dictionary's features, if there are any."""
        interpreted = self._of(w).dashboards(w.model, w.sae).interpreted
        at = {"study": w.study, "model": w.model, "sae": w.sae}
        return [paths.INTERPRET.at(**at)] if interpreted else []


def folders(handles: Iterable[str]) -> list[str]:
    """The folders of some handles, for a command line."""
    return [folder(handle) for handle in handles]


def flags(values: Mapping[str, Sequence[str]]) -> list[str]:
    """Command-line words for what there is: nothing for a flag without files."""
    return [word for flag, files in values.items() if files for word in (flag, *files)]
