"""Explanations of features, their scores, and what they are about."""

from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import InterpretSlice
from featflow.plan.stages.analysis import of_flow
from featflow.plan.stages.data import tokens
from featflow.plan.stages.spec import Field, File, Job, Names, Stage


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


def _slice(slices: Slices, names: Names) -> InterpretSlice:
    return slices.interpret(names["model"], names["sae"])


STAGES = (
    Stage(
        "interpret",
        "featflow.interpret.interpret",
        revision=2,
        summary="explanations of features, and scores",
        wildcards=("model", "sae"),
        jobs=_interpreted,
        inputs={
            "dumps": lambda s, n: paths.FEATURES.each(
                study=s.name, model=n["model"], sae=n["sae"], corpus=_slice(s, n).corpora
            ),
            "tokens": lambda s, n: tokens(s, _slice(s, n).corpora, "validation"),
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
        jobs=lambda s: [(sae,) for _, sae in list(_interpreted(s))[:1]],
        inputs={
            "scores": lambda s, n: paths.INTERPRET.each(
                study=s.name, model=s.categories(n["sae"]).interpreted, sae=n["sae"]
            ),
            "flow": lambda s, n: of_flow(s, n["sae"], paths.FLOW_FEATURES),
            "chains": lambda s, n: of_flow(s, n["sae"], paths.FLOW_CHAINS),
        },
        outputs=(CATEGORIES,),
        leaves=(paths.CATEGORIES,),
    ),
)
