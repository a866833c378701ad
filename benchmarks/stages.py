"""Every stage as a command on inputs of any size: what its rule would run.

A function of the stage's name writes the inputs below the working directory and gives the words
behind `featflow`. `text` decides what documents are made of: words, or letters that are quicker.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import inputs
from benchmarks.inputs import HOOK, STUDY, Size, at
from featflow.core import paths
from featflow.core import slices as kinds
from featflow.core.config.cases import Case
from featflow.core.config.controls import Controls
from featflow.core.config.corpora import Files
from featflow.core.config.exploring import Explorer
from featflow.core.config.interpreting import Interpret
from featflow.core.config.merging import Linear, Slerp
from featflow.core.config.models import Architecture, FinetuneTraining, Training
from featflow.core.config.saes import Activations, Relu, Sparsity
from featflow.core.config.study import Flow
from featflow.core.config.tokenizers import Bpe

TEXT_BYTES = 4
"""Of text for each of a size's tokens."""
FILE = 50_000
"""Bytes of a file, or of a document, at most."""


def corpus(size: Size, words: bool = True) -> list[str]:
    """Text files of this machine, a document each."""
    count, each = _parts(size)
    inputs.files(Path("files"), count, each, words)
    source = Files(kind="files", paths=["files/*"])
    cfg = kinds.CorpusSlice(study=STUDY, corpus="corpus0", seed=0, source=source)
    splits = {s: at(paths.CORPUS, corpus="corpus0", split=s) for s in paths.SPLITS}
    return _words("corpus", cfg, **splits)


def tokenizer(size: Size, words: bool = True, sample: int = 2_000_000) -> list[str]:
    """A BPE trained on a part of the documents."""
    count, each = _parts(size)
    files = [at(paths.CORPUS, corpus=c, split="train") for c in size.names]
    for path in files:
        inputs.documents(path, count, each, words)
    own = Bpe(kind="bpe", corpora=size.names, vocabulary=size.vocabulary, sample_bytes=sample)
    cfg = kinds.TokenizerSlice(study=STUDY, tokenizer=own)
    return _words("tokenizer", cfg, corpora=files, output=at(paths.TOKENIZER))


def tokens(size: Size, words: bool = True) -> list[str]:
    """Documents cut into tokens: of a BPE, or into letters."""
    count, each = _parts(size)
    documents = at(paths.CORPUS, corpus="corpus0", split="train")
    inputs.documents(documents, count, each, words)
    own = inputs.trained_tokenizer if words else inputs.tokenizer
    cfg = kinds.TokensSlice(study=STUDY, corpus="corpus0", split="train")
    output = at(paths.TOKENS, corpus="corpus0", split="train")
    path = own(size.vocabulary)
    return _words("tokens", cfg, documents=documents, tokenizer=path, output=output)


def train(size: Size, steps: int | None = None, batch: int = 8) -> list[str]:
    """A language model from scratch, for so many steps, or one pass."""
    cfg = kinds.TrainSlice(
        study=STUDY,
        model="base",
        seed=0,
        corpora=size.names,
        architecture=_architecture(size),
        training=Training(epochs=_epochs(size, steps, batch), batch=batch),
    )
    streams, own = _streams(size, "train"), inputs.tokenizer(size.vocabulary)
    output = at(paths.MODEL, model="base").parent
    return _words("train", cfg, tokens=streams, tokenizer=own, output=output)


def finetune(size: Size, steps: int | None = None, batch: int = 8) -> list[str]:
    """The same from a model's weights."""
    cfg = kinds.FinetuneSlice(
        study=STUDY,
        model="child",
        seed=0,
        corpora=size.names,
        training=FinetuneTraining(epochs=_epochs(size, steps, batch), batch=batch, warmup_steps=0),
    )
    files = {"parent": inputs.model("base", size), "tokens": _streams(size, "train")}
    return _words("finetune", cfg, **files, output=at(paths.MODEL, model="child").parent)


def sweep(size: Size) -> list[str]:
    """A merge of two models at several t."""
    cfg = kinds.SweepSlice(
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
    return _words("sweep", cfg, **files, output=at(paths.SWEEP, model="merged"))


def merge(size: Size) -> list[str]:
    """A weighted sum of models."""
    names = [f"parent{i}" for i in range(size.models)]
    method = Linear(kind="linear")
    cfg = kinds.MergeSlice(study=STUDY, model="merged", parents=names, corpora=[], method=method)
    parents = [inputs.model(name, size, i) for i, name in enumerate(names)]
    return _words("merge", cfg, parents=parents, output=at(paths.MODEL, model="merged").parent)


def evaluate(size: Size) -> list[str]:
    """Loss and accuracy on every corpus."""
    cfg = kinds.EvaluateSlice(study=STUDY, model="base", corpora=size.names, tokens=size.tokens)
    files = {"model": inputs.model("base", size), "tokens": _streams(size, "validation")}
    return _words("evaluate", cfg, **files, output=at(paths.EVALUATE, model="base"))


def activations(size: Size) -> list[str]:
    """A shard of all tokens."""
    cfg = kinds.ActivationsSlice(
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
    return _words("activations", cfg, **files, output=at(paths.ACTIVATIONS, **_first_shard()))


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
    cfg = kinds.SaeSlice(
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
    return _words("sae", cfg, **files, output=at(paths.SAE, model="base", sae="main").parent)


def metrics(size: Size) -> list[str]:
    """How good an SAE is, on every corpus."""
    cfg = kinds.MetricsSlice(
        study=STUDY,
        model="base",
        sae="main",
        hook=HOOK,
        corpora=size.names,
        windows=size.windows,
        tokens=size.rows,
    )
    output = at(paths.SAE_METRICS, model="base", sae="main")
    return _words("metrics", cfg, **_model_and_sae(size), output=output)


def features(size: Size) -> list[str]:
    """Dumps of a dictionary on every corpus."""
    cfg = kinds.FeaturesSlice(
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
    return _words("features", cfg, **_model_and_sae(size), output=outputs, summary=summary)


def correlation(size: Size) -> list[str]:
    """Two dictionaries; with two corpora or more each side is judged on other rows."""
    names = size.names
    cfg = kinds.CorrelationSlice(
        study=STUDY,
        a="base.main",
        b="child.main",
        corpora=names,
        scope_a=names[:-1] or names,
        scope_b=names[1:] or names,
        partners=10,
        decoders=True,
    )
    a, b = (inputs.dictionary(m, "main", size, i) for i, m in enumerate(("base", "child")))
    of = {"a": cfg.a, "b": cfg.b}
    return _words(
        "correlation",
        cfg,
        a=a,
        b=b,
        sae_a=at(paths.SAE, model="base", sae="main").parent,
        sae_b=at(paths.SAE, model="child", sae="main").parent,
        tokens=_probe(size),
        matrix=at(paths.MATRIX, **of),
        matches=at(paths.MATCHES, **of),
    )


def shares(size: Size, bootstrap: int = 0) -> list[str]:
    """`models` SAEs of the child compared with one of the parent, on every corpus and on all."""
    names = size.names
    b = [f"seed{i}" for i in range(size.models - 1)]
    domains = {c: kinds.Domain(a=[c], b=[c]) for c in names}
    domains["union"] = kinds.Domain(a=names, b=names)
    cfg = kinds.SharesSlice(
        study=STUDY,
        sae="main",
        parent="base",
        child="child",
        a=["main"],
        b=["main", *b],
        pairs=[("main", s) for s in ("main", *b)],
        everywhere=[("main", "main")],
        corpora=names,
        domains=domains,
        domain="union",
        min_firings=20,
        min_documents=5,
        seed=0,
        shift=True,
        bootstrap=bootstrap,
        thresholds=[0.8] if bootstrap else [],
        partners=10,
    )
    own = inputs.dictionary("base", "main", size, 0)
    theirs = [inputs.dictionary("child", s, size, i) for i, s in enumerate(cfg.b, 1)]
    of = {"sae": "main", "parent": "base", "child": "child"}
    return _words(
        "shares",
        cfg,
        a=own,
        b=[path for paths in theirs for path in paths],
        saes_a=[at(paths.SAE, model="base", sae="main").parent],
        saes_b=[at(paths.SAE, model="child", sae=s).parent for s in cfg.b],
        tokens=_probe(size),
        best=at(paths.SHARES, **of),
        bootstrap=at(paths.BOOTSTRAP, **of),
    )


def transfer(size: Size) -> list[str]:
    """A parent's SAE on its child."""
    cfg = kinds.TransferSlice(
        study=STUDY,
        sae="main",
        parent="base",
        child="child",
        hook=HOOK,
        corpora=size.names,
        windows=size.windows,
        tokens_per_corpus=size.rows,
        scope_a=size.names,
        scope_b=size.names,
        scaling=True,
    )
    parent, child = (inputs.model(name, size, i) for i, name in enumerate(("base", "child")))
    of = {"sae": "main", "parent": "base", "child": "child"}
    return _words(
        "transfer",
        cfg,
        parent=parent,
        child=child,
        parent_sae=inputs.sae(parent, "main", size, 0),
        child_sae=inputs.sae(child, "main", size, 1),
        tokens=_probe(size),
        frozen=at(paths.FROZEN, **of),
        scaling=at(paths.SCALING, **of),
    )


def flow(size: Size) -> list[str]:
    """The flow along `models` edges; the stage correlation makes one pair's files, all share it."""
    from featflow.cli import main

    main(correlation(size))
    children = [f"child{i}" for i in range(size.models)]
    cfg = kinds.FlowSlice(
        study=STUDY,
        sae="main",
        flow=Flow(min_firings=1, min_documents=1),
        pairs=[kinds.FlowPair(role="edge", a="base.main", b=f"{c}.main") for c in children],
    )
    of = {"a": "base.main", "b": "child.main"}
    others = [{"a": "base.main", "b": f"{c}.main"} for c in children]
    outputs = {
        **{"features": at(paths.FLOW_FEATURES, sae="main")},
        **{"counts": at(paths.FLOW_COUNTS, sae="main")},
        **{"chains": at(paths.FLOW_CHAINS, sae="main")},
    }
    matches = _copies(at(paths.MATCHES, **of), [at(paths.MATCHES, **o) for o in others])
    matrices = _copies(at(paths.MATRIX, **of), [at(paths.MATRIX, **o) for o in others])
    return _words("flow", cfg, matches=matches, matrices=matrices, **outputs)


def controls(size: Size) -> list[str]:
    """The controls of `models` edges, each with one SAE a side; stage shares makes one's files."""
    from featflow.cli import main

    main(shares(replace(size, models=1)))
    of = {"sae": "main", "parent": "base", "child": "child"}
    children = [f"child{i}" for i in range(size.models)]
    cfg = kinds.ControlsSlice(
        study=STUDY,
        sae="main",
        flow=Flow(min_firings=1, min_documents=1, scope="union"),
        controls=Controls(),
        edges=[("base", child) for child in children],
        seeds={model: ["main"] for model in ("base", *children)},
        arms=[],
        shares=[kinds.Compared(parent="base", child=child) for child in children],
        transfers=[],
    )
    others = [{**of, "child": child} for child in children]
    return _words(
        "controls",
        cfg,
        shares=_copies(at(paths.SHARES, **of), [at(paths.SHARES, **o) for o in others]),
        bootstraps=_copies(at(paths.BOOTSTRAP, **of), [at(paths.BOOTSTRAP, **o) for o in others]),
        output=at(paths.FLOW_CONTROLS, sae="main"),
    )


def case(size: Size) -> list[str]:
    """A feature followed through `models` models, none of which is another's child."""
    cfg = kinds.CaseSlice(
        study=STUDY,
        case="letter",
        settings=Case(feature="model0/3"),
        sae="main",
        model="model0",
        models=_nodes(size),
        corpora=size.names,
        flow=Flow(min_firings=1, min_documents=1),
        windows=size.windows,
        reseeds=[],
    )
    return _words(
        "case",
        cfg,
        dumps=_dumps_of_models(size),
        tokens=_probe(size),
        tokenizer=inputs.tokenizer(size.vocabulary),
        output=at(paths.CASE, case="letter"),
    )


def interpret(size: Size, explained: int = 50) -> list[str]:
    """Features explained by the look-up, which needs no endpoint."""
    cfg = kinds.InterpretSlice(
        study=STUDY,
        model="model0",
        sae="main",
        settings=Interpret(select={"random": explained}),
        features=[],
        edges=[],
        corpora=size.names,
        seed=0,
    )
    return _words(
        "interpret",
        cfg,
        dumps=_dumps_of_models(replace(size, models=1)),
        tokens=_probe(size),
        tokenizer=inputs.tokenizer(size.vocabulary),
        output=at(paths.INTERPRET, model="model0", sae="main"),
    )


def dashboards(size: Size) -> list[str]:
    """The pages of a dictionary's features, with partners in the other models."""
    dumps = _dumps_of_models(size)
    summary = at(paths.SUMMARY, model="model0", sae="main")
    count = np.arange(size.features)
    facts = {"density": 0.01, "max": 1.0, "mean": 0.5, "documents": 20}
    pd.DataFrame({"feature": count, **facts}).to_parquet(summary)
    nodes = _nodes(size)
    cfg = kinds.DashboardsSlice(
        study=STUDY,
        model="model0",
        sae="main",
        settings=Explorer(),
        models=nodes,
        scopes={name: size.names for name in list(nodes)[1:]},
        corpora=size.names,
        flow=Flow(),
        hook=HOOK,
        interpreted=False,
    )
    return _words(
        "dashboards",
        cfg,
        model=inputs.model("model0", size),
        sae=at(paths.SAE, model="model0", sae="main").parent,
        dumps=dumps,
        tokens=_probe(size),
        tokenizer=at(paths.TOKENIZER),
        summary=summary,
        output=at(paths.DASHBOARDS, model="model0", sae="main").parent,
    )


STAGES: dict[str, Callable[..., list[str]]] = {
    function.__name__: function
    for function in (
        *(corpus, tokenizer, tokens, train, finetune, sweep, merge, evaluate, activations, sae),
        *(metrics, features, correlation, shares, transfer, flow, controls, case, interpret),
        dashboards,
    )
}


def _words(verb: str, cfg: kinds.Slice, **files: Path | list[Path]) -> list[str]:
    """The command: the slice, then a flag a file."""
    words = [verb, "--cfg", cfg.dumps()]
    for name, given in files.items():
        listed = given if isinstance(given, list) else [given]
        words += [f"--{name.replace('_', '-')}", *map(str, listed)]
    return words


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


def _probe(size: Size) -> list[Path]:
    """Validation tokens that give the dumps' rows."""
    count = size.blocks * size.context + size.spare
    return [inputs.tokens(c, "validation", count, size) for c in size.names]


def _model_and_sae(size: Size) -> dict:
    folder = inputs.model("base", size)
    return {"model": folder, "sae": inputs.sae(folder, "main", size), "tokens": _probe(size)}


def _nodes(size: Size) -> dict[str, kinds.Node]:
    return {f"model{i}": kinds.Node(kind="base", corpora=size.names) for i in range(size.models)}


def _dumps_of_models(size: Size) -> list[Path]:
    found = [inputs.dictionary(name, "main", size, i) for i, name in enumerate(_nodes(size))]
    return [path for own in found for path in own]


def _first_shard() -> dict[str, object]:
    return {"model": "base", "hook": HOOK, "shard": 0}


def _copies(path: Path, others: list[Path]) -> list[Path]:
    """A file under other names, without its provenance, which would contradict them."""
    from safetensors.numpy import load_file, save_file

    first = others[0]
    if path.suffix == ".parquet":
        pd.read_parquet(path).to_parquet(first)
    else:
        save_file(load_file(path), first)
    for other in others[1:]:
        other.hardlink_to(first)
    return others
