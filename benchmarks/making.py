"""Commands of the stages that make things: corpora, models, SAEs, dumps.

A function of the stage's name writes the inputs below the working directory and gives the words
behind `featflow`. `words` decides what documents are made of: words, or letters that are quicker.
"""

from pathlib import Path

from benchmarks import inputs
from benchmarks.commands import command, probe
from benchmarks.inputs import HOOK, STUDY, Size, at
from featflow.config.corpora import Files
from featflow.config.merging import Linear, Slerp
from featflow.config.models import Architecture, FinetuneTraining, Training
from featflow.config.saes import Activations, Relu, Sparsity
from featflow.config.tokenizers import Bpe
from featflow.plan import paths
from featflow.plan.stages.data import CorpusSlice, TokenizerSlice, TokensSlice
from featflow.plan.stages.features import FeaturesSlice
from featflow.plan.stages.models import (
    EvaluateSlice,
    FinetuneSlice,
    MergeSlice,
    SweepSlice,
    TrainSlice,
)
from featflow.plan.stages.saes import ActivationsSlice, MetricsSlice, SaeSlice

TEXT_BYTES = 4
"""Of text for each of a size's tokens."""
FILE = 50_000
"""Bytes of a file, or of a document, at most."""


def corpus(size: Size, words: bool = True) -> list[str]:
    """Text files of this machine, a document each."""
    count, each = _parts(size)
    inputs.files(Path("files"), count, each, words)
    source = Files(kind="files", paths=["files/*"])
    cfg = CorpusSlice(study=STUDY, corpus="corpus0", seed=0, source=source)
    splits = {s: at(paths.CORPUS, corpus="corpus0", split=s) for s in paths.SPLITS}
    return command("corpus", cfg, **splits)


def tokenizer(size: Size, words: bool = True, sample: int = 2_000_000) -> list[str]:
    """A BPE trained on a part of the documents."""
    count, each = _parts(size)
    files = [at(paths.CORPUS, corpus=c, split="train") for c in size.names]
    for path in files:
        inputs.documents(path, count, each, words)
    own = Bpe(kind="bpe", corpora=size.names, vocabulary=size.vocabulary, sample_bytes=sample)
    cfg = TokenizerSlice(study=STUDY, tokenizer=own)
    return command("tokenizer", cfg, corpora=files, output=at(paths.TOKENIZER))


def tokens(size: Size, words: bool = True) -> list[str]:
    """Documents cut into tokens: of a BPE, or into letters."""
    count, each = _parts(size)
    documents = at(paths.CORPUS, corpus="corpus0", split="train")
    inputs.documents(documents, count, each, words)
    own = inputs.trained_tokenizer if words else inputs.tokenizer
    cfg = TokensSlice(study=STUDY, corpus="corpus0", split="train")
    output = at(paths.TOKENS, corpus="corpus0", split="train")
    path = own(size.vocabulary)
    return command("tokens", cfg, documents=documents, tokenizer=path, output=output)


def train(size: Size, steps: int | None = None, batch: int = 8) -> list[str]:
    """A language model from scratch, for so many steps, or one pass."""
    cfg = TrainSlice(
        study=STUDY,
        model="base",
        seed=0,
        corpora=size.names,
        architecture=_architecture(size),
        training=Training(epochs=_epochs(size, steps, batch), batch=batch),
    )
    streams, own = _streams(size, "train"), inputs.tokenizer(size.vocabulary)
    output = at(paths.MODEL, model="base").parent
    return command("train", cfg, tokens=streams, tokenizer=own, output=output)


def finetune(size: Size, steps: int | None = None, batch: int = 8) -> list[str]:
    """The same from a model's weights."""
    cfg = FinetuneSlice(
        study=STUDY,
        model="child",
        seed=0,
        corpora=size.names,
        training=FinetuneTraining(epochs=_epochs(size, steps, batch), batch=batch, warmup_steps=0),
    )
    files = {"parent": inputs.model("base", size), "tokens": _streams(size, "train")}
    return command("finetune", cfg, **files, output=at(paths.MODEL, model="child").parent)


def sweep(size: Size) -> list[str]:
    """A merge of two models at several t."""
    cfg = SweepSlice(
        study=STUDY,
        model="merged",
        parents=["left", "right"],
        corpora=[size.names, size.names],
        method=Slerp(kind="slerp"),
        points=size.points,
        tokens=size.tokens,
    )
    parents = [inputs.model(name, size, i) for i, name in enumerate(cfg.parents)]
    files = {"parents": parents, "tokens": _streams(size, "selection")}
    return command("sweep", cfg, **files, output=at(paths.SWEEP, model="merged"))


def merge(size: Size) -> list[str]:
    """A weighted sum of models."""
    names = [f"parent{i}" for i in range(size.models)]
    method = Linear(kind="linear")
    cfg = MergeSlice(study=STUDY, model="merged", parents=names, corpora=[], method=method)
    parents = [inputs.model(name, size, i) for i, name in enumerate(names)]
    return command("merge", cfg, parents=parents, output=at(paths.MODEL, model="merged").parent)


def evaluate(size: Size) -> list[str]:
    """Loss and accuracy on every corpus."""
    cfg = EvaluateSlice(study=STUDY, model="base", corpora=size.names, tokens=size.tokens)
    files = {"model": inputs.model("base", size), "tokens": _streams(size, "validation")}
    return command("evaluate", cfg, **files, output=at(paths.EVALUATE, model="base"))


def activations(size: Size) -> list[str]:
    """A shard of all tokens."""
    cfg = ActivationsSlice(
        study=STUDY,
        model="base",
        hook=HOOK,
        corpora=size.names,
        windows=size.windows,
        seed=0,
        shard=0,
        shard_tokens=size.rows,
        tokens=size.rows,
    )
    each = size.context * -(-size.blocks // size.corpora) + size.spare
    files = {"model": inputs.model("base", size)}
    files["tokens"] = [inputs.tokens(c, "train", each, size) for c in size.names]
    return command("activations", cfg, **files, output=at(paths.ACTIVATIONS, **_first_shard()))


def sae(size: Size, visits: int | None = None, batch: int = 128) -> list[str]:
    """An SAE on a shard of all tokens, for so many token visits, or one pass."""
    settings = Relu(
        kind="relu",
        hook=HOOK,
        expansion=size.features // size.width,
        sparsity=Sparsity(l0=size.firing),
        tokens=visits or size.tokens,
        batch=batch,
    )
    cfg = SaeSlice(
        study=STUDY,
        model="base",
        name="main",
        seed=0,
        activations_seed=0,
        settings=settings,
        activations=Activations(tokens=size.tokens, shard_tokens=size.tokens, scale="unit"),
        windows=size.windows,
        corpora=size.names,
    )
    files = {"model": inputs.model("base", size), "shards": [inputs.shard("base", 0, size)]}
    return command("sae", cfg, **files, output=at(paths.SAE, model="base", sae="main").parent)


def metrics(size: Size) -> list[str]:
    """How good an SAE is, on every corpus."""
    cfg = MetricsSlice(
        study=STUDY,
        model="base",
        sae="main",
        hook=HOOK,
        corpora=size.names,
        windows=size.windows,
        tokens=size.rows,
    )
    output = at(paths.SAE_METRICS, model="base", sae="main")
    return command("metrics", cfg, **_model_and_sae(size), output=output)


def features(size: Size) -> list[str]:
    """Dumps of a dictionary on every corpus."""
    cfg = FeaturesSlice(
        study=STUDY,
        model="base",
        sae="main",
        hook=HOOK,
        corpora=size.names,
        windows=size.windows,
        tokens_per_corpus=size.rows,
    )
    of = {"model": "base", "sae": "main"}
    outputs = [at(paths.FEATURES, **of, corpus=c) for c in size.names]
    summary = at(paths.SUMMARY, **of)
    return command("features", cfg, **_model_and_sae(size), output=outputs, summary=summary)


def _parts(size: Size) -> tuple[int, int]:
    """Documents of a corpus, and bytes of each."""
    total = TEXT_BYTES * size.tokens
    count = max(50, total // FILE)
    return count, total // count


def _epochs(size: Size, steps: int | None, batch: int) -> float:
    blocks = size.corpora * (size.tokens // size.context)
    return 1.0 if steps is None else steps * batch / blocks


def _architecture(size: Size) -> Architecture:
    return Architecture(
        hidden=size.hidden,
        intermediate=size.width,
        layers=size.layers,
        heads=size.heads,
        kv_heads=max(1, size.heads // 2),
        context=size.context,
    )


def _streams(size: Size, split: str) -> list[Path]:
    return [inputs.tokens(c, split, size.tokens + size.spare, size) for c in size.names]


def _model_and_sae(size: Size) -> dict:
    folder = inputs.model("base", size)
    return {"model": folder, "sae": inputs.sae(folder, "main", size), "tokens": probe(size)}


def _first_shard() -> dict[str, object]:
    return {"model": "base", "hook": HOOK, "shard": 0}
