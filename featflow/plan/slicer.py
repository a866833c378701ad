"""From a study to the slices of its stages (plan/slices.py says what each holds)."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Self

from featflow.config.errors import ConfigError, did_you_mean
from featflow.config.graph import root_of
from featflow.config.load import Workflow
from featflow.config.merging import TaskVectors
from featflow.config.models import Base, Finetune, Merge, Pretrained, Random
from featflow.config.saes import Activations
from featflow.config.study import Study
from featflow.config.tokenizers import Bpe
from featflow.plan.lineage import Lineage
from featflow.plan.slicer_pages import PageSlices
from featflow.plan.slices import (
    ActivationsSlice,
    CorpusSlice,
    EvaluateSlice,
    FeaturesSlice,
    FinetuneSlice,
    MergeSlice,
    MetricsSlice,
    PretrainedSlice,
    RandomSlice,
    SaeSlice,
    SweepSlice,
    TokenizerSlice,
    TokensSlice,
    TrainSlice,
    Windows,
)

WHAT = {"sae": "SAE", "a": "dictionary (model.sae)", "b": "dictionary (model.sae)"}
"""How a wildcard is called in a message."""


class Slices(PageSlices):
    """The slices of one study; those of later stages are in slicer_analysis.py, slicer_pages.py."""

    def __init__(self, name: str, study: Study, paper: Study | None = None):
        """Args: paper: the study that the report compares settings with."""
        self.name, self.study, self.lineage = name, study, Lineage(study)
        self._paper = paper

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

    def corpus(self, corpus: str) -> CorpusSlice:
        corpora = self.study.corpora
        return CorpusSlice(
            study=self.name,
            corpus=corpus,
            seed=self._seed("corpus", corpus),
            source=corpora[corpus].model_copy(update={"tokens": None}),
            validation=max(source.validation for source in corpora.values()),
            selection=max(source.selection for source in corpora.values()),
        )

    def tokenizer(self) -> TokenizerSlice:
        return TokenizerSlice(study=self.name, tokenizer=self.study.tokenizer)

    def tokenizer_corpora(self) -> list[str]:
        tokenizer = self.study.tokenizer
        return list(tokenizer.corpora) if isinstance(tokenizer, Bpe) else []

    def tokens(self, corpus: str, split: str) -> TokensSlice:
        limit = self.study.corpora[corpus].tokens if split == "train" else None
        return TokensSlice(study=self.name, corpus=corpus, split=split, tokens=limit)  # type: ignore[arg-type]

    def train(self, model: str) -> TrainSlice:
        base = self.study.models[model]
        assert isinstance(base, Base)
        return TrainSlice(
            study=self.name,
            model=model,
            seed=self._seed("train", model, base.seed),
            blocks_seed=self._seed("blocks"),
            corpora=base.corpora,
            architecture=base.architecture,
            training=base.training,
        )

    def pretrained(self, model: str) -> PretrainedSlice:
        found = self.study.models[model]
        assert isinstance(found, Pretrained)
        return PretrainedSlice(
            study=self.name,
            model=model,
            name=found.name,
            revision=found.revision,
            context=found.context,
        )

    def random(self, model: str) -> RandomSlice:
        found = self.study.models[model]
        assert isinstance(found, Random)
        root = self.study.models[found.like]
        return RandomSlice(
            study=self.name,
            model=model,
            seed=self._seed("random", model, found.seed),
            architecture=root.architecture if isinstance(root, Base) else None,
        )

    def _context(self, model: str) -> int | None:
        root = root_of(self.study, model)
        return root.context if isinstance(root, Pretrained) else None

    def finetune(self, model: str) -> FinetuneSlice:
        child = self.study.models[model]
        assert isinstance(child, Finetune)
        return FinetuneSlice(
            study=self.name,
            model=model,
            seed=self._seed("finetune", model, child.seed),
            blocks_seed=self._seed("blocks"),
            corpora=child.corpora,
            training=child.training,
            context=self._context(model),
        )

    def sweep(self, model: str) -> SweepSlice:
        if model not in self.study.swept:
            hint = did_you_mean(model, self.study.swept)
            raise ConfigError(f"study {self.name}: {model!r} is no merge with a t; {hint}")
        merge = self._merge(model)
        fields = type(merge.method).model_fields
        method = merge.method.model_copy(update={"t": fields["t"].default})
        return SweepSlice(
            study=self.name,
            model=model,
            parents=merge.parents,
            corpora=[self.lineage.own_corpora(p) for p in merge.parents],
            method=method,
            points=self.study.evaluation.sweep_points,
            tokens=self.study.evaluation.tokens,
            blocks_seed=self._seed("blocks"),
            context=self._context(model),
        )

    def merge(self, model: str) -> MergeSlice:
        merge = self._merge(model)
        swept = isinstance(getattr(merge.method, "t", None), str)
        measured = isinstance(merge.method, TaskVectors)  # `base` below says from what
        return MergeSlice(
            study=self.name,
            model=model,
            parents=merge.parents,
            corpora=[self.lineage.own_corpora(p) for p in merge.parents if swept],
            method=merge.method.model_copy(update={"base": None} if measured else {}),
            base=self.merge_base(model),
        )

    def merge_base(self, model: str) -> str | None:
        """The model that a merge's task vectors are measured from (None: its method has none)."""
        method = self._merge(model).method
        if not isinstance(method, TaskVectors):
            return None
        return method.base or self.lineage.common_ancestor(model)

    def _merge(self, model: str) -> Merge:
        merge = self.study.models[model]
        assert isinstance(merge, Merge)
        return merge

    def evaluate(self, model: str) -> EvaluateSlice:
        return EvaluateSlice(
            study=self.name,
            model=model,
            corpora=sorted(self.study.corpora),
            tokens=self.study.evaluation.tokens,
            blocks_seed=self._seed("blocks"),
            context=self._context(model),
        )

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

    def activations(self, model: str, hook: str, shard: int | str) -> ActivationsSlice:
        settings, shard = self.study.activations, int(shard)
        left = settings.tokens - shard * settings.shard_tokens
        return ActivationsSlice(
            study=self.name,
            model=model,
            hook=hook,
            corpora=self.lineage.activation_corpora(model),
            windows=self.windows(),
            seed=self._seed("activations"),
            shard=shard,
            shard_tokens=settings.shard_tokens,
            tokens=min(settings.shard_tokens, left),
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

    def sae(self, model: str, sae: str) -> SaeSlice:
        settings, activations = self.study.saes[sae], self.study.activations
        shared = settings.init == "shared"
        said_elsewhere = ("models", "control_of", "corpora", "context")
        # Without what `windows` and `corpora` say, and without tokens of shards that it never sees.
        data = Activations(
            scale=activations.scale,
            outliers=activations.outliers,
            tokens=min(activations.tokens, len(self.shards(sae)) * activations.shard_tokens),
            shard_tokens=activations.shard_tokens,
            keep=not self.makes_its_own(sae),
        )
        return SaeSlice(
            study=self.name,
            model=model,
            name=sae,
            seed=self._seed("sae", "*" if shared else model, settings.seed),
            activations_seed=self._seed("activations"),
            settings=settings.model_copy(update=dict.fromkeys(said_elsewhere)),
            activations=data,
            windows=self.windows(sae),
            corpora=self.lineage.activation_corpora(model, sae),
        )

    def metrics(self, model: str, sae: str) -> MetricsSlice:
        return MetricsSlice(
            study=self.name,
            model=model,
            sae=sae,
            hook=self.study.saes[sae].hook,
            corpora=self.lineage.activation_corpora(model, sae),
            windows=self.windows(sae),
            tokens=self.study.evaluation.tokens,
            blocks_seed=self._seed("blocks"),
        )

    def features(self, model: str, sae: str) -> FeaturesSlice:
        return FeaturesSlice(
            study=self.name,
            model=model,
            sae=sae,
            hook=self.study.saes[sae].hook,
            corpora=self.study.probe_corpora,
            windows=self.windows(sae),
            tokens_per_corpus=self.study.probe.tokens_per_corpus,
            blocks_seed=self._seed("blocks"),
        )
