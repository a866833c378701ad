"""The flow of features, what every share stands beside, and cases."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from featflow.config.base import Config, Name
from featflow.config.cases import Case
from featflow.config.controls import Controls
from featflow.config.study import Flow
from featflow.plan import paths
from featflow.plan.lineage import ArmKind, Dictionary, Role
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.slices import Compared, Node, Slice, Windows
from featflow.plan.stages.data import tokens
from featflow.plan.stages.features import pairing
from featflow.plan.stages.spec import Cost, Field, File, Job, Names, Sizes, Stage

LEFT_OUT = "Shares leave silent and rare features out."

EDGE_FIELDS = (
    Field("edge", "text", "`{parent}-{child}`"),
    Field("threshold", "float64", "τ"),
    Field("parent_features", "int64", "living features of the parent"),
    Field("parent_silent", "int64", "that never fire in scope"),
    Field("parent_rare", "int64", "that fire too seldom"),
    Field("persisting", "int64", "parent features with a partner above τ in this child"),
    Field("disappearing", "int64", "those without"),
    Field("child_features", "int64", "living features of the child"),
    Field("child_silent", "int64", "that never fire in scope"),
    Field("child_rare", "int64", "that fire too seldom"),
    Field("traced", "int64", "child features with a partner above τ in any parent"),
    Field("emerging", "int64", "those without"),
    Field("mutual", "int64", "pairs that are each other's best, above τ"),
    Field("one_to_one", "int64", "largest one-to-one matching above τ"),
    Field("share", "float64", "persisting / parent_features; null: none lives", null=True),
    Field("ceiling", "float64", "the same share between seeds; null: no reseed", null=True),
    Field("share_of_ceiling", "float64", "share / ceiling", null=True),
    Field("traced_share", "float64", "traced / child_features", null=True),
    Field("traced_here", "int64", "child features with a partner in this edge's parent"),
    Field("ceiling_of", "text", "whose reseeds the ceiling is from", null=True),
    Field("scope", "text", "home, intersection, union"),
    Field("min_firings", "int64", "fewer are rare"),
    Field("min_documents", "int64", "fewer are rare"),
    Field("low", "float64", "lower end of the share's 95 % interval", null=True),
    Field("high", "float64", "upper end", null=True),
    Field(
        "interval",
        "text",
        "over what: seeds (of both ends' SAEs; of the mean over seeds), seeds+documents, documents "
        "(for these very SAEs), or null",
        null=True,
    ),
    Field("seed_mean", "float64", "the mean share over all pairs of seeds", null=True),
    Field(
        "floor",
        "float64",
        "the share where there is nothing to inherit, of the highest kind that all edges have",
        null=True,
    ),
    Field("floor_of", "text", "which: `unrelated {model}`, `random {model}`", null=True),
    Field("floor_random", "float64", "the share in the random-weight model", null=True),
    Field("corrected", "float64", "(share − floor) / (ceiling − floor)", null=True),
    Field("stable_share", "float64", "the share of features that every reseed finds", null=True),
    Field("frozen", "float64", "the share with the parent's SAE on the child", null=True),
    Field("continued", "float64", "the share in the parent trained further", null=True),
    Field("l0_parent", "float64", "features a token of the probe, in the parent"),
    Field("l0_child", "float64", "in the child"),
    Field("l0_differs", "bool", "whether they differ by more than 10 % of the larger"),
    Field("fragile", "int64", "persisting features whose r_trimmed is not above τ"),
    Field("fragile_share", "float64", "fragile / persisting", null=True),
    Field("traced_fragile", "int64", "traced ones that are so in every parent they are traced to"),
    Field("traced_fragile_share", "float64", "traced_fragile / traced", null=True),
    Field("ceiling_fragile_share", "float64", "the same of what seeds find", null=True),
    Field("floor_fragile_share", "float64", "the same of what the floor finds", null=True),
    Field(
        "interval_of",
        "text",
        "the models whose reseeds say what seeds do, `+` between; an end that is not among them is "
        "taken to scatter as the other; null: over documents alone",
        null=True,
    ),
    Field("floor_unrelated", "float64", "the share in an unrelated lineage", null=True),
    Field(
        "corrected_unrelated",
        "float64",
        "(share − floor_unrelated) / (ceiling − floor_unrelated)",
        null=True,
    ),
    Field(
        "remarks",
        "text",
        "what makes its numbers doubtful, a sentence an SAE or end, `; ` between",
        null=True,
    ),
    Field(
        "persisting_anywhere",
        "int64",
        "parent features with a partner above τ in any of its children",
    ),
    *(
        field
        for end, what in (("emerging", "emerge"), ("traced", "are traced"))
        for field in (
            Field(
                f"{end}_scaled",
                "int64",
                f"child features that {what} and have both ν (latent scaling); null: not measured",
                null=True,
            ),
            Field(
                f"{end}_specific",
                "int64",
                "of these, ν_error < 0.2 and ν_reconstruction < 0.5",
                null=True,
            ),
            Field(f"{end}_nu_error", "float64", "their median ν_error", null=True),
            Field(
                f"{end}_nu_reconstruction", "float64", "their median ν_reconstruction", null=True
            ),
        )
    ),
)

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
    "share",
    "traced_share",
    "traced_here",
    "scope",
    "min_firings",
    "min_documents",
    "fragile",
    "fragile_share",
    "traced_fragile",
    "traced_fragile_share",
    "persisting_anywhere",
)

"""Columns of edges.csv that stage `flow` knows, behind the counts."""

COUNT_FIELDS = tuple(f for i, f in enumerate(EDGE_FIELDS) if i < 14 or f.name in COUNTED)

OF_MODEL = "models.{model}."

PASSAGE = (
    "corpus, in_scope (whether it is of `judged_on`), document (its number there), position (of "
    "the first token, in the corpus's input_ids), at (which token it was found by), ids, texts "
    "(not escaped), marked (in S), values (by model, the activation of its feature); marked and "
    "values are null at tokens that are no rows of the probe"
)

SHARES = File(
    paths.SHARES,
    "parquet",
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
)

BOOTSTRAP = File(
    paths.BOOTSTRAP,
    "parquet",
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
)

FROZEN = File(
    paths.FROZEN,
    "parquet",
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
)

SCALING = File(
    paths.SCALING,
    "parquet",
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
)

FLOW_FEATURES = File(
    paths.FLOW_FEATURES,
    "parquet",
    "The fate of every feature on every edge, seen from either end.",
    (
        Field("edge", "text", "`{parent}-{child}`"),
        Field("role", "text", "parent or child: which end the feature is at"),
        Field("model", "text", "the model of that end"),
        Field("feature", "int32", "from 0"),
        Field("fate", "text", "persisting, disappearing, emerging, rare, silent"),
        Field("partner", "int32", "the best partner that counts; null: none", null=True),
        Field("r", "float32", "with that partner", null=True),
        Field("lookup_r", "float32", "as in matches.parquet", null=True),
        Field("lookup", "text", "lookup, between, contextual, unknown"),
        Field("density", "text", "decade of its firing rate: `<-4`, `-4..-3`, … `>=-1`, unknown"),
        Field("firings", "int64", "in scope"),
        Field("documents", "int64", "in scope"),
        Field(
            "r_trimmed",
            "float32",
            "with that partner, without the rows that contribute most; null: one side is "
            "constant then, or matches.parquet does not list the partner",
            null=True,
        ),
    ),
)

FLOW_CHAINS = File(
    paths.FLOW_CHAINS,
    "parquet",
    "Features over several edges: a row for each of every root (role root), and of every model "
    "whose parents have parents (role descendant).",
    (
        Field("role", "text", "root or descendant"),
        Field("model", "text", "whose feature this is"),
        Field("feature", "int64", "from 0"),
        Field(
            "status",
            "text",
            "root: persisting, disappearing; descendant: base-derived, emerged-in-finetune, "
            "emerging; either: rare, silent",
        ),
        Field("via", "text", "children it is in, parents it is from, `+` between", null=True),
        Field("parent", "text", "descendant: the parent on the best path", null=True),
        Field("parent_feature", "int64", "its feature", null=True),
        Field("root", "text", "the root on that path", null=True),
        Field("root_feature", "int64", "its feature", null=True),
        Field("r_last", "float64", "r of the link into the parent", null=True),
        Field("r_first", "float64", "r of the link into the root", null=True),
        Field(
            "r_end",
            "float64",
            "r of both ends; null: not correlated, or under flow.floor",
            null=True,
        ),
        Field("direct", "bool", "matches a root feature that no model between has"),
    ),
)

FLOW_COUNTS = File(
    paths.FLOW_COUNTS,
    "csv",
    "A row an edge: what persists, disappears and emerges, counted. Shares leave silent and "
    "rare features out; edges.csv has the same beside its controls.",
    COUNT_FIELDS,
    beside="features.parquet",
)

FLOW_CONTROLS = File(
    paths.FLOW_CONTROLS,
    "parquet",
    "Every share beside its ceilings, floors and arms, on `flow.scope`: a row for each edge, "
    "control, threshold and stratum.",
    LINES,
)

FLOW_DOMAINS = File(
    paths.FLOW_DOMAINS,
    "parquet",
    "The same on each corpus of the probe alone and on every scope, for the controls that are "
    "made of best partners.",
    LINES,
)

FLOW_EDGES = File(
    paths.FLOW_EDGES,
    "csv",
    f"A row an edge: the counts, and what its share stands beside. {LEFT_OUT}",
    EDGE_FIELDS,
    beside="edges.parquet",
)

FLOW_SHARES = File(
    paths.FLOW_SHARES,
    "parquet",
    "edges.csv once more, with the types of its columns and its provenance.",
    EDGE_FIELDS,
)

FLOW_STRATA = File(
    paths.FLOW_STRATA,
    "csv",
    f"The same shares by kind of feature. {LEFT_OUT}",
    (
        Field("edge", "text", "`{parent}-{child}`"),
        Field("role", "text", "parent or child: whose features"),
        Field("kind", "text", "all, lookup, density"),
        Field("stratum", "text", "its name, as in features.parquet"),
        Field("features", "int64", "living ones"),
        Field("persisting", "int64", "of these with a partner above τ; child: in any parent"),
        Field("share", "float64", "persisting / features; null: none lives", null=True),
        Field("ceiling", "float64", "the stratum's; null: no reseed", null=True),
        Field("share_of_ceiling", "float64", "share / ceiling", null=True),
        Field(
            "floor",
            "float64",
            "the higher of the edge's floors on the stratum; null: it has none, or the child's",
            null=True,
        ),
        Field("corrected", "float64", "(share − floor) / (ceiling − floor)", null=True),
        Field("floor_of", "text", "which floor that is, as in edges.csv", null=True),
    ),
    beside="edges.parquet",
)

CASE = File(
    paths.CASE,
    "json",
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
        Field(f"{OF_MODEL}feature", "integer", "its number; null: no link leads here", null=True),
        Field(f"{OF_MODEL}firings", "integer", "n_f", null=True),
        Field(f"{OF_MODEL}f1", "number", "2 n_sf / (n_f + n_s)", null=True),
        Field(f"{OF_MODEL}precision", "number", "n_sf / n_f", null=True),
        Field(f"{OF_MODEL}recall", "number", "n_sf / n_s", null=True),
        Field(f"{OF_MODEL}llr", "number", "ln [(n_sf + ½)/(n_f + 1) / P(s)], nats", null=True),
        Field(f"{OF_MODEL}density", "number", "n_f / N", null=True),
        Field(f"{OF_MODEL}mass", "number", "share of its summed activation on S", null=True),
        Field(f"{OF_MODEL}other_rate", "number", "(n_f − n_sf)/(N − n_s)", null=True),
        Field(
            f"{OF_MODEL}other_ratio",
            "number",
            "other_rate / that of the first feature; null where that is 0",
            null=True,
        ),
        Field(f"{OF_MODEL}max", "number", "its largest activation", null=True),
        Field(f"{OF_MODEL}via", "text", "the model whose link leads here", null=True),
        Field(f"{OF_MODEL}link_r", "number", "r of that link, on its scope", null=True),
        Field(
            f"{OF_MODEL}parents",
            "object",
            "by parent whose feature leads here: feature (its best partner here), r, fate (of "
            "the parent's feature on that edge), holds (living there, and r > τ)",
        ),
        Field(
            f"{OF_MODEL}children",
            "object",
            "the same by child; of ancestors of the model where it was looked for",
        ),
        Field(
            f"{OF_MODEL}reseed_r",
            "number",
            "the mean over `reseeds`; null in all models but the first",
            null=True,
        ),
        Field(
            f"{OF_MODEL}best",
            "object",
            "the model's own feature with the best F1, whatever it is a partner of (keys as of "
            "`runners_up`); null: none fires on S",
            null=True,
        ),
        Field(
            f"{OF_MODEL}verdict",
            "text",
            "origin, persists, drifts, vanishes, returns, lost, unjudged, present, absent or "
            "unknown",
        ),
        Field(
            f"{OF_MODEL}function",
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
)


def _pairs(slices: Slices, of: Callable[[str], Iterable[Compared]]) -> Iterator[Job]:
    """Pairs of models, by SAE."""
    return ((sae, p.parent, p.child) for sae in slices.study.flow_saes for p in of(sae))


def _flows(slices: Slices) -> list[Job]:
    """SAEs whose flow has edges."""
    return [(sae,) for sae in slices.study.flow_saes if slices.lineage.flow_edges(sae)]


def _pair(names: Names) -> tuple[str, str, str]:
    return names["sae"], names["parent"], names["child"]


def _end(slices: Slices, names: Names, side: str) -> tuple[str, Sequence[str], Sequence[str]]:
    """One end of a comparison: its model, the SAEs that are compared, the corpora."""
    cfg = shares_slice(slices, *_pair(names))
    model, saes = {"a": (cfg.parent, cfg.a), "b": (cfg.child, cfg.b)}[side]
    return model, saes, cfg.corpora


def _seed_dumps(slices: Slices, names: Names, side: str) -> list[str]:
    model, saes, corpora = _end(slices, names, side)
    return paths.FEATURES.each(study=slices.name, model=model, sae=saes, corpus=corpora)


def _seed_saes(slices: Slices, names: Names, side: str) -> list[str]:
    model, saes, _ = _end(slices, names, side)
    return paths.SAE.each(study=slices.name, model=model, sae=saes)


def _of_pairs(slices: Slices, names: Names, template: Template) -> list[str]:
    """A file of each pair of an SAE, in the order of its slice's pairs."""
    pairs = flow_slice(slices, names["sae"]).pairs
    return [template.at(study=slices.name, a=pair.a, b=pair.b) for pair in pairs]


def _of_compared(slices: Slices, names: Names, template: Template) -> list[str]:
    """A file of each pair of models that controls compare, in the order of their slices."""
    at = {"study": slices.name, "sae": names["sae"]}
    pairs = slices.compared(names["sae"])
    return [template.at(**at, parent=pair.parent, child=pair.child) for pair in pairs]


def _of_transfers(slices: Slices, names: Names) -> list[str]:
    """Of each pair of models of which the parent's SAE is applied to the child."""
    at = {"study": slices.name, "sae": names["sae"]}
    pairs = slices.transferred(names["sae"])
    return [paths.FROZEN.at(**at, parent=pair.parent, child=pair.child) for pair in pairs]


def _edge_metrics(slices: Slices, names: Names) -> list[str]:
    """Of all SAEs that the numbers of a flow's edges are from."""
    pairs = [each.dictionary.split(".") for each in edges_slice(slices, names["sae"]).saes]
    return [paths.SAE_METRICS.at(study=slices.name, model=m, sae=sae) for m, sae in pairs]


def of_flow(slices: Slices, sae: str, template: Template) -> list[str]:
    """A table of an SAE's flow; none where it has no edges."""
    return template.each(study=slices.name, sae=[sae] if slices.lineage.flow_edges(sae) else [])


def _case_dumps(slices: Slices, names: Names) -> list[str]:
    """Of every model in which a case is followed."""
    cfg = case_slice(slices, names["case"])
    return paths.FEATURES.each(study=slices.name, model=cfg.models, sae=cfg.sae, corpus=cfg.corpora)


def _case_shares(slices: Slices, names: Names) -> list[str]:
    """The comparison of a case's model with its own reseeds, if it has any."""
    cfg = case_slice(slices, names["case"])
    at = {"study": slices.name, "sae": cfg.sae, "parent": cfg.model, "child": cfg.model}
    return [paths.SHARES.at(**at)] if cfg.reseeds else []


def _case_reseeds(slices: Slices, names: Names) -> list[str]:
    """The dumps of the reseeds of a case's model."""
    cfg = case_slice(slices, names["case"])
    return paths.FEATURES.each(
        study=slices.name, model=cfg.model, sae=cfg.reseeds, corpus=cfg.corpora
    )


def _case_neighbours(slices: Slices, names: Names) -> list[str]:
    """The comparisons of a case's model, reseeds and all, with its parents and children."""
    cfg = case_slice(slices, names["case"])
    at = {"study": slices.name, "sae": cfg.sae}
    return [paths.SHARES.at(**at, parent=a, child=b) for a, b in cfg.neighbours]


class Domain(Config):
    """Where features are judged, by name: a corpus of the probe, or a scope."""

    a: list[Name]
    """The corpora on which the features of a are judged, with equally many tokens each."""
    b: list[Name]


class SharesSlice(Slice):
    sae: Name
    parent: Name
    child: Name
    a: list[Name]
    """SAEs of the parent, in the order of the input files."""
    b: list[Name]
    """SAEs of the child, in the order of the input files."""
    pairs: list[tuple[Name, Name]]
    """(a, b): what is compared. Of a model with itself each two seeds once."""
    everywhere: list[tuple[Name, Name]]
    """Those of `pairs` that are compared on every domain; the others on `domain` alone."""
    corpora: list[Name]
    """All that is read, in the order of the input files."""
    domains: dict[str, Domain]
    """The corpora of the probe, each alone, and the scopes home, intersection and union (those
    that are not empty)."""
    domain: str
    """That of them which is `flow.scope`."""
    min_firings: int
    min_documents: int
    seed: int
    shift: bool
    """Whether the pair (sae, sae) is also compared after a circular shift, as domain `shift`."""
    bootstrap: int
    """Replicates for the pair (sae, sae); 0: none."""
    thresholds: list[float]
    """Of the bootstrap's shares."""
    partners: int
    """Candidates a feature that the bootstrap follows."""


def shares_slice(slices: Slices, sae: str, parent: str, child: str) -> SharesSlice:
    study, lineage, flow = slices.study, slices.lineage, slices.study.flow
    mine, theirs = lineage.seeds(parent, sae), lineage.seeds(child, sae)
    edge = (parent, child) in lineage.flow_edges(sae)
    if parent == child:
        pairs = [(a, b) for i, a in enumerate(mine) for b in mine[i + 1 :]]
        everywhere = list(pairs)
    else:
        pairs = [(a, b) for a in mine for b in theirs] if edge else [(sae, sae)]
        arms = [a for a in lineage.arms(sae) if (a.a.model, a.b.model) == (parent, child)]
        everywhere = [(arm.a.sae, arm.b.sae) for arm in arms]
        everywhere = list(dict.fromkeys([(sae, sae), *everywhere]))
        pairs = list(dict.fromkeys([*pairs, *everywhere]))
    scopes = {s: slices.scopes_by(parent, child, s) for s in ("home", "intersection", "union")}
    own = {corpus: ([corpus], [corpus]) for corpus in study.probe_corpora}
    domains = {n: Domain(a=a, b=b) for n, (a, b) in {**own, **scopes}.items() if a and b}
    if flow.scope not in domains:
        raise slices.no_corpus(parent, child)
    return SharesSlice(
        study=slices.name,
        sae=sae,
        parent=parent,
        child=child,
        a=list(dict.fromkeys(a for a, _ in pairs)),
        b=list(dict.fromkeys(b for _, b in pairs)),
        pairs=pairs,
        everywhere=everywhere,
        corpora=study.probe_corpora,
        domains=domains,
        domain=flow.scope,
        min_firings=flow.min_firings,
        min_documents=flow.min_documents,
        seed=slices.seed("shares", sae, parent, child),
        shift=study.controls.shift and edge,
        bootstrap=study.controls.bootstrap if edge else 0,
        thresholds=slices.thresholds() if edge else [],
        partners=flow.partners if edge else 0,
    )


class TransferSlice(Slice):
    sae: Name
    parent: Name
    child: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""
    scope_a: list[Name]
    """The corpora on which the parent's features are judged (frozen)."""
    scope_b: list[Name]
    """The corpora on which the child's features are judged (scaling)."""
    scaling: bool
    """Whether the two models are related, so that directions can be compared."""


def transfer_slice(slices: Slices, sae: str, parent: str, child: str) -> TransferSlice:
    scope_a, scope_b = slices.scopes(parent, child)
    return TransferSlice(
        study=slices.name,
        sae=sae,
        parent=parent,
        child=child,
        hook=slices.study.saes[sae].hook,
        corpora=slices.study.probe_corpora,
        windows=slices.windows(sae),
        tokens_per_corpus=slices.study.probe.tokens_per_corpus,
        blocks_seed=slices.seed("blocks"),
        scope_a=scope_a,
        scope_b=scope_b,
        scaling=parent in slices.lineage.ancestors(child),
    )


class FlowPair(Config):
    role: Role
    a: str
    b: str


class FlowSlice(Slice):
    sae: Name
    flow: Flow
    pairs: list[FlowPair]
    """In the order of the input files."""


def flow_slice(slices: Slices, sae: str) -> FlowSlice:
    found = [p for p in slices.lineage.pairs(sae) if p.role in ("edge", "span")]
    pairs = [FlowPair(role=p.role, a=str(p.a), b=str(p.b)) for p in found]
    return FlowSlice(study=slices.name, sae=sae, flow=slices.judging, pairs=pairs)


class EdgeArm(Config):
    """A control of an edge (plan/lineage.py says what the kinds are)."""

    parent: Name
    child: Name
    kind: ArmKind
    a: str
    b: str


class ControlsSlice(Slice):
    sae: Name
    flow: Flow
    controls: Controls
    edges: list[tuple[Name, Name]]
    seeds: dict[Name, list[Name]]
    """The SAE and its reseeds, of every model of an edge."""
    arms: list[EdgeArm]
    shares: list[Compared]
    """In the order of the input files, and of those of the bootstrap."""
    transfers: list[Compared]
    """In the order of the frozen tables."""


def controls_slice(slices: Slices, sae: str) -> ControlsSlice:
    return ControlsSlice(
        study=slices.name,
        sae=sae,
        flow=slices.judging,
        controls=slices.study.controls,
        edges=slices.lineage.flow_edges(sae),
        seeds=_seeds(slices, sae),
        arms=_edge_arms(slices, sae),
        shares=slices.compared(sae),
        transfers=slices.transferred(sae),
    )


def _edge_arms(slices: Slices, sae: str) -> list[EdgeArm]:
    return [
        EdgeArm(parent=a.parent, child=a.child, kind=a.kind, a=str(a.a), b=str(a.b))
        for a in slices.lineage.arms(sae)
    ]


def _seeds(slices: Slices, sae: str) -> dict[str, list[str]]:
    found = slices.lineage.flow_edges(sae)
    ends = dict.fromkeys(model for edge in found for model in edge)
    return {model: slices.lineage.seeds(model, sae) for model in ends}


class EdgeSae(Config):
    """An SAE that numbers of edges are from: of an end, a reseed there, or of an arm."""

    dictionary: str
    """`model.sae`."""
    l0: float | None = None
    """What its sparsity is steered to (None: it has a fixed weight)."""
    own: list[Name]
    """The corpora that its model was trained on last."""
    edges: list[str]
    """`{parent}-{child}` of each of these edges."""


class EdgesSlice(Slice):
    sae: Name
    flow: Flow
    edges: list[tuple[Name, Name]]
    models: list[Name]
    """Of the edges, in the order of the summaries."""
    saes: list[EdgeSae]
    """In the order of their metrics."""
    scaled: list[tuple[Name, Name]] = []
    """The edges with latent scaling, in the order of its tables."""


def edges_slice(slices: Slices, sae: str) -> EdgesSlice:
    return EdgesSlice(
        study=slices.name,
        sae=sae,
        flow=slices.judging,
        edges=slices.lineage.flow_edges(sae),
        models=list(_seeds(slices, sae)),
        saes=_edge_saes(slices, sae),
        scaled=slices.lineage.flow_edges(sae) if slices.study.controls.transfer else [],
    )


def _edge_saes(slices: Slices, sae: str) -> list[EdgeSae]:
    lineage = slices.lineage
    found: dict[Dictionary, list[str]] = {}
    for parent, child in lineage.flow_edges(sae):
        ends = [Dictionary(m, s) for m in (parent, child) for s in lineage.seeds(m, sae)]
        arms = [d for a in lineage.arms(sae) if a[:2] == (parent, child) for d in (a.a, a.b)]
        for dictionary in dict.fromkeys([*ends, *arms]):
            found.setdefault(dictionary, []).append(f"{parent}-{child}")
    return [
        EdgeSae(
            dictionary=str(each),
            l0=slices.study.saes[each.sae].l0,
            own=lineage.own_corpora(each.model),
            edges=edges,
        )
        for each, edges in found.items()
    ]


class CaseSlice(Slice):
    case: Name
    settings: Case
    sae: Name
    model: Name
    """Where the feature is looked for."""
    models: dict[Name, Node]
    """The models that have the SAE, controls left out, in the order of the dumps."""
    corpora: list[Name]
    """Of the probe, in the order of the files of each model."""
    flow: Flow
    windows: Windows
    reseeds: list[Name]
    """Of the model, in the order of the pairs in its shares table; empty: it has none."""
    neighbours: list[tuple[Name, Name]]
    """The edges of the model, in the order of their shares tables, which say what became of its
    reseeds' features; empty: it has no reseeds."""
    scope: list[Name]
    """The corpora on which the fates of its features are judged: passages from there come first."""


def case_slice(slices: Slices, case: str) -> CaseSlice:
    settings = slices.study.cases[case]
    sae = settings.sae or slices.study.flow_saes[0]
    having = [m for m in slices.lineage.models() if m in slices.lineage.sae_models(sae)]
    roots = [m for m in having if m in slices.lineage.roots()] or having
    named = settings.feature.split("/")[0] if settings.feature else settings.model
    model = named or roots[0]
    edges = [edge for edge in slices.lineage.flow_edges(sae) if model in edge]
    reseeds = slices.lineage.seeds(model, sae)[1:] if edges else []
    return CaseSlice(
        study=slices.name,
        case=case,
        settings=settings,
        sae=sae,
        model=model,
        models={m: node for m, node in slices.nodes.items() if m in having},
        corpora=slices.study.probe_corpora,
        flow=slices.judging,
        windows=slices.windows(sae),
        reseeds=reseeds,
        neighbours=edges if reseeds else [],
        scope=slices.judged_on(model, sae),
    )


def _sharing(z: Sizes, cfg: SharesSlice) -> float:
    rows, m = sum(map(z.rows, cfg.corpora)), z.features((cfg.parent, cfg.sae))
    return sum(pairing(z, rows, a, b, m) for a, b in [*cfg.pairs, *cfg.everywhere])


def _transferring(z: Sizes, cfg: TransferSlice) -> float:
    """FLOP: two forward passes up to the hook, and 8 n m a row."""
    n, m = z.width(cfg.child, cfg.sae), z.features((cfg.child, cfg.sae))
    rows = sum(min(cfg.tokens_per_corpus, z.rows(corpus)) for corpus in cfg.corpora)
    return 2 * z.read(cfg.windows, rows) * z.forward(cfg.child, hook=cfg.hook) + rows * 8 * n * m


STAGES = (
    Stage(
        "shares",
        "featflow.features.shares",
        revision=2,
        summary="best partners on every domain, for controls",
        wildcards=("sae", "parent", "child"),
        slice=shares_slice,
        cost=Cost(
            start=2,
            rate=2.5e8,
            memory=0.4e9,
            work=_sharing,
            held=lambda z, cfg: 3 * sum(z.dump_bytes(s, cfg.corpora) for s in (*cfg.a, *cfg.b)),
        ),
        jobs=lambda s: _pairs(s, s.compared),
        inputs={
            "a": lambda s, n: _seed_dumps(s, n, "a"),
            "b": lambda s, n: _seed_dumps(s, n, "b"),
            "saes_a": lambda s, n: _seed_saes(s, n, "a"),
            "saes_b": lambda s, n: _seed_saes(s, n, "b"),
            "tokens": lambda s, n: tokens(s, shares_slice(s, *_pair(n)).corpora, "validation"),
        },
        outputs=(
            SHARES,
            BOOTSTRAP,
        ),
    ),
    Stage(
        "transfer",
        "featflow.features.transfer",
        revision=2,
        summary="a parent's SAE applied to its child",
        wildcards=("sae", "parent", "child"),
        slice=transfer_slice,
        cost=Cost(
            start=6,
            rate=48e9,
            float32=0.2,
            work=_transferring,
            held=lambda z, cfg: z.model(cfg.parent) + z.model(cfg.child),
        ),
        jobs=lambda s: _pairs(s, s.transferred),
        inputs={
            "parent": lambda s, n: paths.MODEL.each(study=s.name, model=n["parent"]),
            "child": lambda s, n: paths.MODEL.each(study=s.name, model=n["child"]),
            "parent_sae": lambda s, n: paths.SAE.at(study=s.name, model=n["parent"], sae=n["sae"]),
            "child_sae": lambda s, n: paths.SAE.at(study=s.name, model=n["child"], sae=n["sae"]),
            "tokens": lambda s, n: tokens(s, transfer_slice(s, *_pair(n)).corpora, "validation"),
        },
        outputs=(
            FROZEN,
            SCALING,
        ),
    ),
    Stage(
        "flow",
        "featflow.analysis.flow",
        revision=None,
        summary="which features persist, vanish and emerge",
        wildcards=("sae",),
        slice=flow_slice,
        cost=Cost(start=1, memory=0.2e9),
        jobs=_flows,
        inputs={
            "matches": lambda s, n: _of_pairs(s, n, paths.MATCHES),
            "matrices": lambda s, n: _of_pairs(s, n, paths.MATRIX),
        },
        outputs=(
            FLOW_FEATURES,
            FLOW_CHAINS,
            FLOW_COUNTS,
        ),
    ),
    Stage(
        "controls",
        "featflow.analysis.controls",
        revision=None,
        summary="ceilings, floors, arms and intervals; each corpus alone",
        wildcards=("sae",),
        slice=controls_slice,
        cost=Cost(start=2, memory=0.3e9),
        jobs=_flows,
        inputs={
            "shares": lambda s, n: _of_compared(s, n, paths.SHARES),
            "bootstraps": lambda s, n: _of_compared(s, n, paths.BOOTSTRAP),
            "frozen": _of_transfers,
        },
        outputs=(FLOW_CONTROLS, FLOW_DOMAINS),
        leaves=(paths.FLOW_CONTROLS, paths.FLOW_DOMAINS),
    ),
    Stage(
        "edges",
        "featflow.analysis.edges",
        revision=None,
        summary="every share beside its controls",
        wildcards=("sae",),
        slice=edges_slice,
        cost=Cost(start=1, memory=0.3e9),
        jobs=_flows,
        inputs={
            "counts": paths.FLOW_COUNTS,
            "features": paths.FLOW_FEATURES,
            "controls": paths.FLOW_CONTROLS,
            "summaries": lambda s, n: paths.SUMMARY.each(
                study=s.name, model=edges_slice(s, n["sae"]).models, sae=n["sae"]
            ),
            "metrics": _edge_metrics,
            "scaling": lambda s, n: [
                paths.SCALING.at(study=s.name, sae=n["sae"], parent=parent, child=child)
                for parent, child in edges_slice(s, n["sae"]).scaled
            ],
        },
        outputs=(
            FLOW_EDGES,
            FLOW_SHARES,
            FLOW_STRATA,
        ),
        leaves=(paths.FLOW_EDGES,),
    ),
    Stage(
        "case",
        "featflow.analysis.case",
        revision=None,
        summary="a feature followed through the lineage",
        wildcards=("case",),
        slice=case_slice,
        cost=Cost(start=3, memory=0.3e9),
        jobs=lambda s: [(case,) for case in s.study.cases],
        inputs={
            "dumps": _case_dumps,
            "tokens": lambda s, n: tokens(s, case_slice(s, n["case"]).corpora, "validation"),
            "tokenizer": paths.TOKENIZER,
            "flow": lambda s, n: of_flow(s, case_slice(s, n["case"]).sae, paths.FLOW_FEATURES),
            "shares": _case_shares,
            "reseeds": _case_reseeds,
            "neighbours": _case_neighbours,
        },
        outputs=(CASE,),
        leaves=(paths.CASE,),
    ),
)
