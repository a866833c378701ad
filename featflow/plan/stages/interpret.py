"""Explanations of features, their scores, and what they are about."""

from featflow.config.base import Name
from featflow.config.errors import ConfigError
from featflow.config.interpreting import Interpret
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Node, Slice
from featflow.plan.stages.analysis import of_flow
from featflow.plan.stages.data import tokens
from featflow.plan.stages.spec import Cost, Field, File, Job, Stage


def _score(name: str, meaning: str) -> Field:
    return Field(name, "float64", meaning, null=True)


INTERPRET = File(
    paths.INTERPRET,
    "parquet",
    "A row for each explained feature and explainer. Beside it lies answers.jsonl, where the "
    "provider is an endpoint: a line for each answer, appended as it comes, so that none is "
    "asked for twice; it is no target, and no rule deletes it.",
    (
        Field("feature", "int32", "from 0"),
        Field(
            "groups",
            "text",
            "what it was drawn for, `+` between: persisting, disappearing, emerging, random, "
            "listed",
        ),
        Field(
            "explainer",
            "text",
            "the model's name; `lookup`: mean activation per token of the explain records; "
            "`lookup_probe`: of the probe without the documents of the score records",
        ),
        Field("explanation", "text", "null: none", null=True),
        Field("category", "text", "docs/interpretation.md; null: no explanation", null=True),
        Field(
            "status",
            "text",
            "of the first of simulation, detection, fuzzing that is asked for: ok, undefined "
            "(nothing to score by), failed (not answered)",
        ),
        Field("reason", "text", "why a score or an answer is missing", null=True),
        _score("pearson", "r of predicted and true activation on all score records"),
        _score("spearman", "the same of ranks"),
        _score("pearson_top_random", "r on the top and random records alone"),
        _score("pearson_random", "r on the random records alone"),
        _score("detection", "balanced accuracy: which records have the feature"),
        _score("fuzzing", "balanced accuracy: which marks are right"),
        Field("records", "int32", "score records"),
        Field("tokens", "int32", "of the score records"),
        Field("density", "float64", "share of probe tokens on which the feature fires"),
        Field("stratum", "text", "lookup, between, contextual, unknown"),
        Field("firings", "int64", "on the probe"),
    ),
)

CATEGORIES = File(
    paths.CATEGORIES,
    "parquet",
    "What explained features are about. A row for each category that occurs; `lookup_probe` is "
    "left out.",
    (
        Field("model", "text", "whose features"),
        Field("explainer", "text", "as in scores.parquet"),
        Field("kind", "text", "group or chain"),
        Field(
            "name",
            "text",
            "the group, or the status in chains.parquet: persisting, disappearing, "
            "base-derived, emerged-in-finetune, emerging",
        ),
        Field("category", "text", "docs/interpretation.md"),
        Field("features", "int64", "of that category"),
        Field("of", "int64", "explained features of the group or status"),
        Field("share", "float64", "features / of"),
        Field(
            "population",
            "int64",
            "features of the group or status, explained or not; null: listed ones, or no flow",
            null=True,
        ),
    ),
)


def _interpreted(slices: Slices) -> list[Job]:
    """Dictionaries whose features are explained."""
    sae, models = slices.interpreted()
    return [(model, sae) for model in models]


class InterpretSlice(Slice):
    model: Name
    sae: Name
    settings: Interpret
    features: list[int]
    """Asked for by number."""
    edges: list[tuple[Name, Name]]
    """Of the model, as parent or as child."""
    corpora: list[Name]
    seed: int


def interpret_slice(slices: Slices, model: str, sae: str) -> InterpretSlice:
    """Raises ConfigError for features that are not to be explained."""
    settings = slices.study.interpret
    own, models = slices.interpreted()
    if settings is None or (sae, model) not in [(own, m) for m in models]:
        known = ", ".join(f"{m}/{own}" for m in models) or "none: give the study `interpret`"
        raise ConfigError(
            f"study {slices.name}: {model}/{sae} is not interpreted; there are: {known}"
        )
    return InterpretSlice(
        study=slices.name,
        model=model,
        sae=sae,
        settings=settings.model_copy(update={"sae": None, "models": None, "features": {}}),
        features=settings.features.get(model, []),
        edges=[e for e in slices.lineage.flow_edges(sae) if model in e],
        corpora=slices.study.probe_corpora,
        seed=slices.seed("interpret", model, sae, settings.seed),
    )


class CategoriesSlice(Slice):
    sae: Name
    settings: Interpret
    models: dict[Name, Node]
    interpreted: list[Name]
    """In the order of the score tables."""


def categories_slice(slices: Slices, sae: str) -> CategoriesSlice:
    settings, (own, models) = slices.study.interpret, slices.interpreted()
    if settings is None or sae != own:
        raise ConfigError(f"study {slices.name}: no features of SAE {sae!r} are interpreted")
    return CategoriesSlice(
        study=slices.name,
        sae=sae,
        settings=settings,
        models={m: node for m, node in slices.nodes.items() if m in models},
        interpreted=models,
    )


STAGES = (
    Stage(
        "interpret",
        "featflow.interpret.interpret",
        revision=2,
        summary="explanations of features, and scores",
        wildcards=("model", "sae"),
        slice=interpret_slice,
        cost=Cost(start=10),
        jobs=_interpreted,
        inputs={
            "dumps": lambda s, n: paths.FEATURES.each(
                study=s.name,
                model=n["model"],
                sae=n["sae"],
                corpus=interpret_slice(s, n["model"], n["sae"]).corpora,
            ),
            "tokens": lambda s, n: tokens(
                s, interpret_slice(s, n["model"], n["sae"]).corpora, "validation"
            ),
            "tokenizer": paths.TOKENIZER,
            "flow": lambda s, n: of_flow(s, n["sae"], paths.FLOW_FEATURES),
        },
        outputs=(INTERPRET,),
    ),
    Stage(
        "categories",
        "featflow.interpret.categories",
        revision=None,
        summary="what the explained features are about",
        wildcards=("sae",),
        slice=categories_slice,
        cost=Cost(start=1, memory=0.3e9),
        jobs=lambda s: [(sae,) for _, sae in list(_interpreted(s))[:1]],
        inputs={
            "scores": lambda s, n: paths.INTERPRET.each(
                study=s.name, model=categories_slice(s, n["sae"]).interpreted, sae=n["sae"]
            ),
            "flow": lambda s, n: of_flow(s, n["sae"], paths.FLOW_FEATURES),
            "chains": lambda s, n: of_flow(s, n["sae"], paths.FLOW_CHAINS),
        },
        outputs=(CATEGORIES,),
        leaves=(paths.CATEGORIES,),
    ),
)
