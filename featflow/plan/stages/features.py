"""Feature activations on the probe, and what correlates with what."""

from featflow.config.base import Name
from featflow.config.errors import ConfigError
from featflow.plan import paths
from featflow.plan.lineage import Dictionary
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice, Windows
from featflow.plan.stages.data import tokens
from featflow.plan.stages.saes import handle
from featflow.plan.stages.spec import Cost, Field, File, Names, Sizes, Stage

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
    corpora = correlation_slice(slices, names["a"], names["b"]).corpora
    return paths.FEATURES.each(study=slices.name, model=model, sae=sae, corpus=corpora)


class FeaturesSlice(Slice):
    model: Name
    sae: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""


def features_slice(slices: Slices, model: str, sae: str) -> FeaturesSlice:
    return FeaturesSlice(
        study=slices.name,
        model=model,
        sae=sae,
        hook=slices.study.saes[sae].hook,
        corpora=slices.study.probe_corpora,
        windows=slices.windows(sae),
        tokens_per_corpus=slices.study.probe.tokens_per_corpus,
        blocks_seed=slices.seed("blocks"),
    )


class CorrelationSlice(Slice):
    a: str
    b: str
    corpora: list[Name]
    """All that is read, in the order of the input files."""
    scope_a: list[Name]
    """The corpora on which r of a's features is judged."""
    scope_b: list[Name]
    partners: int
    decoders: bool
    """Whether the decoder directions can be compared: a common ancestor and the same hook."""
    min_firings: int
    """Of the rare features, with `min_documents`: which partner is the best that counts."""
    min_documents: int
    floor: float | None = None
    """Of the |r| that matrix.safetensors keeps (None: all)."""


def correlation_slice(slices: Slices, a: str, b: str) -> CorrelationSlice:
    """Raises ConfigError where the two models have no probe corpus in their scope."""
    first, second = Dictionary(*a.split(".")), Dictionary(*b.split("."))
    if slices.windows(first.sae) != slices.windows(second.sae):
        raise ConfigError(
            f"study {slices.name}: {a} and {b} read other windows (context): they have no "
            "tokens in common to be correlated on"
        )
    scope_a, scope_b = slices.scopes(first.model, second.model)
    if not (scope_a and scope_b):
        raise slices.no_corpus(a, b)
    saes = slices.study.saes
    related = {first.model, *slices.lineage.ancestors(first.model)} & {
        second.model,
        *slices.lineage.ancestors(second.model),
    }
    return CorrelationSlice(
        study=slices.name,
        a=a,
        b=b,
        corpora=[c for c in slices.study.probe_corpora if c in {*scope_a, *scope_b}],
        scope_a=scope_a,
        scope_b=scope_b,
        partners=slices.study.flow.partners,
        decoders=bool(related) and saes[first.sae].hook == saes[second.sae].hook,
        min_firings=slices.study.flow.min_firings,
        min_documents=slices.study.flow.min_documents,
        floor=slices.study.flow.floor,
    )


def _dumping(z: Sizes, cfg: FeaturesSlice) -> float:
    """FLOP: forward up to the hook of all blocks, and 2 n m a row of the probe."""
    n, m = z.width(cfg.model, cfg.sae), z.features((cfg.model, cfg.sae))
    rows = sum(min(cfg.tokens_per_corpus, z.rows(corpus)) for corpus in cfg.corpora)
    return z.read(cfg.windows, rows) * z.forward(cfg.model, hook=cfg.hook) + rows * 2 * n * m


def _correlating(z: Sizes, cfg: CorrelationSlice) -> float:
    """For each matrix rows × L0² (pairs that fire together) and 16 m_a m_b."""
    a, b = Dictionary(*cfg.a.split(".")), Dictionary(*cfg.b.split("."))
    scopes = [cfg.scope_a] if cfg.scope_a == cfg.scope_b else [cfg.scope_a, cfg.scope_b]
    rows = sum(len(scope) * min(map(z.rows, scope)) for scope in scopes)
    together = rows * z.l0(a.sae) * z.l0(b.sae)
    return together + 16 * z.features(a) * z.features(b) * len(scopes)


def _held(z: Sizes, cfg: CorrelationSlice) -> float:
    """Four matrices, and both sides' dumps three times."""
    a, b = Dictionary(*cfg.a.split(".")), Dictionary(*cfg.b.split("."))
    dumps = sum(z.dump_bytes(sae, cfg.corpora) for sae in (a.sae, b.sae))
    return 16 * z.features(a) * z.features(b) + 3 * dumps


def pairing(z: Sizes, rows: float, a: str, b: str, m: int) -> float:
    """The work of correlating two SAEs of m features each on so many rows."""
    return rows * z.l0(a) * z.l0(b) + 16 * m * m


STAGES = (
    Stage(
        "features",
        "featflow.features.features",
        revision=2,
        summary="sparse feature activations on the probe",
        wildcards=("model", "sae"),
        slice=features_slice,
        cost=Cost(
            start=6,
            rate=48e9,
            float32=0.2,
            work=_dumping,
            held=lambda z, cfg: z.model(cfg.model) + 3 * z.dump_bytes(cfg.sae, cfg.corpora),
        ),
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
        slice=correlation_slice,
        cost=Cost(start=2, rate=2.5e8, memory=0.4e9, work=_correlating, held=_held),
        jobs=lambda s: [(str(pair.a), str(pair.b)) for pair in s.lineage.pairs_of_all()],
        inputs={
            "a": lambda s, n: _dumps_of(s, n, "a"),
            "b": lambda s, n: _dumps_of(s, n, "b"),
            "sae_a": lambda s, n: handle(s, n["a"]),
            "sae_b": lambda s, n: handle(s, n["b"]),
            "tokens": lambda s, n: tokens(
                s, correlation_slice(s, n["a"], n["b"]).corpora, "validation"
            ),
        },
        outputs=(
            MATRIX,
            MATCHES,
        ),
        leaves=(paths.MATCHES,),
    ),
)
