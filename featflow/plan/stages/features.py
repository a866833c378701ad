"""Feature activations on the probe, and what correlates with what."""

from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages.data import tokens
from featflow.plan.stages.saes import handle
from featflow.plan.stages.spec import Field, File, Names, Stage

FEATURES = File(
    paths.FEATURES,
    "safetensors",
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
)

SUMMARY = File(
    paths.SUMMARY,
    "parquet",
    "A row a feature, over the whole probe.",
    (
        Field("feature", "int64", "from 0"),
        Field("density", "float64", "share of probe tokens on which it fires"),
        Field("density_{corpus}", "float64", "the same of one corpus"),
        Field("firings", "int64", "tokens on which it fires"),
        Field("documents", "int64", "documents in which it fires"),
        Field("mean", "float64", "mean activation where it fires; null: it never does", null=True),
        Field("max", "float64", "largest activation; 0: it never fires"),
        Field(
            "contexts",
            "list of struct",
            "up to 10, strongest first, each of another document: corpus, position (in its "
            "input_ids), activation, token (its text), context (the text around it, the token "
            "between ⟦ and ⟧)",
        ),
    ),
)

MATRIX = File(
    paths.MATRIX,
    "safetensors",
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
)

MATCHES = File(
    paths.MATCHES,
    "parquet",
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
)


def _dumps_of(slices: Slices, names: Names, side: str) -> list[str]:
    """Of one side of a pair, in the order of its slice's corpora."""
    model, sae = names[side].split(".")
    corpora = slices.correlation(names["a"], names["b"]).corpora
    return paths.FEATURES.each(study=slices.name, model=model, sae=sae, corpus=corpora)


STAGES = (
    Stage(
        "features",
        "featflow.features.features",
        revision=2,
        summary="sparse feature activations on the probe",
        wildcards=("model", "sae"),
        jobs=lambda s: s.lineage.dictionaries(),
        inputs={
            "model": paths.MODEL,
            "sae": paths.SAE,
            "tokens": lambda s, n: tokens(s, s.study.probe_corpora, "validation"),
        },
        outputs=(
            FEATURES,
            SUMMARY,
        ),
        leaves=(paths.SUMMARY,),
    ),
    Stage(
        "correlation",
        "featflow.features.correlation",
        revision=2,
        summary="Pearson's r between two dictionaries",
        wildcards=("a", "b"),
        jobs=lambda s: [(str(pair.a), str(pair.b)) for pair in s.lineage.pairs_of_all()],
        inputs={
            "a": lambda s, n: _dumps_of(s, n, "a"),
            "b": lambda s, n: _dumps_of(s, n, "b"),
            "sae_a": lambda s, n: handle(s, n["a"]),
            "sae_b": lambda s, n: handle(s, n["b"]),
            "tokens": lambda s, n: tokens(s, s.correlation(n["a"], n["b"]).corpora, "validation"),
        },
        outputs=(
            MATRIX,
            MATCHES,
        ),
        leaves=(paths.MATCHES,),
    ),
)
