"""CONTRIBUTING.md, done to the letter: one thing more of each kind, in a copy of the checkout."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow import forked
from tests.workflow.conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow


def section(heading: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def applied(heading: str, folder: Path) -> list[str]:
    """Do what a section says in a checkout; the files that are new or changed."""
    text, touched = section(heading), []
    for name, content in re.findall(r"`([^`\s]+)`, new:\n\n```python\n(.*?)```", text, re.DOTALL):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
        touched.append(name)
    for name, diff in re.findall(r"```diff\n--- (\S+)\n(.*?)```", text, re.DOTALL):
        lines = diff.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if line[0] in " -")
        after = "".join(line[1:] or "\n" for line in lines if line[0] in " +")
        file = folder / name
        old = file.read_text(encoding="utf-8")
        if not before.strip():
            raise AssertionError(f"{name}: the diff has nothing to find its place by")
        assert old.count(before) == 1, f"{name}: {before}"
        file.write_text(old.replace(before, after), encoding="utf-8")
        touched.append(name)
    return touched


@pytest.fixture(scope="module")
def copy(built, tmp_path_factory):
    """A copy of the built study for this module, and the environment in which its jobs start."""
    folder = shutil.copytree(built, tmp_path_factory.mktemp("doors") / "copy", symlinks=True)
    return folder


def edited(folder: Path, **changes) -> None:
    """Set keys of the tiny study: `models.merged.method` is `models__merged__method`."""
    file = folder / "workflow_config.yaml"
    config = yaml.safe_load(file.read_text())
    for key, value in changes.items():
        *above, last = key.split("__")
        at = config["studies"]["tiny"]
        for name in above:
            at = at[name]
        at[last] = value
    file.write_text(yaml.safe_dump(config, sort_keys=False))


def made(folder: Path, target: str) -> Path:
    with forked.server(folder / "forked") as environment:
        result = snakemake(folder, "--profile", "local", target, **environment)
    shutil.rmtree(folder / "forked")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / target


def test_a_corpus_kind(copy):
    assert len(applied("A corpus kind", copy)) == 2
    edited(copy, corpora__numbers={"kind": "counting", "documents": 60, "validation": 0.2})
    import pandas as pd

    file = made(copy, "results/tiny/corpus/numbers/train.parquet")
    assert all(text.startswith("0 1 2 3") for text in pd.read_parquet(file)["text"])


def test_a_merge_method(copy):
    assert len(applied("A merge method", copy)) == 2
    edited(copy, models__merged__method={"kind": "largest"}, figures={"draw": {}})
    from safetensors.numpy import load_file

    made(copy, "results/tiny/models/merged/config.json")
    weights = {
        name: load_file(copy / f"results/tiny/models/{name}/model.safetensors")["lm_head.weight"]
        for name in ("merged", "lua", "more")
    }
    assert (abs(weights["merged"]) == abs(weights["lua"]).clip(abs(weights["more"]))).all()


def test_an_architecture(copy):
    assert len(applied("An SAE architecture", copy)) == 2
    edited(
        copy,
        saes__plain={
            "kind": "plain",
            "expansion": 4,
            "tokens": 50_000,
            "batch": 32,
            "learning_rate": 3e-3,
            "models": ["base"],
        },
    )
    metrics = json.loads(made(copy, "results/tiny/sae/base/plain/metrics.json").read_text())
    assert metrics["fve"] > 0.5  # without a penalty it reconstructs


def test_a_figure(copy):
    assert len(applied("A figure", copy)) == 2
    edited(copy, figures={"draw": None})
    figure = json.loads(made(copy, "results/tiny/figures/counts.json").read_text())
    assert "base/main" in figure["data"][0]["x"]


def test_a_stage(copy):
    touched = applied("A stage", copy)
    assert touched == [
        "featflow/saes/norms.py",
        "tests/saes/test_norms.py",
        "featflow/plan/paths.py",
        "featflow/plan/stages/saes.py",
        "rules/saes.smk",
        "profiles/slurm/config.yaml",
    ]
    assert json.loads(made(copy, "results/tiny/sae/base/main/norms.json").read_text())["mean"] > 0
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", touched[1]]
    result = subprocess.run(asked, cwd=copy, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
