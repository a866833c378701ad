"""Commands of the stages that compare dictionaries and show their features.

As in benchmarks/making.py: a function writes the inputs and gives the words behind `featflow`.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import inputs
from benchmarks.commands import command, probe
from benchmarks.inputs import HOOK, STUDY, Size, at
from featflow.config.cases import Case
from featflow.config.controls import Controls
from featflow.config.exploring import Explorer
from featflow.config.interpreting import Interpret
from featflow.config.study import Flow
from featflow.plan import paths
from featflow.plan.slices import Compared, Node
from featflow.plan.stages.analysis import (
    CaseSlice,
    ControlsSlice,
    Domain,
    FlowPair,
    FlowSlice,
    SharesSlice,
    TransferSlice,
)
from featflow.plan.stages.features import CorrelationSlice
from featflow.plan.stages.interpret import InterpretSlice
from featflow.plan.stages.report import DashboardsSlice


def correlation(size: Size) -> list[str]:
    """Two dictionaries; with two corpora or more each side is judged on other rows."""
    names = size.names
    cfg = CorrelationSlice(
        study=STUDY,
        a="base.main",
        b="child.main",
        corpora=names,
        scope_a=names[:-1] or names,
        scope_b=names[1:] or names,
        partners=10,
        decoders=True,
        min_firings=20,
        min_documents=5,
    )
    a, b = (inputs.dictionary(m, "main", size, i) for i, m in enumerate(("base", "child")))
    of = {"a": cfg.a, "b": cfg.b}
    return command(
        "correlation",
        cfg,
        a=a,
        b=b,
        sae_a=at(paths.SAE, model="base", sae="main").parent,
        sae_b=at(paths.SAE, model="child", sae="main").parent,
        tokens=probe(size),
        matrix=at(paths.MATRIX, **of),
        matches=at(paths.MATCHES, **of),
    )


def shares(size: Size, bootstrap: int = 0) -> list[str]:
    """`models` SAEs of the child compared with one of the parent, on every corpus and on all."""
    names = size.names
    b = [f"seed{i}" for i in range(size.models - 1)]
    domains = {c: Domain(a=[c], b=[c]) for c in names}
    domains["union"] = Domain(a=names, b=names)
    cfg = SharesSlice(
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
    return command(
        "shares",
        cfg,
        a=own,
        b=[path for paths in theirs for path in paths],
        saes_a=[at(paths.SAE, model="base", sae="main").parent],
        saes_b=[at(paths.SAE, model="child", sae=s).parent for s in cfg.b],
        tokens=probe(size),
        best=at(paths.SHARES, **of),
        bootstrap=at(paths.BOOTSTRAP, **of),
    )


def transfer(size: Size) -> list[str]:
    """A parent's SAE on its child."""
    cfg = TransferSlice(
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
    return command(
        "transfer",
        cfg,
        parent=parent,
        child=child,
        parent_sae=inputs.sae(parent, "main", size, 0),
        child_sae=inputs.sae(child, "main", size, 1),
        tokens=probe(size),
        frozen=at(paths.FROZEN, **of),
        scaling=at(paths.SCALING, **of),
    )


def flow(size: Size) -> list[str]:
    """The flow along `models` edges; the stage correlation makes one pair's files, all share it."""
    from featflow.cli import main

    main(correlation(size))
    children = [f"child{i}" for i in range(size.models)]
    cfg = FlowSlice(
        study=STUDY,
        sae="main",
        flow=Flow(min_firings=1, min_documents=1),
        pairs=[FlowPair(role="edge", a="base.main", b=f"{c}.main") for c in children],
    )
    of = {"a": "base.main", "b": "child.main"}
    others = [{"a": "base.main", "b": f"{c}.main"} for c in children]
    outputs = {
        "features": at(paths.FLOW_FEATURES, sae="main"),
        "counts": at(paths.FLOW_COUNTS, sae="main"),
        "chains": at(paths.FLOW_CHAINS, sae="main"),
    }
    matches = _copies(at(paths.MATCHES, **of), [at(paths.MATCHES, **o) for o in others])
    matrices = _copies(at(paths.MATRIX, **of), [at(paths.MATRIX, **o) for o in others])
    return command("flow", cfg, matches=matches, matrices=matrices, **outputs)


def controls(size: Size) -> list[str]:
    """The controls of `models` edges, each with one SAE a side; stage shares makes one's files."""
    from featflow.cli import main

    main(shares(replace(size, models=1)))
    of = {"sae": "main", "parent": "base", "child": "child"}
    children = [f"child{i}" for i in range(size.models)]
    cfg = ControlsSlice(
        study=STUDY,
        sae="main",
        flow=Flow(min_firings=1, min_documents=1, scope="union"),
        controls=Controls(),
        edges=[("base", child) for child in children],
        seeds={model: ["main"] for model in ("base", *children)},
        arms=[],
        shares=[Compared(parent="base", child=child) for child in children],
        transfers=[],
    )
    others = [{**of, "child": child} for child in children]
    return command(
        "controls",
        cfg,
        shares=_copies(at(paths.SHARES, **of), [at(paths.SHARES, **o) for o in others]),
        bootstraps=_copies(at(paths.BOOTSTRAP, **of), [at(paths.BOOTSTRAP, **o) for o in others]),
        output=at(paths.FLOW_CONTROLS, sae="main"),
    )


def case(size: Size) -> list[str]:
    """A feature followed through `models` models, none of which is another's child."""
    cfg = CaseSlice(
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
        neighbours=[],
        scope=size.names,
    )
    return command(
        "case",
        cfg,
        dumps=_dumps_of_models(size),
        tokens=probe(size),
        tokenizer=inputs.tokenizer(size.vocabulary),
        output=at(paths.CASE, case="letter"),
    )


def interpret(size: Size, explained: int = 50) -> list[str]:
    """Features explained by the look-up, which needs no endpoint."""
    cfg = InterpretSlice(
        study=STUDY,
        model="model0",
        sae="main",
        settings=Interpret(select={"random": explained}),
        features=[],
        edges=[],
        corpora=size.names,
        seed=0,
    )
    return command(
        "interpret",
        cfg,
        dumps=_dumps_of_models(replace(size, models=1)),
        tokens=probe(size),
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
    cfg = DashboardsSlice(
        study=STUDY,
        model="model0",
        sae="main",
        settings=Explorer(),
        models=nodes,
        scopes={name: size.names for name in list(nodes)[1:]},
        scope=size.names,
        corpora=size.names,
        flow=Flow(),
        hook=HOOK,
        interpreted=False,
    )
    return command(
        "dashboards",
        cfg,
        model=inputs.model("model0", size),
        sae=at(paths.SAE, model="model0", sae="main").parent,
        dumps=dumps,
        tokens=probe(size),
        tokenizer=at(paths.TOKENIZER),
        summary=summary,
        output=at(paths.DASHBOARDS, model="model0", sae="main").parent,
    )


def _nodes(size: Size) -> dict[str, Node]:
    return {f"model{i}": Node(kind="base", corpora=size.names) for i in range(size.models)}


def _dumps_of_models(size: Size) -> list[Path]:
    found = [inputs.dictionary(name, "main", size, i) for i, name in enumerate(_nodes(size))]
    return [path for own in found for path in own]


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
