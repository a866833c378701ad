"""Feature activations, correlations, the flow."""

from featflow.plan import paths
from featflow.plan.formats.describe import Field, Format

EDGES_PROVENANCE = "edges.parquet beside it"

SHARES = "Shares leave silent and rare features out."

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

FORMATS = (
    Format(
        paths.FEATURES,
        "safetensors",
        "features",
        "Sparse activations (CSR) of an SAE's features on a corpus of the probe; rows are the same "
        "tokens for every model of the study. `scipy.sparse.csr_array((values, indices, indptr), "
        "shape=(T, d_sae))`, with d_sae from the SAE's cfg.json.",
        (
            Field("indptr", "int64", "row t has entries indptr[t] to indptr[t + 1]", "(T + 1,)"),
            Field("indices", "int32", "the feature, ascending within a row", "(Z,)"),
            Field("values", "float32", "its activation, always positive", "(Z,)"),
            Field("positions", "int64", "the row's place in the corpus's input_ids", "(T,)"),
        ),
        "T probe tokens, Z non-zeros",
    ),
    Format(
        paths.SUMMARY,
        "parquet",
        "features",
        "A row a feature, over the whole probe.",
        (
            Field("feature", "int64", "from 0"),
            Field("density", "float64", "share of probe tokens on which it fires"),
            Field("density_{corpus}", "float64", "the same of one corpus"),
            Field("firings", "int64", "tokens on which it fires"),
            Field("documents", "int64", "documents in which it fires"),
            Field(
                "mean", "float64", "mean activation where it fires; null: it never does", null=True
            ),
            Field("max", "float64", "largest activation; 0: it never fires"),
            Field(
                "contexts",
                "list of struct",
                "up to 10, strongest first, each of another document: corpus, position (in its "
                "input_ids), activation, token (its text), context (the text around it, the token "
                "between ⟦ and ⟧)",
            ),
        ),
    ),
    Format(
        paths.MATRIX,
        "safetensors",
        "correlation",
        "Pearson's r of every feature of a (rows) with every feature of b (columns); NaN where a "
        "side never fires in scope, or is constant. With `flow.floor` the pairs of |r| ≥ floor "
        "alone, as CSR: `scipy.sparse.csr_array((values, indices, indptr), shape)`; a pair that is "
        "not there has a smaller |r|, or none.",
        (
            Field("r", "float32", "on a's scope", "(m_a, m_b)", optional=True, null=True),
            Field(
                "r_b",
                "float32",
                "on b's scope, where that is another one (flow.scope: home)",
                "(m_a, m_b)",
                optional=True,
                null=True,
            ),
            *(
                field
                for name in ("r", "r_b")
                for field in (
                    Field(
                        f"{name}.indptr",
                        "int64",
                        f"with a floor, {name}: row i has entries indptr[i] to indptr[i + 1]",
                        "(m_a + 1,)",
                        optional=True,
                    ),
                    Field(
                        f"{name}.indices",
                        "int32",
                        "the feature of b, ascending within a row",
                        "(Z_a,)" if name == "r" else "(Z_b,)",
                        optional=True,
                    ),
                    Field(
                        f"{name}.values",
                        "float32",
                        "their r",
                        "(Z_a,)" if name == "r" else "(Z_b,)",
                        optional=True,
                    ),
                )
            ),
            Field("shape", "int64", "with a floor: m_a, m_b", "(2,)", optional=True),
            Field("floor", "float64", "the floor, flow.floor", "(1,)", optional=True),
        ),
        "m_a features of a, m_b of b; Z_a and Z_b pairs from the floor on",
    ),
    Format(
        paths.MATCHES,
        "parquet",
        "correlation",
        "The best partners of each feature of either side, `flow.partners` at most. A feature "
        "without any has one row. Counts are on the scope of the feature's side.",
        (
            Field("side", "text", "a or b: whose feature this is"),
            Field("feature", "int64", "from 0"),
            Field("rank", "int64", "0 is the best"),
            Field("partner", "int64", "feature of the other side; −1: none"),
            Field("r", "float64", "Pearson's r; null: no partner", null=True),
            Field("firings", "int64", "tokens on which the feature fires"),
            Field("partner_firings", "int64", "tokens on which the partner fires"),
            Field("cofirings", "int64", "tokens on which both fire"),
            Field("jaccard", "float64", "cofirings / tokens on which either fires", null=True),
            Field(
                "decoder_cosine",
                "float64",
                "between their decoder vectors; null without a common ancestor and the same hook",
                null=True,
            ),
            Field(
                "lookup_r",
                "float64",
                "how well the feature's mean per token predicts it; null: undefined",
                null=True,
            ),
            Field("documents", "int64", "documents in which the feature fires"),
            Field("partner_documents", "int64", "documents in which the partner fires"),
            Field("tokens", "int64", "tokens of the scope"),
            Field(
                "r_trimmed",
                "float64",
                "of the best partner that is not rare, r without the rows that contribute most "
                "([methods.md](methods.md#r_trimmed)); null: another partner, or one side is "
                "constant then",
                null=True,
            ),
        ),
    ),
    Format(
        paths.FLOW_FEATURES,
        "parquet",
        "flow",
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
            Field(
                "density", "text", "decade of its firing rate: `<-4`, `-4..-3`, … `>=-1`, unknown"
            ),
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
    ),
    Format(
        paths.FLOW_EDGES,
        "csv",
        "edges",
        f"A row an edge: the counts, and what its share stands beside. {SHARES}",
        EDGE_FIELDS,
        provenance=EDGES_PROVENANCE,
    ),
    Format(
        paths.FLOW_SHARES,
        "parquet",
        "edges",
        "edges.csv once more, with the types of its columns and its provenance.",
        EDGE_FIELDS,
    ),
    Format(
        paths.FLOW_STRATA,
        "csv",
        "edges",
        f"The same shares by kind of feature. {SHARES}",
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
        provenance=EDGES_PROVENANCE,
    ),
    Format(
        paths.FLOW_CHAINS,
        "parquet",
        "flow",
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
    ),
)
