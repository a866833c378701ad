"""The report, and the explorer: a page, and scripts with its data."""

from featflow.config.base import Name
from featflow.config.errors import ConfigError
from featflow.config.exploring import Explorer
from featflow.config.saes import Sae
from featflow.config.study import Flow
from featflow.plan import paths
from featflow.plan.differences import Difference, differences
from featflow.plan.paths import Template, folder
from featflow.plan.slicer import Slices
from featflow.plan.slices import Node, ProbeRows, Slice
from featflow.plan.stages import analysis, data, features, figures, interpret, models, saes
from featflow.plan.stages.analysis import of_flow
from featflow.plan.stages.data import tokens
from featflow.plan.stages.features import pairing
from featflow.plan.stages.spec import Cost, File, Names, Sizes, Stage, targets

DASHBOARDS = File(
    paths.DASHBOARDS,
    "other",
    "A dictionary; KEY `{model}/{sae}`. `features`: how many, m; `per_shard`: in a file; "
    "`hook`; `tokens`: rows of the probe; `corpora`: of the probe; `scopes`: by other model "
    "the corpora on which partners in it are judged, each with equally many tokens; `scope`: "
    "those on which the fates of its features are; `strata` "
    "and `fate_names`: what codes stand for. `columns`, lists of m: `density`, `max`, `mean`, "
    "`documents` (as in summary.parquet), `lookup_r` (on the whole probe), `stratum` (code), "
    "`token` (id with the largest sum of activation), `fates.{edge}:{role}` (code), "
    "`partners.{model}` and `r.{model}` (the best partner that is not rare, and Pearson's r), "
    "`explanation`, `score` (of the simulation), `category`.",
    provenance="key `provenance` of VALUE",
)

SHARD = File(
    Template(f"{folder(paths.DASHBOARDS)}/{{shard}}.js"),
    "other",
    "Features `per_shard` · shard and the following; KEY `{model}/{sae}/{shard}`, VALUE a list "
    "of objects. `id`; `contexts`: `kind` (top, interval), `interval` (i: the row's activation "
    "is in (i · max / K, (i + 1) · max / K]; null: top; "
    "those of the scope come before those of other corpora), `corpus`, `in_scope` (whether the "
    "features' fates are judged there), `document` (its number), "
    "`position` (of the row, in the corpus's input_ids), `ids` (tokens), `at` (which of them "
    "is the row's), `values` (the feature's activation on each; null: no row of the probe), "
    "`others.{model}` (its partner's there); `histogram`: of activations above 0, `edges` of "
    "20 equal bins from 0 to the largest and `counts`; `tokens`: up to 10 (id, mean activation "
    "where it fires on it, firings), by the sum of activation; `promoted`, `suppressed`: (id, "
    "logit) of its direction, null: not known for such a model or hook; `partners`: `model`, "
    "`feature`, `r`, `r_back` (the partner's r with its own best partner), `mutual` (that is "
    "this feature), `r_trimmed` (r without the rows that contribute most), of a parent also "
    "`nu_error` and `nu_reconstruction` (its row in scaling.parquet, where there is one); "
    "`chain`: its row in chains.parquet; `scores`: its rows in scores.parquet.",
    beside="index.js",
    target=False,
)

EXPLORER = File(
    paths.EXPLORER,
    "other",
    "The page that browses all features. It opens from disk and asks no network; what is about "
    "single features it loads from the scripts beside it: each calls "
    "`featflow.put(KEY,VALUE);`, KEY and VALUE being JSON in ASCII, without `<`, `>` and `&`. "
    "Numbers there have four significant digits; null: there is none.",
    provenance="in the page, a script element `featflow-provenance`",
)

VOCABULARY = File(
    Template(f"{folder(paths.EXPLORER)}/vocabulary.js"),
    "other",
    "The text of every token id, at most 200 characters of it; KEY `vocabulary`, VALUE a list. "
    "A byte that is no character is U+FFFD.",
    beside="explorer.html",
    target=False,
)

REPORT = File(
    paths.REPORT,
    "other",
    "One page with the whole study: tables, figures, every artifact with where it came from. "
    "It needs no network.",
    provenance="in the page",
)


def dumps(slices: Slices, names: Names) -> list[str]:
    """Of every model whose features stand side by side with this one's."""
    cfg = dashboards_slice(slices, names["model"], names["sae"])
    return paths.FEATURES.each(
        study=slices.name, model=cfg.models, sae=names["sae"], corpus=cfg.corpora
    )


def _summaries(slices: Slices, names: Names) -> list[str]:
    """Beside these dumps: each stands for those of its dictionary, being written last. Of 100
    models the dumps are 400 files a job."""
    models = dashboards_slice(slices, names["model"], names["sae"]).models
    return paths.SUMMARY.each(study=slices.name, model=models, sae=names["sae"])


def _scores(slices: Slices, names: Names) -> list[str]:
    """The explanations of a dictionary's features, if there are any."""
    at = {"study": slices.name, **names}
    return (
        [paths.INTERPRET.at(**at)]
        if dashboards_slice(slices, names["model"], names["sae"]).interpreted
        else []
    )


def _scaling(slices: Slices, names: Names) -> list[str]:
    """Latent scaling of a dictionary's features against each of its parents."""
    model, sae = names["model"], names["sae"]
    parents = dashboards_slice(slices, model, sae).scaled
    return paths.SCALING.each(study=slices.name, sae=sae, parent=parents, child=model)


def _explored(slices: Slices, names: Names) -> list[str]:
    return [
        path
        for sae, models in explorer_slice(slices).saes.items()
        for path in paths.DASHBOARDS.each(study=slices.name, model=models, sae=sae)
    ]


def _explored_edges(slices: Slices, names: Names) -> list[str]:
    saes = [sae for sae in explorer_slice(slices).saes if slices.lineage.flow_edges(sae)]
    return paths.FLOW_EDGES.each(study=slices.name, sae=saes)


SHOWN = (
    paths.CORPUS,
    paths.TOKENIZER,
    paths.MODEL,
    paths.WEIGHTS,
    paths.TRAINING,
    paths.MERGE,
    paths.EVALUATE,
    paths.SWEEP,
    paths.SAE,
    paths.SAE_WEIGHTS,
    paths.SAE_METRICS,
    paths.SAE_TRAINING,
    paths.SUMMARY,
    paths.MATCHES,
    paths.FLOW_EDGES,
    paths.FLOW_STRATA,
    paths.FLOW_CHAINS,
    paths.FLOW_FEATURES,
    paths.FLOW_CONTROLS,
    paths.FLOW_DOMAINS,
    paths.CASE,
    paths.CATEGORIES,
)
"""Of every file that follows one of these the report shows something."""
BEFORE = [
    s
    for family in (data, models, saes, features, analysis, interpret, figures)
    for s in family.STAGES
]
"""The stages whose files the report shows."""


def shown(slices: Slices, names: Names) -> list[str]:
    """Every file that the report shows something of."""
    return [
        *targets(BEFORE, slices, *SHOWN),
        *targets(BEFORE, slices, paths.TOKENS, split=("train", "validation")),
        *targets(BEFORE, slices, paths.FIGURE, format=("json",)),
    ]


class DashboardsSlice(Slice):
    model: Name
    sae: Name
    settings: Explorer
    models: dict[Name, Node]
    """All models that have the SAE, controls left out, in the order of the dumps."""
    scopes: dict[Name, list[Name]]
    """Of each other model the corpora on which partners in it are judged: of the probe, what both
    models and their ancestors were trained on; all of it where that is nothing."""
    scope: list[Name]
    """The corpora on which the fates of its features are judged: contexts from there come first."""
    corpora: list[Name]
    flow: Flow
    hook: str
    interpreted: bool
    scaled: list[Name] = []
    """The parents of which there is latent scaling, in the order of its tables."""


def dashboards_slice(slices: Slices, model: str, sae: str) -> DashboardsSlice:
    """Raises ConfigError for features that have no pages."""
    explored = slices.explored()
    if slices.study.explorer is None or model not in explored.get(sae, []):
        known = ", ".join(f"{m}/{s}" for s, models in explored.items() for m in models)
        raise ConfigError(
            f"study {slices.name}: {model}/{sae} has no pages of features; there are: "
            f"{known or 'none: give the study `explorer`'}"
        )
    interpreted_sae, interpreted = slices.interpreted()
    scaled = slices.lineage.flow_edges(sae) if slices.study.controls.transfer else []
    shared = {m: slices.scopes_by(model, m, "intersection")[0] for m in explored[sae]}
    return DashboardsSlice(
        study=slices.name,
        model=model,
        sae=sae,
        settings=slices.study.explorer.model_copy(update={"saes": None}),
        models={m: node for m, node in slices.nodes.items() if m in explored[sae]},
        scopes={m: s or slices.study.probe_corpora for m, s in shared.items() if m != model},
        scope=slices.judged_on(model, sae),
        corpora=slices.study.probe_corpora,
        flow=slices.judging,
        hook=slices.study.saes[sae].hook,
        interpreted=sae == interpreted_sae and model in interpreted,
        scaled=[a for a, b in scaled if b == model],
    )


class ExplorerSlice(Slice):
    saes: dict[Name, list[Name]]
    """Each SAE and the models whose features are shown, in the order of the dashboards."""
    models: dict[Name, Node]
    edges: list[tuple[Name, Name]]
    flow: Flow
    cases: list[Name]


def explorer_slice(slices: Slices) -> ExplorerSlice:
    explored = slices.explored()
    shown = {model for models in explored.values() for model in models}
    return ExplorerSlice(
        study=slices.name,
        saes=explored,
        models={m: n for m, n in slices.nodes.items() if m in shown},
        edges=[e for e in slices.lineage.edges() if set(e) <= shown],
        flow=slices.judging,
        cases=sorted(slices.study.cases),
    )


class ReportSlice(Slice):
    models: dict[Name, Node]
    corpora: dict[Name, str]
    """Each corpus and the kind of its source."""
    saes: dict[Name, Sae]
    controls: dict[Name, Name]
    """Each SAE that is a second seed of another, and that one."""
    figures: list[Name]
    """In the order in which the page shows them."""
    flow: Flow
    compared_with: Name | None = None
    """The study that the differences are from: `paper`, where the config has it."""
    differences: list[Difference] = []
    probe: ProbeRows
    explorer: bool = False
    """Whether explorer.html stands beside the page, which then links to it."""


def report_slice(slices: Slices) -> ReportSlice:
    study, paper = slices.study, slices.paper
    compared = paper is not None and paper != study
    return ReportSlice(
        study=slices.name,
        models=slices.nodes,
        corpora=slices.corpus_kinds(),
        saes={n: s.model_copy(update={"models": None}) for n, s in study.saes.items()},
        controls={n: s.control_of for n, s in study.saes.items() if s.control_of},
        figures=list(study.drawn),
        flow=slices.judging,
        compared_with="paper" if compared else None,
        differences=differences(study, paper) if compared and paper else [],
        probe=slices.probe(),
        explorer=bool(slices.explored()),
    )


def _showing(z: Sizes, cfg: DashboardsSlice) -> float:
    """As correlating it with every model that is shown."""
    rows, m = sum(map(z.rows, cfg.corpora)), z.features((cfg.model, cfg.sae))
    return len(cfg.models) * pairing(z, rows, cfg.sae, cfg.sae, m)


STAGES = (
    Stage(
        "dashboards",
        "featflow.report.dashboards",
        revision=None,
        summary="the data of every feature's page",
        wildcards=("model", "sae"),
        slice=dashboards_slice,
        cost=Cost(
            start=4,
            rate=2.5e8,
            memory=0.4e9,
            work=_showing,
            held=lambda z, cfg: 3 * len(cfg.models) * z.dump_bytes(cfg.sae, cfg.corpora),
        ),
        jobs=lambda s: [(m, sae) for sae, models in s.explored().items() for m in models],
        inputs={
            "model": paths.MODEL,
            "weights": paths.WEIGHTS,
            "sae": paths.SAE,
            "summaries": _summaries,
            "tokens": lambda s, n: tokens(
                s, dashboards_slice(s, n["model"], n["sae"]).corpora, "validation"
            ),
            "tokenizer": paths.TOKENIZER,
            "summary": paths.SUMMARY,
            "flow": lambda s, n: of_flow(s, n["sae"], paths.FLOW_FEATURES),
            "chains": lambda s, n: of_flow(s, n["sae"], paths.FLOW_CHAINS),
            "scores": _scores,
            "scaling": _scaling,
        },
        outputs=(
            DASHBOARDS,
            SHARD,
        ),
    ),
    Stage(
        "explorer",
        "featflow.report.explorer",
        revision=None,
        summary="the page that browses all features",
        wildcards=(),
        slice=explorer_slice,
        cost=Cost(start=1, memory=0.3e9),
        jobs=lambda s: [()] if s.explored() else [],
        inputs={
            "dashboards": _explored,
            "tokenizer": paths.TOKENIZER,
            "edges": _explored_edges,
            "cases": lambda s, n: paths.CASE.each(study=s.name, case=explorer_slice(s).cases),
        },
        outputs=(
            EXPLORER,
            VOCABULARY,
        ),
        leaves=(paths.EXPLORER,),
    ),
    Stage(
        "report",
        "featflow.report.report",
        revision=None,
        summary="one page that shows the whole study",
        wildcards=(),
        slice=report_slice,
        cost=Cost(start=2, memory=0.2e9),
        jobs=lambda s: [()],
        inputs={"shown": shown},
        outputs=(REPORT,),
        leaves=(paths.REPORT,),
    ),
)
