"""A small study whose results are planted: four models, a sweep, a flow."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

from ..analysis.conftest import Counts, Known, write_tables

NAME = "planted"


KEPT = {("babypython", "both"): 0.1}
"""Of an edge 0.4 of the features are found, between seeds 0.6; of other pairs so many."""


def corpus(language: str) -> dict:
    return {"kind": "generated", "language": language, "documents": 10}


SPARSITY = {"l0": 20, "l1": None}

SETTINGS = {
    "corpora": {
        "babylm": corpus("english"),
        "python": corpus("python"),
        "lua": corpus("lua"),
        "tinystories": corpus("stories"),
    },
    "tokenizer": {"kind": "bpe", "corpora": ["babylm", "python"]},
    "models": {
        "babypython": {"kind": "base", "corpora": ["babylm", "python"]},
        "lua": {"kind": "finetune", "parent": "babypython", "corpora": ["lua"]},
        "stories": {"kind": "finetune", "parent": "babypython", "corpora": ["tinystories"]},
        "both": {"kind": "merge", "parents": ["lua", "stories"], "method": {"kind": "slerp"}},
    },
    "saes": {
        "main": {"kind": "relu", "sparsity": SPARSITY},
        "reseed": {
            "kind": "relu",
            "seed": 1,
            "sparsity": SPARSITY,
            "control_of": "main",
            "models": ["babypython"],
        },
    },
}

CROSSING = 0.4
"""The planted sweep: lua falls as 0.5 − 0.2 t, tinystories rises as 0.3 + 0.3 t."""


TOKENS = 1000
"""Tokens of the planted probe."""

DENSITIES = {"babypython": [0.0, 0.0, 0.001, 0.01, 0.01, 0.2], "lua": [0.004, 0.01, 0.02, 0.05]}
"""Of the planted features; `stories` and `both` have one silent and one living feature each."""

RUN = {"l0": [200.0, 100.0, 30.0, 20.0], "revived": [0, 0, 3, 0], "dead": [0.0, 0.1, 0.25, 0.05]}
"""The planted training of every SAE: lua's is revived too, the others' are not."""


class Planted(NamedTuple):
    """The study in a folder of its own."""

    root: Path
    study: Study
    slices: Slices

    def path(self, template: paths.Template, **names: str) -> Path:
        return self.root / template.at(study=NAME, **names)

    def inputs(self, figure: str) -> list[str]:
        import importlib

        settings = self.study.drawn[figure]
        module = importlib.import_module(f"featflow.figures.{settings.kind}")
        return [str(self.root / f) for f in module.inputs(self.slices, settings)]

    def draw(self, figure: str):
        import importlib

        cfg = STAGES["figure"].slice(self.slices, figure)
        module = importlib.import_module(f"featflow.figures.{cfg.settings.kind}")
        return module.draw(cfg, self.inputs(figure))


def accuracy(model: str, name: str) -> float:
    """What each model scores on each corpus: any number, the same each time."""
    return 0.1 + len(model) / 50 + len(name) / 100


def _write_models(planted: Planted) -> None:
    for model in planted.study.models:
        file = planted.path(paths.EVALUATE, model=model)
        file.parent.mkdir(parents=True, exist_ok=True)
        scores = {
            name: {"loss": 3.0, "accuracy": accuracy(model, name), "perplexity": 20.1, "tokens": 9}
            for name in planted.study.corpora
        }
        file.write_text(json.dumps(scores))
    merge = planted.path(paths.MERGE, model="both")
    merge.parent.mkdir(parents=True)
    report = {"method": "slerp", "parents": ["lua", "stories"], "t": CROSSING}
    merge.write_text(json.dumps({**report, "t_from": "equilibrium"}))
    t = np.linspace(0, 1, 11)
    lua = pd.DataFrame({"t": t, "corpus": "lua", "loss": 3.0, "accuracy": 0.5 - 0.2 * t})
    stories = pd.DataFrame(
        {"t": t, "corpus": "tinystories", "loss": 3.0, "accuracy": 0.3 + 0.3 * t}
    )
    sweep = planted.path(paths.SWEEP, model="both")
    sweep.parent.mkdir()
    pd.concat([lua, stories]).to_parquet(sweep)


def _write_saes(planted: Planted) -> None:
    for model in planted.study.models:
        cfg = STAGES["sae"].slice(planted.slices, model, "main")
        training = pd.DataFrame(
            {
                "step": [1, 2, 3, 4],
                "tokens": [100, 200, 300, 400],
                "loss": 1.0,
                "l1": 1.0,
                "mse": [0.4, 0.3, 0.2, 0.1],
                "lambda": [0.01, 0.02, 0.03, 0.04],
                **RUN,
                "learning_rate": 1e-3,
            }
        )
        if model != "lua":
            training["revived"] = 0
        file = planted.path(paths.SAE_TRAINING, model=model, sae="main")
        save_table(file, training, Provenance("sae", cfg))
        density = np.array(DENSITIES.get(model, [0.0, 0.1]))
        summary = pd.DataFrame({"density": density, "firings": np.round(density * TOKENS)})
        file = planted.path(paths.SUMMARY, model=model, sae="main")
        save_table(file, summary.astype({"firings": int}), Provenance("features", cfg))


def _write_flow(planted: Planted) -> None:
    rng = np.random.default_rng(0)
    size = 200
    firings = {
        m: rng.choice([0, 5, 100, 1000], size, p=[0.1, 0.1, 0.4, 0.4]) for m in SETTINGS["models"]
    }

    @cache  # every pair is drawn once
    def known(a: str, b: str, _: str) -> Known:
        ends = a.split(".")[0], b.split(".")[0]
        sides = [firings[model] for model in ends]
        r = np.zeros((size, size), np.float32)
        kept = rng.random(size) < (0.6 if ends[0] == ends[1] else KEPT.get(ends, 0.4))
        r[np.arange(size)[kept], rng.permutation(size)[kept]] = 0.9
        r[sides[0] == 0], r[:, sides[1] == 0] = np.nan, np.nan
        counts = [Counts(side, side, side) for side in sides]
        return Known(r, a=counts[0], b=counts[1])

    write_tables(planted.slices, "main", planted.root, known)


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Planted:
    study = Study.model_validate(SETTINGS)
    made = Planted(tmp_path_factory.mktemp("figures"), study, Slices(NAME, study))
    _write_models(made)
    _write_saes(made)
    _write_flow(made)
    return made
