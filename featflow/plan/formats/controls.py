"""What every share stands beside: best partners by domain, transfers, controls."""

from featflow.plan import paths
from featflow.plan.formats.describe import Field, Format
from featflow.plan.formats.features import EDGE_FIELDS

STRATUM = (
    Field("kind", "text", "all, lookup, density"),
    Field("stratum", "text", "its name: all; lookup, between, contextual; a decade; unknown"),
)

BETA = "the multiple of the feature's direction that fits best in"

LINES = (
    Field("edge", "text", "`{parent}-{child}`"),
    Field("domain", "text", "where features are judged: a corpus, or a scope"),
    Field("control", "text", "what the share is of; [controls.md](controls.md) lists them"),
    Field("threshold", "float64", "τ"),
    Field("share", "float64", "null: no feature is counted", null=True),
    Field("low", "float64", "lower end of its 95 % interval; null: it has none", null=True),
    Field("high", "float64", "upper end", null=True),
    *STRATUM,
    Field("features", "int64", "that are counted; null: made of several shares", null=True),
    Field("found", "int64", "of these above τ; null: made of several shares", null=True),
    Field("by", "text", "the dictionaries or models that gave it"),
    Field(
        "fragile",
        "int64",
        "of those found, r_trimmed not above τ; null: made of several shares, or frozen",
        null=True,
    ),
    Field(
        "fragile_share",
        "float64",
        "their part of those found; null: none is found, or frozen",
        null=True,
    ),
)

COUNTED = (
    *("share", "traced_share", "traced_here", "scope", "min_firings", "min_documents"),
    *("fragile", "fragile_share", "traced_fragile", "traced_fragile_share", "persisting_anywhere"),
)
"""Columns of edges.csv that stage `flow` knows, behind the counts."""

COUNT_FIELDS = tuple(f for i, f in enumerate(EDGE_FIELDS) if i < 14 or f.name in COUNTED)

FORMATS = (
    Format(
        paths.SHARES,
        "parquet",
        "shares",
        "The best partner of every feature between the SAEs of two models, on every domain: a row "
        "for each pair of SAEs, domain, side and feature, silent and rare ones too. A partner "
        "counts if it is neither silent nor rare on the rows on which the feature is judged. A "
        "domain's side is the first rows of its corpora, equally many of each.",
        (
            Field("a", "text", "SAE of the parent"),
            Field("b", "text", "SAE of the child"),
            Field(
                "domain",
                "text",
                "a corpus, home, intersection, union, or shift: `flow.scope`, the child's rows "
                "moved round the end of each corpus by 1,000 rows or more",
            ),
            Field("side", "text", "a: a feature of a, judged against b on a's rows; b: of b"),
            Field("feature", "int32", "from 0"),
            Field("firings", "int64", "rows of its side on which it fires"),
            Field("documents", "int64", "documents in which it does"),
            Field("tokens", "int64", "rows of its side"),
            Field(
                "lookup_r",
                "float32",
                "how well its mean per token predicts it there; null: undefined",
                null=True,
            ),
            Field("partner", "int32", "the best one that counts; −1: none"),
            Field("r", "float32", "Pearson's r with it; null: no partner", null=True),
            Field("mutual", "bool", "whether that one's best partner, on its own side, is this"),
            Field(
                "r_trimmed",
                "float32",
                "with the partner, without the rows that contribute most; null: no partner, or one "
                "side is constant then",
                null=True,
            ),
        ),
    ),
    Format(
        paths.BOOTSTRAP,
        "parquet",
        "shares",
        "Shares of the features of the SAE itself, by replicates of the documents, on "
        "`flow.scope`. No rows without a bootstrap, or under 100,000 tokens.",
        (
            Field("replicate", "int32", "from 0; the same documents for every share of it"),
            Field("side", "text", "a: the parent's features; b: the child's"),
            *STRATUM,
            Field("threshold", "float64", "τ"),
            Field("features", "int32", "living features of the stratum, in all documents"),
            Field("share", "float64", "of them with r > τ; null: there are none", null=True),
        ),
    ),
    Format(
        paths.FROZEN,
        "parquet",
        "transfer",
        "The parent's SAE on the parent and, unchanged, on the child: a row a feature, on the "
        "parent's scope.",
        (
            Field("feature", "int32", "of the parent's SAE, from 0"),
            Field("r", "float32", "Pearson's r of the two; null: one is constant", null=True),
            Field("firings", "int64", "rows on which it fires on the parent"),
            Field("documents", "int64", "documents in which it does"),
            Field("child_firings", "int64", "rows on which it fires on the child"),
            Field("child_documents", "int64", "documents in which it does"),
            Field("tokens", "int64", "rows of the scope"),
        ),
    ),
    Format(
        paths.SCALING,
        "parquet",
        "transfer",
        "Latent scaling (Minder et al. 2025) of the child's features, on the child's scope; no "
        "rows where the two models are not related.",
        (
            Field("feature", "int32", "of the child's SAE, from 0"),
            Field(
                "beta_error_parent",
                "float64",
                f"{BETA} the error of the parent's SAE; null: it never fires",
                null=True,
            ),
            Field(
                "beta_error_child",
                "float64",
                "the same of the child's SAE, the feature's own part added back",
                null=True,
            ),
            Field(
                "nu_error",
                "float64",
                "beta_error_parent / beta_error_child; null: that is not positive",
                null=True,
            ),
            Field(
                "beta_reconstruction_parent",
                "float64",
                f"{BETA} the reconstruction of the parent's SAE",
                null=True,
            ),
            Field("beta_reconstruction_child", "float64", "the same of the child's SAE", null=True),
            Field(
                "nu_reconstruction",
                "float64",
                "their ratio; null: the child's is not positive",
                null=True,
            ),
            Field("firings", "int64", "rows on which the feature fires"),
        ),
    ),
    Format(
        paths.FLOW_COUNTS,
        "csv",
        "flow",
        "A row an edge: what persists, disappears and emerges, counted. Shares leave silent and "
        "rare features out; edges.csv has the same beside its controls.",
        COUNT_FIELDS,
        provenance="features.parquet beside it",
    ),
    Format(
        paths.FLOW_CONTROLS,
        "parquet",
        "controls",
        "Every share beside its ceilings, floors and arms, on `flow.scope`: a row for each edge, "
        "control, threshold and stratum.",
        LINES,
    ),
    Format(
        paths.FLOW_DOMAINS,
        "parquet",
        "domains",
        "The same on each corpus of the probe alone and on every scope, for the controls that are "
        "made of best partners.",
        LINES,
    ),
)
