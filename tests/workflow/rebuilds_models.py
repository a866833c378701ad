"""What reruns when models and SAEs are edited: two parts of the table in rebuilds.py."""

from typing import Any

from tests.workflow.edits import backwards, change, gone, keys

TRAINING: dict[str, Any] = {
    "epochs": 2,
    "batch": 32,
    "learning_rate": 1e-3,
    "warmup_steps": 5,
    "weight_decay": 0.2,
    "betas": [0.9, 0.95],
    "gradient_clip": None,
    "precision": "float32",
}
EVERY_SAE = "activations *, sae * main, sae base reseed, sae * wide, features *"
WINDOWED = f"{EVERY_SAE}, transfer *, case *"
WINDOWS = "`activations`, `sae`, `metrics`, `features` of every model"
OF_MAIN = "sae * main, sae base reseed"
OF_MERGE = "its `merge`; its `sweep`, if it has a t"
ITS_SAE = "`sae` on every model that has it"

MODELS = [
    *keys("models.base", "train base", "its `train`", seed=1, corpora=["english"]),
    *keys(
        "models.base.architecture",
        "train base, random noise",
        "its `train`, `random`s like it",
        **{
            "hidden": 256,
            "intermediate": 512,
            "layers": 2,
            "heads": 8,
            "kv_heads": 4,
            "tied": True,
        },
    ),
    *keys(
        "models.base.architecture",
        "train base, random noise",
        "its `train`, `random`s like it",
        context=512,
    ),
    *change(
        "the shortest `context` of all models",
        {"models.base.architecture.context": 128},
        f"train base, random noise, {WINDOWED}",
        f"its `train`, or `pretrained`; {WINDOWS}",
    ),
    *change(
        "the shortest `context`, with `context: truncated`",
        {"models.one.architecture.context": 128},
        "train one",
        "its `train`, or `pretrained`",
        "small",
    ),
    *keys("models.base.training", "train base", "its `train`", **TRAINING),
    *keys(
        "models.tuned",
        "finetune tuned, tokens notes selection",
        "its `finetune`",
        corpora=["notes"],  # the selection split is made for the first time
    ),
    *keys("models.tuned", "finetune tuned", "its `finetune`", seed=1),
    *keys(
        "models.tuned",
        "finetune tuned, shares main other aparttuned, transfer main other aparttuned",
        "its `finetune`; what compares the edge",
        parent="other",
    ),
    *keys("models.tuned.training", "finetune tuned", "its `finetune`", **TRAINING),
    *keys("models.found", "pretrained found", "its `pretrained`", name="some/model", revision="v1"),
    *keys("models.found", "pretrained found", "its `pretrained`", context=512),
    *change(
        "the shortest `context` of all models",
        {"models.found.context": 128},
        f"pretrained found, {WINDOWED}",
        f"its `train`, or `pretrained`; {WINDOWS}",
    ),
    *keys(
        "models.found",
        "correlation found.wide more.wide, shares wide found more, figure lineage *,"
        " transfer wide found more, dashboards * wide, explorer",
        "`correlation`, `shares`, `transfer` where the scope is another, the `figure` of the"
        " lineage; `activations` and `sae` with `data: lineage`",
        corpora=["notes"],
    ),
    *keys("models.ball", "sweep ball, merge ball", OF_MERGE, parents=backwards),
    *keys("models.soup", "merge soup", OF_MERGE, parents=backwards),
    *keys("models.ball.method", "merge ball", "its `merge`", t=0.25),
    *change("`t: balanced`", {"models.ball.method.t": "balanced"}, "merge ball", "its `merge`"),
    *keys("models.soup.method", "merge soup", "its `merge`", weights=[1, 2], normalize=False),
    *[
        edit
        for name in ("task", "ties", "dare")
        for edit in keys(
            f"models.{name}.method",
            f"merge {name}",
            "its `merge`",
            **{"weights": [1, 2], "base": "base", "scale": 0.5, "normalize": name != "ties"},
        )
    ],
    *keys("models.ties.method", "merge ties", "its `merge`", density=0.3),
    *keys(
        "models.dare.method",
        "merge dare",
        "its `merge`",
        **{"density": 0.3, "rescale": "norm", "signs": True, "seed": 3},
    ),
    *change(
        "`base`, the ancestor that null means",
        {"models.task.method.base": "tuned"},
        "",
        "nothing",
    ),
    *change(
        "`method.kind` of a merge",
        {"models.soup.method": {"kind": "slerp", "t": 0.5}, "models.ties.method.kind": "task"},
        "merge soup, sweep soup, merge ties",
        OF_MERGE,
    ),
    *change(
        "`method.kind` of a merge",
        {"models.dare.method.kind": "ties"},
        "merge dare",
        OF_MERGE,
    ),
    *change(
        "`kind` of a model",
        {"models.base": {"kind": "pretrained", "name": "a/b", "corpora": ["web"]}},
        "pretrained base",
        "its `train`, `pretrained`, `finetune` or `merge`",
    ),
    *change(
        "`kind` of a model",
        {"models.more": {"kind": "base", "corpora": ["english"]}},
        "train more, dashboards found wide",
        "its `train`, `pretrained`, `finetune` or `merge`",
    ),
    *change(
        "`kind` of a model",
        {"models.soup": {"kind": "finetune", "parent": "base", "corpora": ["web"]}},
        "finetune soup",
        "its `train`, `pretrained`, `finetune` or `merge`",
    ),
    *change(
        "`kind` of a model",
        {"models.lone": {"kind": "random", "like": "base"}},
        "random lone",
        "its `train`, `pretrained`, `finetune` or `merge`",
    ),
    *change(
        "a new model",
        {"models.extra": {"kind": "finetune", "parent": "base", "corpora": ["web"]}},
        "finetune extra",
        "that model, its `evaluate`, the `figure` of the lineage, `report`",
    ),
    *change(
        "a new model, with an SAE",
        {
            "models.extra": {"kind": "finetune", "parent": "found", "corpora": ["web"]},
            "saes.wide.models": ["found", "more", "extra"],
        },
        "finetune extra",
        "the same; its `activations`, `sae`, `features`, `correlation`; `flow`",
    ),
    *change(
        "a model less",
        {"models.soup": gone},
        "figure lineage *, report",
        "the `figure` of the lineage, `report`",
    ),
    *change(
        "another name for a model",
        {
            "models.more": gone,
            "saes.wide.models": ["found", "again"],
            "models.again": {"kind": "finetune", "parent": "found", "corpora": ["english"]},
        },
        "finetune again",
        "the model: it is a new one",
    ),
    *change("the order of `models`", {"models": backwards}, "", "nothing"),
    *change("the order of an entry's keys", {"models.base": backwards}, "", "nothing"),
]

EDGES_OF_BASE = "shares main base other, shares main base tuned"

SAES = [
    *keys("activations", WINDOWED, WINDOWS, window=12, context="truncated"),
    *keys(
        "activations",
        "activations base *, activations other *, activations found *, activations more *",
        "`activations` and `sae` of the models for which the corpora are others",
        data="lineage",
    ),
    *keys("activations", WINDOWED, WINDOWS, special="keep"),
    *keys("activations", "sae *", "`sae` of every model", scale="none", outliers=5),
    *keys(
        "activations",
        "sae * main, sae base reseed, sae * wide",
        "`sae` of every model",
        keep=False,
    ),
    *keys(
        "activations",
        f"activations * 1, {OF_MAIN}",
        "`activations` of the last and of new shards, the `sae` that see them",
        tokens=45_000,
    ),
    *keys(
        "activations",
        EVERY_SAE,
        "`activations`, `sae` of every model",
        shard_tokens=20_000,
    ),
    *keys(
        "saes.main",
        OF_MAIN,
        ITS_SAE,
        **{"expansion": 8, "sparsity": {"l0": 20}, "tokens": 70_000, "batch": 64, "warmup": 0.1},
        **{"learning_rate": 1e-3, "decay": 0.1, "betas": [0.9, 0.99], "centering": "none"},
        **{"init": "shared", "resampling": None, "precision": "float32"},
    ),
    *keys("saes.main.sparsity", OF_MAIN, ITS_SAE, l1=1e-3),
    *keys("saes.main.resampling", OF_MAIN, ITS_SAE, every=0.25, silent=0.1, until=0.6),
    *keys("saes.main", "sae * main", ITS_SAE, seed=5),
    *keys(
        "saes.main",
        f"activations * blocks.0.hook_mlp_out *, {OF_MAIN}",
        "`activations` of that hook, if they are new; `sae`, `features` on every model",
        hook="blocks.0.hook_mlp_out",
    ),
    *keys(
        "saes.reseed",
        "sae other reseed",
        "what is new: `activations`, `sae`, `features`, `correlation`; the `flow`s and figures that"
        " have one more or one less",
        models=["base", "other"],
    ),
    *keys(
        "saes.reseed",
        f"{EDGES_OF_BASE}, controls main, edges main, case sign, case words,"
        " explorer, report, dashboards base reseed",
        "`controls` of the one SAE, the `flow` of the other",
        control_of=gone,
    ),
    *keys(
        "saes.largest",
        "sae * largest, sae one again",
        ITS_SAE,
        study="small",
        k=8,
        auxiliary=None,
        expansion=8,
        tokens=30_000,
        batch=64,
        learning_rate=1e-3,
        warmup=0.1,
        decay=0.1,
        betas=[0.9, 0.99],
        init="shared",
        precision="float32",
        corpora=["spare"],
        hook="blocks.0.hook_mlp_out",
    ),
    *keys(
        "saes.largest.auxiliary",
        "sae * largest, sae one again",
        ITS_SAE,
        study="small",
        k=4,
        weight=0.1,
        silent=0.1,
    ),
    *keys("saes.again", "sae one again", ITS_SAE, study="small", seed=5),
    *keys(
        "saes.largest",
        "sae * largest, sae one again, features * largest, features one again, transfer largest *",
        "`sae`, `features` and `transfer` of every model that has it",
        study="small",
        context="full",
    ),
    *keys(
        "saes.again",
        "sae two again",
        "what is new: `sae`, `features`, `correlation`; the `flow`s and figures that"
        " have one more or one less",
        study="small",
        models=["one", "two"],
    ),
    *keys(
        "saes.again",
        "shares largest one two, controls largest, edges largest, report, "
        "explorer, dashboards one again",
        "`controls` of the one SAE, the `flow` of the other",
        study="small",
        control_of=gone,
    ),
    *change(
        "`kind` of an SAE",
        {"saes.wide": {"kind": "topk", "tokens": 20_000, "models": ["found", "more"]}},
        "sae * wide",
        ITS_SAE,
    ),
    *change(
        "a new SAE",
        {"saes.extra": {"kind": "relu", "tokens": 20_000, "models": ["base", "tuned"]}},
        "sae * extra",
        "that `sae` with its `features`, `correlation`, `flow`; `report`",
    ),
    *change(
        "a new seed (`control_of`)",
        {"saes.extra": {"extends": "main", "seed": 2, "control_of": "main", "models": ["base"]}},
        "sae base extra",
        "that `sae` with its `features`; the `shares` and `controls` that it is in",
    ),
    *change("an SAE less", {"saes.wide": gone}, "report, explorer", "`report`, `explorer`"),
    *change(
        "another name for an SAE",
        {
            "saes.wide": gone,
            "saes.broad": {"kind": "relu", "tokens": 20_000, "models": ["found", "more"]},
        },
        "sae * broad",
        "that SAE: it is a new one",
    ),
    *change(
        "the order of `saes`",
        {"saes": lambda old: {n: old[n] for n in ("reseed", "main", "wide")}},
        "",
        "nothing, unless another is the first that is no control",
    ),
    *change(
        "another first of `saes`",
        {"saes": backwards},
        "figure flow *, figure training *, figure density *, figure controls *, case sign,"
        " explorer",
        "each `figure` and `case` that names no SAE, `explorer`",
    ),
]
