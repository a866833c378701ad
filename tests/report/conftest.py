"""A planted study with every file that the report reads, and a reader of its page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from featflow.artifacts.io import save_json, save_table, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from featflow.plan.stages.report import ReportSlice, shown

from ..analysis.conftest import Known, write_tables

NAME = "planted"
EVIL = "</script><img src=x onerror=alert(1)>"

SETTINGS = {
    "corpora": {
        "prose": {"kind": "files", "paths": [EVIL]},
        "code": {"kind": "generated", "language": "lua", "documents": 10},
    },
    "tokenizer": {"kind": "bpe", "corpora": ["prose", "code"]},
    "models": {
        "base": {"kind": "base", "corpora": ["prose"]},
        "tuned": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "again": {"kind": "finetune", "parent": "base", "corpora": ["prose"]},
        "both": {"kind": "merge", "parents": ["tuned", "again"], "method": {"kind": "slerp"}},
    },
    "saes": {
        "main": {"kind": "relu"},
        "reseed": {"kind": "relu", "seed": 1, "control_of": "main", "models": ["base"]},
    },
    "figures": {"draw": {"lineage": {"kind": "lineage"}, "where": {"kind": "flow"}}},
}

DOCUMENTS = {"train": 7, "validation": 3, "selection": 2}
IDS = {"train": 1234, "validation": 567}
FEATURES = 100
FRAGILE = 6
"""Of the 60 that base and again share: those that hang on a handful of rows."""

FOUND = {"base-tuned": 30, "base-again": 60, "tuned-both": 50, "again-both": 40, "reseed": 80}
"""How many of the 100 features match, by edge; feature i matches feature i."""


class Planted(NamedTuple):
    """The study in a folder of its own."""

    root: Path
    slices: Slices

    @property
    def cfg(self) -> ReportSlice:
        return ReportSlice.model_validate_json(STAGES["report"].slice(self.slices).dumps())

    @property
    def files(self) -> list[Path]:
        return [self.root / file for file in shown(self.slices, {})]

    def path(self, template: paths.Template, **names: str) -> Path:
        file = self.root / template.at(study=NAME, **names)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


OTHER = Study.model_validate(
    {**SETTINGS, "seed": 7, "tokenizer": {"kind": "pretrained", "name": EVIL}}
)


def _write_data(it: Planted) -> None:
    for corpus in it.slices.study.corpora:
        made = Provenance("corpus", STAGES["corpus"].slice(it.slices, corpus))
        for split, count in DOCUMENTS.items():
            table = pd.DataFrame({"text": [f"{corpus} {i}" for i in range(count)]})
            table["source"] = [EVIL, *["rest"] * (count - 1)]
            table["hash"] = np.arange(count, dtype=np.uint64) + len(split) * 1000
            save_table(it.path(paths.CORPUS, corpus=corpus, split=split), table, made)
        for split, count in IDS.items():
            source = it.path(paths.CORPUS, corpus=corpus, split=split)
            cfg = STAGES["tokens"].slice(it.slices, corpus, split)
            starts = np.arange(DOCUMENTS[split])
            ids = {"input_ids": np.zeros(count, np.int32), "document_starts": starts}
            file = it.path(paths.TOKENS, corpus=corpus, split=split)
            save_tensors(file, ids, Provenance("tokens", cfg, [source]))
    it.path(paths.TOKENIZER).write_text("{}")
    beside = it.path(paths.TOKENIZER).with_name("provenance.json")
    save_json(beside, {}, Provenance("tokenizer", STAGES["tokenizer"].slice(it.slices)))


def _write_models(it: Planted) -> None:
    for model, settings in it.slices.study.models.items():
        stage = {"base": "train"}.get(settings.kind, settings.kind)
        made = Provenance(stage, STAGES[stage].slice(it.slices, model))
        weights = {"a": np.zeros((3, 5), np.float32), "b": np.zeros(7, np.float32)}
        save_file(weights, it.path(paths.WEIGHTS, model=model))
        save_json(it.path(paths.MODEL, model=model), {"vocab_size": 300}, made)
        if settings.kind == "merge":
            report = {"method": "slerp", "parents": ["tuned", "again"], "t": 0.4}
            report["t_from"] = "equilibrium"
            save_json(it.path(paths.MERGE, model=model), report, made)
            rows = pd.DataFrame({"t": [0.0, 1.0], "corpus": "code", "loss": 3.0, "accuracy": 0.2})
            sweep = Provenance("sweep", STAGES["sweep"].slice(it.slices, model))
            save_table(it.path(paths.SWEEP, model=model), rows, sweep)
        else:
            loss = np.r_[np.full(95, 9.0), np.full(5, 2.5)]
            table = pd.DataFrame(
                {"step": np.arange(100), "tokens": np.arange(100) * 8, "loss": loss}
            )
            save_table(it.path(paths.TRAINING, model=model), table, made)
        scores = {
            "prose": {"loss": 3.0, "accuracy": 0.25, "perplexity": 20.1, "tokens": 9},
            "code": {"loss": 4.0, "accuracy": 0.125, "perplexity": 54.6, "tokens": 9},
        }
        evaluated = Provenance("evaluate", STAGES["evaluate"].slice(it.slices, model))
        save_json(it.path(paths.EVALUATE, model=model), scores, evaluated)


def _part(l0: float, clean: float, sae: float, zero: float) -> dict[str, float]:
    losses = {"loss_clean": clean, "loss_sae": sae, "loss_zero": zero, "explained_loss": 99.0}
    explained = {"fve": 0.75, "fve_without_outliers": 0.5, "fve_by_dimension_without_outliers": 0.4}
    return {"l0": l0, "mse": 0.001, "dead_fraction": 0.01, "tokens": 50, **explained, **losses}


def _write_saes(it: Planted) -> None:
    for model, sae in it.slices.lineage.dictionaries():
        shard = it.path(paths.ACTIVATIONS, model=model, hook="h", shard="0")
        shard.write_bytes(b"activations")
        made = Provenance("sae", STAGES["sae"].slice(it.slices, model, sae), [shard])
        at = {"model": model, "sae": sae}
        handle = {"d_sae": FEATURES, "metadata": {"featflow": made.fields, "scale": 1.0}}
        it.path(paths.SAE, **at).write_text(json.dumps(handle))
        save_tensors(
            it.path(paths.SAE_WEIGHTS, **at), {"W_dec": np.zeros((2, 2), np.float32)}, made
        )
        parts = {"prose": _part(20, 3.0, 3.2, 4.0), "code": _part(30, 8.0, 7.5, 8.01)}
        outlier = {"corpus": "code", "id": 0, "rows": 3, "text": "<s>"}
        outliers = {"longest": 9.0, "rows": 3, "corpora": {"code": 3}, "tokens": [outlier]}
        whole = {**_part(25, 5.5, 5.6, 6.0), "corpora": parts, "outliers": outliers}
        save_json(it.path(paths.SAE_METRICS, **at), whole, made)
        steps = pd.DataFrame({"step": [1, 2], "tokens": [4000, 8000], "l0": 20.0})
        save_table(it.path(paths.SAE_TRAINING, **at), steps, made)
        summary = pd.DataFrame({"feature": [0, 1], "density": [0.1, 0.2]})
        features = Provenance("features", STAGES["features"].slice(it.slices, model, sae))
        save_table(it.path(paths.SUMMARY, **at), summary, features)


def _write_flow(it: Planted) -> None:
    def known(a: str, b: str, _: str) -> Known:
        models = [name.split(".")[0] for name in (a, b)]
        count = FOUND["reseed"] if models[0] == models[1] else FOUND.get("-".join(models), 10)
        r = np.diag(np.where(np.arange(FEATURES) < count, 0.9, 0.1)).astype(np.float32)
        lookup = np.where(np.arange(FEATURES) < 20, 0.9, 0.3)
        trimmed = r.copy()
        if models == ["base", "again"]:
            trimmed[:FRAGILE] *= 0.5
        return Known(r, lookup_a=lookup, lookup_b=lookup, trimmed=trimmed)

    write_tables(it.slices, "main", it.root, known)


def _write_figures(it: Planted) -> None:
    from plotly import graph_objects as go

    from featflow.figures.figure import as_json

    for name in it.slices.study.drawn:
        figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
        figure.update_layout(title={"text": f"Title of {name}", "subtitle": {"text": EVIL}})
        figure.update_layout(height=300, meta={"notes": [EVIL], "legend": [["#ffffff", EVIL]]})
        made = Provenance("figure", STAGES["figure"].slice(it.slices, name))
        it.path(paths.FIGURE, figure=name, format="json").write_text(as_json(figure, name, made))


def plant(root: Path, settings: dict) -> Planted:
    """Write every file of a study that the report reads."""
    made = Planted(root, Slices(NAME, Study.model_validate(settings), OTHER))
    for write in (_write_data, _write_models, _write_saes, _write_figures):
        write(made)
    if made.slices.study.saes:
        _write_flow(made)
    return made


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("report"), SETTINGS)


@pytest.fixture(scope="session")
def report(planted) -> Path:
    from featflow.report import report

    output = planted.root / "results" / NAME / "report" / "index.html"
    report.run(planted.cfg, inputs=planted.files, output=output)
    return output


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, its tables, its text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.scripts: dict[str, str] = {}
        self._table: list[list[str]] | None = None
        self._in_cell, self._script, self._silent = False, "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attrs = dict(attributes)
        self.elements.append((tag, attrs))
        if tag == "table":
            self._table = self.tables[attrs["id"]] = []
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th"):
            self._in_cell = True
            self._table[-1].append("")
        self._silent = tag in ("script", "style")
        self._script = attrs.get("id", "") if tag == "script" else ""

    def handle_endtag(self, tag):
        self._in_cell &= tag not in ("td", "th")
        self._silent &= tag not in ("script", "style")

    def handle_data(self, data):
        if self._silent:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
            return
        self.text += data
        if self._in_cell:
            self._table[-1][-1] += data.strip()

    def row(self, table: str, *first: str) -> list[str]:
        """The row whose first cells are these."""
        (found,) = (r for r in self.tables[table] if r[: len(first)] == list(first))
        return found


@pytest.fixture(scope="session")
def page(report) -> Page:
    return Page(report.read_text(encoding="utf-8"))
