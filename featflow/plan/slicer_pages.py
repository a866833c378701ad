"""The slices of what people look at: cases, interpretation, figures, pages."""

from functools import cached_property
from importlib import import_module

from featflow.config.errors import ConfigError
from featflow.config.figures import Figure
from featflow.config.graph import is_control
from featflow.config.models import Merge
from featflow.plan.differences import differences
from featflow.plan.slicer_analysis import AnalysisSlices
from featflow.plan.slices import (
    CaseSlice,
    CategoriesSlice,
    DashboardsSlice,
    ExplorerSlice,
    FigureSlice,
    InterpretSlice,
    Node,
    ReportSlice,
)


class PageSlices(AnalysisSlices):
    """What `Slices` has for the stages that tell of features."""

    def case(self, case: str) -> CaseSlice:
        settings = self.study.cases[case]
        sae = settings.sae or self.study.flow_saes[0]
        having = [m for m in self.lineage.models() if m in self.lineage.sae_models(sae)]
        roots = [m for m in having if m in self.lineage.roots()] or having
        named = settings.feature.split("/")[0] if settings.feature else settings.model
        model = named or roots[0]
        edges = [edge for edge in self.lineage.flow_edges(sae) if model in edge]
        reseeds = self.lineage.seeds(model, sae)[1:] if edges else []
        return CaseSlice(
            study=self.name,
            case=case,
            settings=settings,
            sae=sae,
            model=model,
            models={m: node for m, node in self._nodes.items() if m in having},
            corpora=self.study.probe_corpora,
            flow=self.judging,
            windows=self.windows(sae),
            reseeds=reseeds,
            neighbours=edges if reseeds else [],
            scope=self.judged_on(model, sae),
        )

    def interpreted(self) -> tuple[str, list[str]]:
        """The SAE, and the models, whose features are explained; none where none are."""
        settings = self.study.interpret
        if settings is None or not self.study.flow_saes:
            return "", []
        sae = settings.sae or self.study.flow_saes[0]
        known = [m for m in self.lineage.models() if m in self.lineage.sae_models(sae)]
        return sae, [m for m in known if settings.models is None or m in settings.models]

    def interpret(self, model: str, sae: str) -> InterpretSlice:
        """Raises ConfigError for features that are not to be explained."""
        settings = self.study.interpret
        own, models = self.interpreted()
        if settings is None or (sae, model) not in [(own, m) for m in models]:
            known = ", ".join(f"{m}/{own}" for m in models) or "none: give the study `interpret`"
            raise ConfigError(
                f"study {self.name}: {model}/{sae} is not interpreted; there are: {known}"
            )
        return InterpretSlice(
            study=self.name,
            model=model,
            sae=sae,
            settings=settings.model_copy(update={"sae": None, "models": None, "features": {}}),
            features=settings.features.get(model, []),
            edges=[e for e in self.lineage.flow_edges(sae) if model in e],
            corpora=self.study.probe_corpora,
            seed=self._seed("interpret", model, sae, settings.seed),
        )

    def categories(self, sae: str) -> CategoriesSlice:
        settings, (own, models) = self.study.interpret, self.interpreted()
        if settings is None or sae != own:
            raise ConfigError(f"study {self.name}: no features of SAE {sae!r} are interpreted")
        return CategoriesSlice(
            study=self.name,
            sae=sae,
            settings=settings,
            models={m: node for m, node in self._nodes.items() if m in models},
            interpreted=models,
        )

    def explored(self) -> dict[str, list[str]]:
        """Each SAE whose features have pages, and the models; none without an explorer."""
        settings = self.study.explorer
        if settings is None:
            return {}
        saes = settings.saes if settings.saes is not None else self.study.flow_saes
        models = set(self.lineage.models())
        return {s: [m for m in self.lineage.sae_models(s) if m in models] for s in saes}

    def dashboards(self, model: str, sae: str) -> DashboardsSlice:
        """Raises ConfigError for features that have no pages."""
        explored = self.explored()
        if self.study.explorer is None or model not in explored.get(sae, []):
            known = ", ".join(f"{m}/{s}" for s, models in explored.items() for m in models)
            raise ConfigError(
                f"study {self.name}: {model}/{sae} has no pages of features; there are: "
                f"{known or 'none: give the study `explorer`'}"
            )
        interpreted_sae, interpreted = self.interpreted()
        shared = {m: self._scopes(model, m, "intersection")[0] for m in explored[sae]}
        return DashboardsSlice(
            study=self.name,
            model=model,
            sae=sae,
            settings=self.study.explorer.model_copy(update={"saes": None}),
            models={m: node for m, node in self._nodes.items() if m in explored[sae]},
            scopes={m: s or self.study.probe_corpora for m, s in shared.items() if m != model},
            scope=self.judged_on(model, sae),
            corpora=self.study.probe_corpora,
            flow=self.judging,
            hook=self.study.saes[sae].hook,
            interpreted=sae == interpreted_sae and model in interpreted,
        )

    def explorer(self) -> ExplorerSlice:
        explored = self.explored()
        shown = {model for models in explored.values() for model in models}
        return ExplorerSlice(
            study=self.name,
            saes=explored,
            models={m: n for m, n in self._nodes.items() if m in shown},
            edges=[e for e in self.lineage.edges() if set(e) <= shown],
            flow=self.judging,
            cases=sorted(self.study.cases),
        )

    def figure(self, figure: str) -> FigureSlice:
        settings = self.study.drawn[figure]
        shown = self._shown(settings)
        return FigureSlice(
            study=self.name,
            figure=figure,
            settings=settings,
            models={name: node for name, node in self._nodes.items() if name in shown},
            corpora=self._kinds() if settings.shows_corpora else {},
        )

    def _shown(self, settings: Figure) -> set[str]:
        """The models whose place in the graph a figure shows: they and their ancestors, or none."""
        drawn = import_module(f"featflow.figures.{settings.kind}").models(self, settings)
        return {name for model in drawn for name in (model, *self.lineage.ancestors(model))}

    def report(self) -> ReportSlice:
        study, paper = self.study, self._paper
        compared = paper is not None and paper != study
        return ReportSlice(
            study=self.name,
            models=self._nodes,
            corpora=self._kinds(),
            saes={n: s.model_copy(update={"models": None}) for n, s in study.saes.items()},
            controls={n: s.control_of for n, s in study.saes.items() if s.control_of},
            figures=list(study.drawn),
            flow=self.judging,
            compared_with="paper" if compared else None,
            differences=differences(study, paper) if compared and paper else [],
            probe=self.probe(),
            explorer=bool(self.explored()),
        )

    @cached_property
    def _nodes(self) -> dict[str, Node]:
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

    def _kinds(self) -> dict[str, str]:
        return {name: corpus.kind for name, corpus in self.study.corpora.items()}

    def _stands_for(self, name: str) -> str | None:
        model = self.study.models[name]
        own = getattr(model, "like", None) or getattr(model, "control_of", None)
        return own if is_control(model) else None
