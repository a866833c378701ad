"""The explorer: a page, and scripts with its data."""

from featflow.plan import paths
from featflow.plan.formats.describe import Format

FOLDER = paths.Template(paths.folder(paths.DASHBOARDS))
SHARD = paths.Template(f"{FOLDER}/{{shard}}.js")
VOCABULARY = paths.Template(f"{paths.folder(paths.EXPLORER)}/vocabulary.js")

FORMATS = (
    Format(
        paths.EXPLORER,
        "other",
        "explorer",
        "The page that browses all features. It opens from disk and asks no network; what is about "
        "single features it loads from the scripts beside it: each calls "
        "`featflow.put(KEY,VALUE);`, KEY and VALUE being JSON in ASCII, without `<`, `>` and `&`. "
        "Numbers there have four significant digits; null: there is none.",
        provenance="in the page, a script element `featflow-provenance`",
    ),
    Format(
        paths.DASHBOARDS,
        "other",
        "dashboards",
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
    ),
    Format(
        SHARD,
        "other",
        "dashboards",
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
        provenance="index.js beside it",
    ),
    Format(
        VOCABULARY,
        "other",
        "explorer",
        "The text of every token id, at most 200 characters of it; KEY `vocabulary`, VALUE a list. "
        "A byte that is no character is U+FFFD.",
        provenance="explorer.html beside it",
    ),
)
