"""Features followed through the lineage."""

from featflow.plan import paths
from featflow.plan.formats.describe import Field, Format

MODEL = "models.{model}."

PASSAGE = (
    "corpus, in_scope (whether it is of `judged_on`), document (its number there), position (of "
    "the first token, in the corpus's input_ids), at (which token it was found by), ids, texts "
    "(not escaped), marked (in S), values (by model, the activation of its feature); marked and "
    "values are null at tokens that are no rows of the probe"
)

FORMATS = (
    Format(
        paths.CASE,
        "json",
        "case",
        "A feature of one model, found by the tokens that it fires on, and its counterpart in "
        "every other model of the lineage; [cases.md](cases.md) says how to read it. Counts are "
        "over all N rows of the probe: n_s are in S (the tokens of the case), the feature fires on "
        "n_f, and on n_sf of S.",
        (
            Field("case", "text", "its name"),
            Field("query.tokens", "list of text", "as the config has it", optional=True),
            Field("query.text", "text", "as the config has it", optional=True),
            Field("query.feature", "text", "as the config has it", optional=True),
            Field("query.marks", "list of text", "what S is: tokens without spaces, or the text"),
            Field("ids", "list of integer", "the token ids in S"),
            Field("model", "text", "where it was looked for"),
            Field("sae", "text", "of which SAE"),
            Field("feature", "integer", "its number in that model"),
            Field("threshold", "number", "τ"),
            Field("scope", "text", "`flow.scope`, of links; all else is on the whole probe"),
            Field(
                "judged_on",
                "list of text",
                "the corpora on which the fates of the model's features are judged: passages from "
                "there come first",
            ),
            Field("probe.corpora", "list of text", "its corpora"),
            Field("probe.tokens", "integer", "N"),
            Field("probe.marked", "integer", "n_s"),
            Field("probability", "number", "P(s) = (n_s + ½)/(N + 1), the same for every model"),
            Field("cap", "number", "−ln P(s): no llr is above it"),
            Field("choice.rule", "text", "among which features the best F1 was looked for"),
            Field("choice.candidates", "integer", "how many these are"),
            Field("choice.living", "integer", "living features of the model, on its home"),
            Field(
                "choice.reseeded",
                "integer",
                "of these, found by a reseed; null: there is none",
                null=True,
            ),
            Field(
                "reseeds",
                "object",
                "by reseed: r with its best partner (null: none); that partner's feature, firings, "
                "f1, precision, recall, llr, mass, density; best (the reseed's own feature with "
                "the best F1: the same keys; null: none fires on S); models (by model feature, "
                "link_r, verdict: what became of the partner; null: none)",
            ),
            Field(
                "best_marking",
                "object",
                "the living feature with the best F1, where it is not the one that is followed: "
                "the keys of `runners_up`; reseeds (by reseed, r with its best partner); why it is "
                "not; models (as of `reseeds`); null: it is that one",
                null=True,
            ),
            Field(
                "runners_up",
                "list of object",
                "the next features by F1: feature, firings, f1, precision, recall, llr, mass, "
                "density, reseed_r",
            ),
            Field(f"{MODEL}feature", "integer", "its number; null: no link leads here", null=True),
            Field(f"{MODEL}firings", "integer", "n_f", null=True),
            Field(f"{MODEL}f1", "number", "2 n_sf / (n_f + n_s)", null=True),
            Field(f"{MODEL}precision", "number", "n_sf / n_f", null=True),
            Field(f"{MODEL}recall", "number", "n_sf / n_s", null=True),
            Field(f"{MODEL}llr", "number", "ln [(n_sf + ½)/(n_f + 1) / P(s)], nats", null=True),
            Field(f"{MODEL}density", "number", "n_f / N", null=True),
            Field(f"{MODEL}mass", "number", "share of its summed activation on S", null=True),
            Field(f"{MODEL}other_rate", "number", "(n_f − n_sf)/(N − n_s)", null=True),
            Field(
                f"{MODEL}other_ratio",
                "number",
                "other_rate / that of the first feature; null where that is 0",
                null=True,
            ),
            Field(f"{MODEL}max", "number", "its largest activation", null=True),
            Field(f"{MODEL}via", "text", "the model whose link leads here", null=True),
            Field(f"{MODEL}link_r", "number", "r of that link, on its scope", null=True),
            Field(
                f"{MODEL}parents",
                "object",
                "by parent whose feature leads here: feature (its best partner here), r, fate (of "
                "the parent's feature on that edge), holds (living there, and r > τ)",
            ),
            Field(
                f"{MODEL}children",
                "object",
                "the same by child; of ancestors of the model where it was looked for",
            ),
            Field(
                f"{MODEL}reseed_r",
                "number",
                "the mean over `reseeds`; null in all models but the first",
                null=True,
            ),
            Field(
                f"{MODEL}best",
                "object",
                "the model's own feature with the best F1, whatever it is a partner of (keys as of "
                "`runners_up`); null: none fires on S",
                null=True,
            ),
            Field(
                f"{MODEL}verdict",
                "text",
                "origin, persists, drifts, vanishes, returns, lost, unjudged, present, absent or "
                "unknown",
            ),
            Field(
                f"{MODEL}function",
                "text",
                "whether some feature of the model marks S as well: origin, kept, weaker, lost or "
                "unmarked",
            ),
            Field("r.models", "list of text", "parents before children"),
            Field(
                "r.matrix",
                "list of list",
                "r of each two models' features on the whole probe; null: a model has none",
            ),
            Field("mean_r", "number", "its mean over the pairs; null: there is none", null=True),
            Field(
                "verdict",
                "text",
                "on the feature, in words, beside what its reseeds find of it and the fates there",
            ),
            Field("function", "text", "on the function, in words: the best F1 in each model"),
            Field("passages", "list of object", f"where the first feature is strongest: {PASSAGE}"),
            Field(
                "misses",
                "list of object",
                "where a nearest miss fires and the first feature does not: model, and the keys of "
                "`passages`",
            ),
        ),
    ),
)
