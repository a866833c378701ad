"""Activations, sparse autoencoders and their metrics."""

from collections.abc import Iterator

from featflow.config.base import Name
from featflow.config.saes import Activations, Sae
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.slices import Slice, Windows
from featflow.plan.stages.data import tokens
from featflow.plan.stages.spec import Cost, Field, File, Job, Names, Sizes, Stage


def _measures(where: str = "") -> tuple[Field, ...]:
    """The metrics, overall (`where` empty) or of each corpus."""
    return (
        Field(f"{where}tokens", "integer", "rows measured on: validation tokens of the windows"),
        Field(f"{where}l0", "number", "features that fire at a token, the mean"),
        Field(
            f"{where}mse", "number", "mean over tokens and elements of (x − x̂)², raw activations"
        ),
        Field(f"{where}mse_scaled", "number", "the same in the scale that was trained in"),
        Field(
            f"{where}fve",
            "number",
            "share of variance explained; null where activations are constant",
            null=True,
        ),
        Field(
            f"{where}fve_by_dimension",
            "number",
            "the mean over elements of each one's own share of variance explained",
            null=True,
        ),
        *(
            Field(
                f"{where}{name}_without_outliers",
                "number",
                "the same on rows that are text and no longer than `outliers.longest`; null where "
                "there is none",
                null=True,
            )
            for name in ("mse", "fve", "fve_by_dimension")
        ),
        Field(
            f"{where}explained_loss",
            "number",
            "(L_zero − L_sae) / (L_zero − L_clean); null where zeroing costs next to nothing",
            null=True,
        ),
        Field(
            f"{where}loss_clean",
            "number",
            "the model's loss, nats a token; null where no token is predicted (a window of 1)",
            null=True,
        ),
        Field(f"{where}loss_sae", "number", "with the activations replaced by x̂", null=True),
        Field(f"{where}loss_zero", "number", "with the activations zeroed", null=True),
        Field(f"{where}dead_fraction", "number", "share of features that never fire here"),
    )


ACTIVATIONS = File(
    paths.ACTIVATIONS,
    "safetensors",
    "A shard of an SAE's training data: windows of a fixed sequence, so that more tokens mean "
    "more shards, never others. Rounded to bfloat16; numpy has no such type: read it with "
    "safetensors.torch, or its bits as uint16.",
    (
        Field("activations", "bfloat16", "what the hook carries at each token", "(W, L, n)"),
        Field("norms", "float32", "‖x‖ of each", "(W, L)"),
        Field("rows", "bool", "whether the token is a row of an SAE's data", "(W, L)"),
    ),
    "W windows, L tokens a window, n the width of the hook",
)

SAE = File(
    paths.SAE,
    "json",
    "The handle of an SAE folder, written last: where it is, the folder is whole. SAELens's "
    "format: `sae_lens.SAE.load_from_disk(folder)` reads it.",
    (
        Field("architecture", "text", "`standard`: a ReLU SAE; `topk`"),
        Field("d_in", "integer", "n, the width of the hook"),
        Field("d_sae", "integer", "m, features"),
        Field("dtype", "text", "float32"),
        Field("device", "text", "cpu"),
        Field("k", "integer", "of `topk`: how many features fire at a token", optional=True),
        Field(
            "rescale_acts_by_decoder_norm",
            "boolean",
            "of `topk`: false, decoder norms have no say",
            optional=True,
        ),
        Field("apply_b_dec_to_input", "boolean", "true: b_dec is taken off the input"),
        Field("normalize_activations", "text", "none: the scale is folded into the weights"),
        Field("reshape_activations", "text", "none"),
        Field("metadata.sae_lens_version", "text", "whose format this is"),
        Field("metadata.model_name", "text", "the model"),
        Field("metadata.hook_name", "text", "TransformerLens's name of the hook"),
        Field("metadata.context_size", "integer", "tokens of a block that the model reads"),
        Field("metadata.prepend_bos", "boolean", "false: tokens are taken as they are"),
        Field("metadata.scale", "number", "activations were multiplied by this in training"),
        Field(
            "metadata.longest",
            "number",
            "vectors longer than this were not trained on; null where every one was",
            null=True,
        ),
    ),
    provenance="key `metadata.featflow`, where SAELens keeps what it does not know",
)

SAE_WEIGHTS = File(
    paths.SAE_WEIGHTS,
    "safetensors",
    "f = ReLU((x − b_dec) W_enc + b_enc), x̂ = f W_dec + b_dec on raw activations x, in `topk` of "
    "the k largest alone; centring and scale are folded in.",
    (
        Field("W_enc", "float32", "encoder", "(n, m)"),
        Field("b_enc", "float32", "its bias", "(m,)"),
        Field("W_dec", "float32", "a direction a feature, of unit norm", "(m, n)"),
        Field("b_dec", "float32", "the decoder's bias", "(n,)"),
    ),
    "n inputs, m features",
)

SAE_TRAINING = File(
    paths.SAE_TRAINING,
    "parquet",
    "A row every few steps, about 200; losses in the scale that was trained in.",
    (
        Field("step", "int64", "steps done, from 1"),
        Field("tokens", "int64", "tokens seen so far, repeated ones again"),
        Field("loss", "float64", "mse + lambda · l1, or mse + α · aux, of this step"),
        Field("mse", "float64", "mean over tokens and elements of (x − x̂)²"),
        Field(
            "l1", "float64", "mean over tokens of the sum of activations; of relu", optional=True
        ),
        Field("l0", "float64", "features that fire at a token, the mean"),
        Field("lambda", "float64", "weight of the sparsity term; of relu", optional=True),
        Field(
            "aux",
            "float64",
            "of topk: mean over tokens and elements of (e − ê)², e the error and ê what the dead "
            "features make of it; 0: none is dead",
            optional=True,
        ),
        Field("dead", "float64", "share of features silent for long enough to be revived"),
        Field("revived", "int64", "features revived since the row before"),
        Field("learning_rate", "float64", "at this step"),
    ),
)

SAE_METRICS = File(
    paths.SAE_METRICS,
    "json",
    "How good an SAE is, on validation tokens; docs/methods.md has the formulas.",
    (
        *_measures(),
        *_measures("corpora.{corpus}."),
        Field("density.log10_edges", "list of number", "edges of bins of log10(share of tokens)"),
        Field("density.features", "list of number", "living features in each bin"),
        Field("outliers.longest", "number", "`metadata.longest` of the SAE", null=True),
        Field("outliers.rows", "integer", "rows that are no text, or longer than that"),
        Field("outliers.corpora.{corpus}", "integer", "those of each corpus"),
        Field(
            "outliers.tokens",
            "list of object",
            "the tokens that are so most often, up to 20: corpus, id, rows, text",
        ),
    ),
)


def _shards(slices: Slices) -> Iterator[Job]:
    """Shards of every model at every hook that an SAE of it reads."""
    study = slices.study
    hooks = {(model, study.saes[sae].hook) for model, sae in slices.lineage.dictionaries()}
    count = -(-study.activations.tokens // study.activations.shard_tokens)
    return ((model, hook, str(i)) for model, hook in sorted(hooks) for i in range(count))


def training_data(slices: Slices, names: Names) -> dict[str, list[str]]:
    """What an SAE is trained on, by flag: shards, or tokens where no shards are kept."""
    model, sae = names["model"], names["sae"]
    if slices.makes_its_own(sae):
        return {"--tokens": tokens(slices, slices.lineage.activation_corpora(model, sae), "train")}
    hook, shards = slices.study.saes[sae].hook, map(str, slices.shards(sae))
    of_hook = paths.ACTIVATIONS.each(study=slices.name, model=model, hook=hook, shard=shards)
    return {"--shards": of_hook}


def handle(slices: Slices, dictionary: str) -> str:
    """The SAE of a dictionary (`{model}.{sae}`)."""
    model, sae = dictionary.split(".")
    return paths.SAE.at(study=slices.name, model=model, sae=sae)


class ActivationsSlice(Slice):
    model: Name
    hook: str
    corpora: list[Name]
    windows: Windows
    seed: int
    shard: int
    shard_tokens: int
    tokens: int
    """Tokens of this shard: `shard_tokens`, or what is left for the last one."""


def activations_slice(slices: Slices, model: str, hook: str, shard: int | str) -> ActivationsSlice:
    settings, shard = slices.study.activations, int(shard)
    left = settings.tokens - shard * settings.shard_tokens
    return ActivationsSlice(
        study=slices.name,
        model=model,
        hook=hook,
        corpora=slices.lineage.activation_corpora(model),
        windows=slices.windows(),
        seed=slices.seed("activations"),
        shard=shard,
        shard_tokens=settings.shard_tokens,
        tokens=min(settings.shard_tokens, left),
    )


class SaeSlice(Slice):
    model: Name
    name: Name
    seed: int
    activations_seed: int
    settings: Sae
    activations: Activations
    """What decides its shards: `data`, `window` and `context` are in `corpora` and `windows`."""
    windows: Windows
    corpora: list[Name]
    """The corpora whose training tokens it sees."""


def sae_slice(slices: Slices, model: str, sae: str) -> SaeSlice:
    settings, activations = slices.study.saes[sae], slices.study.activations
    shared = settings.init == "shared"
    said_elsewhere = ("models", "control_of", "corpora", "context")
    # Without what `windows` and `corpora` say, and without tokens of shards that it never sees.
    data = Activations(
        scale=activations.scale,
        outliers=activations.outliers,
        tokens=min(activations.tokens, len(slices.shards(sae)) * activations.shard_tokens),
        shard_tokens=activations.shard_tokens,
        keep=not slices.makes_its_own(sae),
    )
    return SaeSlice(
        study=slices.name,
        model=model,
        name=sae,
        seed=slices.seed("sae", "*" if shared else model, settings.seed),
        activations_seed=slices.seed("activations"),
        settings=settings.model_copy(update=dict.fromkeys(said_elsewhere)),
        activations=data,
        windows=slices.windows(sae),
        corpora=slices.lineage.activation_corpora(model, sae),
    )


class MetricsSlice(Slice):
    model: Name
    sae: Name
    hook: str
    corpora: list[Name]
    """Those whose training tokens the SAE saw; it is measured on their validation tokens."""
    windows: Windows
    tokens: int
    """Validation tokens a corpus."""
    blocks_seed: int = 0
    """Which blocks of a split are read, where it is not all (data/windows.py, `drawn`)."""


def metrics_slice(slices: Slices, model: str, sae: str) -> MetricsSlice:
    return MetricsSlice(
        study=slices.name,
        model=model,
        sae=sae,
        hook=slices.study.saes[sae].hook,
        corpora=slices.lineage.activation_corpora(model, sae),
        windows=slices.windows(sae),
        tokens=slices.study.evaluation.tokens,
        blocks_seed=slices.seed("blocks"),
    )


def _reading(z: Sizes, cfg: ActivationsSlice) -> float:
    """FLOP up to the hook, of all blocks that the shard's windows are cut from."""
    read = z.read(cfg.windows, cfg.tokens)
    return read * z.forward(cfg.model, cfg.windows.context_length, hook=cfg.hook)


def _training(z: Sizes, cfg: SaeSlice) -> float:
    """FLOP: 10 n m a token visit (n inputs, m features: five products, forward and backward)."""
    n = z.hook_width(cfg.model, cfg.settings.hook)
    return 10 * n * n * cfg.settings.expansion * cfg.settings.tokens


def _held(z: Sizes, cfg: SaeSlice) -> float:
    """Its activations in bfloat16, and weights with their gradients and moments."""
    n = z.hook_width(cfg.model, cfg.settings.hook)
    return 2 * n * cfg.activations.tokens + 40 * n * n * cfg.settings.expansion


def _measuring(z: Sizes, cfg: MetricsSlice) -> float:
    """FLOP: three forward passes and 4 n m, a token."""
    n, m = z.width(cfg.model, cfg.sae), z.features((cfg.model, cfg.sae))
    seen = sum(z.at_most(cfg.tokens, corpus, "validation") for corpus in cfg.corpora)
    return seen * (3 * z.forward(cfg.model) + 4 * n * m)


STAGES = (
    Stage(
        "activations",
        "featflow.saes.activations",
        revision=2,
        summary="a shard of an SAE's training data",
        wildcards=("model", "hook", "shard"),
        slice=activations_slice,
        cost=Cost(
            start=6, rate=50e9, float32=0.3, work=_reading, held=lambda z, cfg: z.model(cfg.model)
        ),
        jobs=_shards,
        inputs={
            "model": paths.MODEL,
            "tokens": lambda s, n: tokens(s, s.lineage.activation_corpora(n["model"]), "train"),
        },
        outputs=(ACTIVATIONS,),
    ),
    Stage(
        "sae",
        "featflow.saes.sae",
        revision=2,
        summary="train a sparse autoencoder",
        wildcards=("model", "sae"),
        slice=sae_slice,
        cost=Cost(start=6, rate=220e9, bfloat16=0.2, work=_training, held=_held),
        jobs=lambda s: s.lineage.dictionaries(),
        inputs={
            "model": paths.MODEL,
            "data": lambda s, n: [path for files in training_data(s, n).values() for path in files],
        },
        outputs=(
            SAE,
            SAE_WEIGHTS,
            SAE_TRAINING,
        ),
    ),
    Stage(
        "metrics",
        "featflow.saes.metrics",
        revision=2,
        summary="how good a sparse autoencoder is",
        wildcards=("model", "sae"),
        slice=metrics_slice,
        cost=Cost(
            start=6, rate=55e9, float32=0.4, work=_measuring, held=lambda z, cfg: z.model(cfg.model)
        ),
        jobs=lambda s: s.lineage.dictionaries(),
        inputs={
            "model": paths.MODEL,
            "sae": paths.SAE,
            "tokens": lambda s, n: tokens(
                s, metrics_slice(s, n["model"], n["sae"]).corpora, "validation"
            ),
        },
        outputs=(SAE_METRICS,),
        leaves=(paths.SAE_METRICS,),
    ),
)
