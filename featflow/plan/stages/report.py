"""The report, and the explorer: a page, and scripts with its data."""

from featflow.plan import paths
from featflow.plan.paths import Template, folder
from featflow.plan.stages.spec import File, Stage

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
    "this feature), `r_trimmed` (r without the rows that contribute most); `chain`: its row in "
    "chains.parquet; `scores`: its rows in scores.parquet.",
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

STAGES = (
    Stage(
        "dashboards",
        "featflow.report.dashboards",
        revision=None,
        summary="the data of every feature's page",
        wildcards=("model", "sae"),
        jobs=lambda s: [(m, sae) for sae, models in s.explored().items() for m in models],
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
        jobs=lambda s: [()] if s.explored() else [],
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
        jobs=lambda s: [()],
        outputs=(REPORT,),
        leaves=(paths.REPORT,),
    ),
)
