"""The flow of features, what every share stands beside, and cases."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.slices import Compared
from featflow.plan.stages.data import tokens
from featflow.plan.stages.spec import Field, File, Job, Names, Stage

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
    *("share", "traced_share", "traced_here", "scope", "min_firings", "min_documents"),
    *("fragile", "fragile_share", "traced_fragile", "traced_fragile_share", "persisting_anywhere"),
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


def _seeds(slices: Slices, names: Names, side: str) -> tuple[str, Sequence[str], Sequence[str]]:
    """One end of a comparison: its model, the SAEs that are compared, the corpora."""
    cfg = slices.shares(*_pair(names))
    model, saes = {"a": (cfg.parent, cfg.a), "b": (cfg.child, cfg.b)}[side]
    return model, saes, cfg.corpora


def _seed_dumps(slices: Slices, names: Names, side: str) -> list[str]:
    model, saes, corpora = _seeds(slices, names, side)
    return paths.FEATURES.each(study=slices.name, model=model, sae=saes, corpus=corpora)


def _seed_saes(slices: Slices, names: Names, side: str) -> list[str]:
    model, saes, _ = _seeds(slices, names, side)
    return paths.SAE.each(study=slices.name, model=model, sae=saes)


def _of_pairs(slices: Slices, names: Names, template: Template) -> list[str]:
    """A file of each pair of an SAE, in the order of its slice's pairs."""
    pairs = slices.flow(names["sae"]).pairs
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
    pairs = [each.dictionary.split(".") for each in slices.edges(names["sae"]).saes]
    return [paths.SAE_METRICS.at(study=slices.name, model=m, sae=sae) for m, sae in pairs]


def of_flow(slices: Slices, sae: str, template: Template) -> list[str]:
    """A table of an SAE's flow; none where it has no edges."""
    return template.each(study=slices.name, sae=[sae] if slices.lineage.flow_edges(sae) else [])


def _case_dumps(slices: Slices, names: Names) -> list[str]:
    """Of every model in which a case is followed."""
    cfg = slices.case(names["case"])
    return paths.FEATURES.each(study=slices.name, model=cfg.models, sae=cfg.sae, corpus=cfg.corpora)


def _case_shares(slices: Slices, names: Names) -> list[str]:
    """The comparison of a case's model with its own reseeds, if it has any."""
    cfg = slices.case(names["case"])
    at = {"study": slices.name, "sae": cfg.sae, "parent": cfg.model, "child": cfg.model}
    return [paths.SHARES.at(**at)] if cfg.reseeds else []


def _case_reseeds(slices: Slices, names: Names) -> list[str]:
    """The dumps of the reseeds of a case's model."""
    cfg = slices.case(names["case"])
    return paths.FEATURES.each(
        study=slices.name, model=cfg.model, sae=cfg.reseeds, corpus=cfg.corpora
    )


def _case_neighbours(slices: Slices, names: Names) -> list[str]:
    """The comparisons of a case's model, reseeds and all, with its parents and children."""
    cfg = slices.case(names["case"])
    at = {"study": slices.name, "sae": cfg.sae}
    return [paths.SHARES.at(**at, parent=a, child=b) for a, b in cfg.neighbours]


STAGES = (
    Stage(
        "shares",
        "featflow.features.shares",
        revision=2,
        summary="best partners on every domain, for controls",
        wildcards=("sae", "parent", "child"),
        jobs=lambda s: _pairs(s, s.compared),
        inputs={
            "a": lambda s, n: _seed_dumps(s, n, "a"),
            "b": lambda s, n: _seed_dumps(s, n, "b"),
            "saes_a": lambda s, n: _seed_saes(s, n, "a"),
            "saes_b": lambda s, n: _seed_saes(s, n, "b"),
            "tokens": lambda s, n: tokens(s, s.shares(*_pair(n)).corpora, "validation"),
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
        jobs=lambda s: _pairs(s, s.transferred),
        inputs={
            "parent": lambda s, n: paths.MODEL.each(study=s.name, model=n["parent"]),
            "child": lambda s, n: paths.MODEL.each(study=s.name, model=n["child"]),
            "parent_sae": lambda s, n: paths.SAE.at(study=s.name, model=n["parent"], sae=n["sae"]),
            "child_sae": lambda s, n: paths.SAE.at(study=s.name, model=n["child"], sae=n["sae"]),
            "tokens": lambda s, n: tokens(s, s.transfer(*_pair(n)).corpora, "validation"),
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
        summary="ceilings, floors, arms and intervals",
        wildcards=("sae",),
        jobs=_flows,
        inputs={
            "shares": lambda s, n: _of_compared(s, n, paths.SHARES),
            "bootstraps": lambda s, n: _of_compared(s, n, paths.BOOTSTRAP),
            "frozen": _of_transfers,
        },
        outputs=(FLOW_CONTROLS,),
        leaves=(paths.FLOW_CONTROLS,),
    ),
    Stage(
        "domains",
        "featflow.analysis.domains",
        revision=None,
        summary="the shares on each corpus alone",
        wildcards=("sae",),
        jobs=_flows,
        inputs={"shares": lambda s, n: _of_compared(s, n, paths.SHARES)},
        outputs=(FLOW_DOMAINS,),
        leaves=(paths.FLOW_DOMAINS,),
    ),
    Stage(
        "edges",
        "featflow.analysis.edges",
        revision=None,
        summary="every share beside its controls",
        wildcards=("sae",),
        jobs=_flows,
        inputs={
            "counts": paths.FLOW_COUNTS,
            "features": paths.FLOW_FEATURES,
            "controls": paths.FLOW_CONTROLS,
            "summaries": lambda s, n: paths.SUMMARY.each(
                study=s.name, model=s.edges(n["sae"]).models, sae=n["sae"]
            ),
            "metrics": _edge_metrics,
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
        jobs=lambda s: [(case,) for case in s.study.cases],
        inputs={
            "dumps": _case_dumps,
            "tokens": lambda s, n: tokens(s, s.case(n["case"]).corpora, "validation"),
            "tokenizer": paths.TOKENIZER,
            "flow": lambda s, n: of_flow(s, s.case(n["case"]).sae, paths.FLOW_FEATURES),
            "shares": _case_shares,
            "reseeds": _case_reseeds,
            "neighbours": _case_neighbours,
        },
        outputs=(CASE,),
        leaves=(paths.CASE,),
    ),
)
