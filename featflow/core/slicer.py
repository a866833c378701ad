"""From a study to the slices of its stages (core/slices.py says what each holds)."""

import hashlib
from collections.abc import Collection
from functools import cached_property

from featflow.core.config.checks import edges, root_of
from featflow.core.config.corpora import Files, Hub
from featflow.core.config.errors import ConfigError, did_you_mean
from featflow.core.config.figures import (
    DensityFigure,
    Figure,
    FlowFigure,
    LineageFigure,
    SweepFigure,
    TrainingFigure,
)
from featflow.core.config.merging import TaskVectors
from featflow.core.config.models import Base, Finetune, Merge, Pretrained
from featflow.core.config.saes import Activations
from featflow.core.config.study import Study
from featflow.core.config.tokenizers import Bpe
from featflow.core.differences import differences
from featflow.core.lineage import Dictionary, Lineage
from featflow.core.slices import (
    ActivationsSlice,
    CorpusSlice,
    CorrelationSlice,
    EvaluateSlice,
    FeaturesSlice,
    FigureSlice,
    FinetuneSlice,
    FlowPair,
    FlowSlice,
    MergeSlice,
    MetricsSlice,
    Node,
    PretrainedSlice,
    ReportSlice,
    SaeSlice,
    SweepSlice,
    TokenizerSlice,
    TokensSlice,
    TrainSlice,
    Windows,
)

WHAT = {"sae": "SAE", "a": "dictionary (model.sae)", "b": "dictionary (model.sae)"}
"""How a wildcard is called in a message."""


def seed_from(*parts: object) -> int:
    """A seed from the study's seed and the names involved; the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1  # numpy, torch and C ints all take 31 bits


class Slices:
    """The slices of one study."""

    def __init__(self, name: str, study: Study):
        self.name, self.study, self.lineage = name, study, Lineage(study)

    def check(self, names: dict[str, str]) -> None:
        """Check the names that a target is asked for with (model, sae, corpus, a, b, …).

        Raises:
            ConfigError: for a name that the study does not have, with the closest one.
        """
        study = self.study
        dictionaries = self._dictionaries if {"a", "b"} & names.keys() else []
        known: dict[str, Collection[str]] = {
            "corpus": study.corpora,
            "model": study.models,
            "sae": study.saes,
            "hook": [sae.hook for sae in study.saes.values()],
            "figure": study.drawn,
            "a": dictionaries,
            "b": dictionaries,
        }
        if "sae" in names and "model" in names:
            known["sae"] = [s for s in study.saes if names["model"] in self.lineage.sae_models(s)]
        elif "sae" in names:
            known["sae"] = study.flow_saes
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

    def _seed(self, *parts: object) -> int:
        return seed_from(self.study.seed, *parts)

    def corpus(self, corpus: str) -> CorpusSlice:
        source = self.study.corpora[corpus].model_copy(update={"tokens": None})
        # Nothing is drawn from what is read whole: another seed of the study makes the same corpus.
        whole = isinstance(source, Files) or (isinstance(source, Hub) and source.sample is None)
        seed = 0 if whole else self._seed("corpus", corpus)
        return CorpusSlice(study=self.name, corpus=corpus, seed=seed, source=source)

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
            context=self._context(model),
        )

    def windows(self) -> Windows:
        activations = self.study.activations
        window, alone = activations.window, activations.context == "truncated"
        return Windows(
            window=window,
            context=activations.context,
            context_length=window if alone else self.lineage.context(),
        )

    def activations(self, model: str, hook: str, shard: int) -> ActivationsSlice:
        settings = self.study.activations
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

    def sae(self, model: str, sae: str) -> SaeSlice:
        settings, activations = self.study.saes[sae], self.study.activations
        shared = settings.init == "shared"
        # Without what `windows` and `corpora` say, and without tokens of shards that it never sees.
        data = Activations(
            scale=activations.scale,
            tokens=min(activations.tokens, len(self.shards(sae)) * activations.shard_tokens),
            shard_tokens=activations.shard_tokens,
            keep=activations.keep,
        )
        return SaeSlice(
            study=self.name,
            model=model,
            name=sae,
            seed=self._seed("sae", "*" if shared else model, settings.seed),
            activations_seed=self._seed("activations"),
            settings=settings.model_copy(update={"models": None, "control_of": None}),
            activations=data,
            windows=self.windows(),
            corpora=self.lineage.activation_corpora(model),
        )

    def metrics(self, model: str, sae: str) -> MetricsSlice:
        return MetricsSlice(
            study=self.name,
            model=model,
            sae=sae,
            hook=self.study.saes[sae].hook,
            corpora=self.lineage.activation_corpora(model),
            windows=self.windows(),
            tokens=self.study.evaluation.tokens,
        )

    def features(self, model: str, sae: str) -> FeaturesSlice:
        return FeaturesSlice(
            study=self.name,
            model=model,
            sae=sae,
            hook=self.study.saes[sae].hook,
            corpora=self.study.probe_corpora,
            windows=self.windows(),
            tokens_per_corpus=self.study.probe.tokens_per_corpus,
        )

    def correlation(self, a: str, b: str) -> CorrelationSlice:
        """Raises ConfigError where the two models have no probe corpus in their scope."""
        first, second = Dictionary(*a.split(".")), Dictionary(*b.split("."))
        scope_a, scope_b = self.scopes(first.model, second.model)
        if not (scope_a and scope_b):
            raise ConfigError(
                f"study {self.name}: flow.scope {self.study.flow.scope} leaves no corpus of the "
                f"probe for {a} and {b}; use home or union, or add a corpus of both to the probe"
            )
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
        )

    def scopes(self, a: str, b: str) -> tuple[list[str], list[str]]:
        """The probe corpora on which the features of a, and those of b, are judged."""
        homes = [set(self.lineage.corpora(model)) for model in (a, b)]
        if self.study.flow.scope == "intersection":
            homes = [homes[0] & homes[1]] * 2
        elif self.study.flow.scope == "union":
            homes = [homes[0] | homes[1]] * 2
        probe = self.study.probe_corpora
        first, second = ([c for c in probe if c in home] for home in homes)
        return first, second

    def flow(self, sae: str) -> FlowSlice:
        pairs = [FlowPair(role=p.role, a=str(p.a), b=str(p.b)) for p in self.lineage.pairs(sae)]
        return FlowSlice(study=self.name, sae=sae, flow=self.study.flow, pairs=pairs)

    def figure(self, figure: str) -> FigureSlice:
        settings = self.study.drawn[figure]
        shown = self._shown(settings)
        return FigureSlice(
            study=self.name,
            figure=figure,
            settings=settings,
            models={name: node for name, node in self._nodes().items() if name in shown},
            corpora=self._kinds() if isinstance(settings, LineageFigure) else {},
        )

    def _shown(self, settings: Figure) -> set[str]:
        """The models whose place in the graph a figure shows: they and their ancestors, or none."""
        study, lineage = self.study, self.lineage
        if isinstance(settings, (TrainingFigure, DensityFigure)):
            return set()
        if isinstance(settings, SweepFigure):
            drawn = [settings.model or study.swept[0]]
        elif isinstance(settings, FlowFigure):
            sae = settings.sae or study.flow_saes[0]
            drawn = [name for edge in edges(study, sae) for name in edge]
        else:
            drawn = list(study.models)
        return {name for model in drawn for name in (model, *lineage.ancestors(model))}

    def report(self, paper: Study | None = None) -> ReportSlice:
        """Args: paper: the study that settings are compared with."""
        study = self.study
        compared = paper is not None and paper != study
        return ReportSlice(
            study=self.name,
            models=self._nodes(),
            corpora=self._kinds(),
            saes={n: s.model_copy(update={"models": None}) for n, s in study.saes.items()},
            controls={n: s.control_of for n, s in study.saes.items() if s.control_of},
            figures=list(study.drawn),
            flow=study.flow,
            compared_with="paper" if compared else None,
            differences=differences(study, paper) if compared and paper else [],
        )

    def _nodes(self) -> dict[str, Node]:
        return {
            name: Node(
                kind=model.kind,
                parents=self.lineage.parents(name),
                corpora=getattr(model, "corpora", []),
                method=model.method.kind if isinstance(model, Merge) else None,
            )
            for name, model in self.study.models.items()
        }

    def _kinds(self) -> dict[str, str]:
        return {name: corpus.kind for name, corpus in self.study.corpora.items()}
