"""The tiny study for real: what it makes, and what an edit makes again."""

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from featflow.commands import disk
from featflow.core import paths
from featflow.core.artifacts import load_json, load_table
from featflow.core.config import load
from featflow.core.slicer import Slices
from tests.workflow.conftest import ROOT, copy_checkout, counts, dry_run, snakemake

pytestmark = pytest.mark.workflow


@contextmanager
def edited(folder: Path, name: str, old: str, new: str):
    """A file of the checkout with one thing replaced, and put back afterwards."""
    path = folder / name
    text, stat = path.read_text(), path.stat()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(text)
        import os

        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_every_kind_of_artifact_is_there(tiny):
    at = {"study": "tiny", "model": "merged", "sae": "main"}
    for template in (paths.MODEL, paths.WEIGHTS, paths.MERGE, paths.SWEEP, paths.EVALUATE):
        assert (tiny / template.at(**at)).is_file(), template
    for template in (paths.SAE, paths.SAE_WEIGHTS, paths.SAE_TRAINING, paths.SAE_METRICS):
        assert (tiny / template.at(**at)).is_file(), template
    for template in (paths.FLOW_EDGES, paths.FLOW_FEATURES, paths.FLOW_STRATA, paths.FLOW_CHAINS):
        assert (tiny / template.at(**at)).is_file(), template
    for figure in ("flow", "sweep"):
        assert (tiny / paths.FIGURE.at(**at, figure=figure, format="html")).is_file()


def test_the_flow_adds_up(tiny):
    edges = load_table(tiny / paths.FLOW_EDGES.at(study="tiny", sae="main"))
    assert list(edges.edge) == ["base-lua", "base-more", "lua-merged", "more-merged"]
    size = 4 * 32
    for _, e in edges.iterrows():
        assert e.parent_features == e.persisting + e.disappearing
        assert e.child_features == e.traced + e.emerging
        assert e.parent_features + e.parent_silent + e.parent_rare == size
        assert e.child_features + e.child_silent + e.child_rare == size
    features = load_table(tiny / paths.FLOW_FEATURES.at(study="tiny", sae="main"))
    first = features[(features.edge == "base-lua") & (features.role == "parent")]
    fates = first.fate.value_counts()
    assert fates.get("persisting", 0) == edges.persisting[0] and len(first) == size


def test_the_merge_used_the_t_where_the_sweep_crosses(tiny):
    merge = load_json(tiny / paths.MERGE.at(study="tiny", model="merged"))
    sweep = load_table(tiny / paths.SWEEP.at(study="tiny", model="merged"))
    gap = sweep.pivot(index="t", columns="corpus", values="accuracy")
    sign = (gap.lua - gap.english).pipe(lambda x: x > 0)
    crossing = [
        (a, b) for a, b in zip(gap.index, gap.index[1:], strict=False) if sign[a] != sign[b]
    ]
    assert any(a <= merge["t"] <= b for a, b in crossing)


def test_models_load_unchanged(tiny):
    from transformers import AutoModelForCausalLM

    for model in ("base", "lua", "merged"):
        folder = (tiny / paths.MODEL.at(study="tiny", model=model)).parent
        loaded = AutoModelForCausalLM.from_pretrained(folder)
        assert type(loaded).__name__ == "MistralForCausalLM"


def test_logs_and_benchmarks_lie_where_the_docs_say(tiny):
    log = (tiny / "logs/tiny/sae/base/main.log").read_text()
    assert " sae base/main: " in log
    assert "max_rss" in pd.read_csv(tiny / "logs/tiny/sae/base/main.tsv", sep="\t").columns


def test_no_temporary_or_checkpoint_is_left(tiny):
    assert not [p for p in (tiny / "results").rglob("*") if p.name.endswith(".tmp")]
    assert not [p for p in (tiny / ".featflow").rglob("*.safetensors")]


def test_nothing_touched_nothing_reruns(tiny):
    assert dry_run(tiny, "--profile", "local") == set()


def test_a_changed_t_remakes_the_merge_and_what_follows(tiny):
    with edited(tiny, "workflow_config.yaml", "t: equilibrium", "t: 0.25"):
        jobs = dry_run(tiny, "--profile", "local")
    assert counts(jobs) == {
        **{"merge": 1, "evaluate": 1, "activations": 1, "sae": 1, "features": 1},
        **{"correlation": 3, "flow": 1, "figure": 2},
    }
    models = {job.wildcards for job in jobs if job.rule in ("merge", "evaluate", "activations")}
    assert all("model=merged" in wildcards for wildcards in models)


def test_a_finetunes_learning_rate_leaves_its_siblings(tiny):
    lua = "training: {epochs: 1, batch: 16, learning_rate: 3e-3, warmup_steps: 5}"
    more = "more: {extends: lua, corpora: [english]"
    old = f"{lua}\n      {more}}}"
    new = old.replace(lua, lua.replace("3e-3", "1e-3")).replace(
        more, f"{more}, training: {{learning_rate: 3e-3}}"
    )
    with edited(tiny, "workflow_config.yaml", old, new):
        jobs = dry_run(tiny, "--profile", "local")
    made = {job for job in jobs if job.rule in ("train", "finetune", "merge", "sae")}
    assert {(job.rule, job.wildcards) for job in made} == {
        ("finetune", "study=tiny, model=lua"),
        ("merge", "study=tiny, model=merged"),
        ("sae", "study=tiny, model=lua, sae=main"),
        ("sae", "study=tiny, model=merged, sae=main"),
    }


def test_the_flow_threshold_remakes_the_flow_and_after(tiny):
    with edited(tiny, "workflow_config.yaml", "threshold: 0.5", "threshold: 0.6"):
        jobs = dry_run(tiny, "--profile", "local")
    assert counts(jobs) == {"flow": 1, "figure": 1}
    assert "figure=flow" in next(job.wildcards for job in jobs if job.rule == "figure")


def test_another_sae_alone_is_trained(tiny):
    new = "      wide: {extends: main, expansion: 8}\n    probe:"
    with edited(tiny, "workflow_config.yaml", "    probe:", new):
        jobs = dry_run(tiny, "--profile", "local")
    assert counts(jobs) == {"sae": 4, "features": 4, "correlation": 5, "flow": 1}
    assert all("wide" in job.wildcards for job in jobs)


def test_another_corpus_of_the_probe_retrains_no_model(tiny):
    new = "      more: {kind: generated, language: lua, documents: 50}\n    tokenizer:"
    with edited(tiny, "workflow_config.yaml", "    tokenizer:", new):
        rules = counts(dry_run(tiny, "--profile", "local"))
    assert rules["corpus"] == 1 and not {"train", "finetune", "tokenizer"} & set(rules)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"""', '"""Other words. ', {}),
        ("\nORIGIN", "\n# a comment\nORIGIN", {}),
        ("\ndef draw(", "\nNEW = 1\n\n\ndef draw(", {"figure": 1}),
    ],
)
def test_a_figures_code_redraws_that_figure(tiny, old, new, expected):
    with edited(tiny, "featflow/figures/sweep.py", old, new):
        jobs = dry_run(tiny, "--profile", "local")
    assert counts(jobs) == expected
    assert all("figure=sweep" in job.wildcards for job in jobs)


def test_the_analysis_code_reruns_the_flow_but_trains_nothing(tiny):
    with edited(tiny, "featflow/analysis/flow.py", "\ndef run(", "\nNEW = 1\n\n\ndef run("):
        rules = counts(dry_run(tiny, "--profile", "local"))
    assert rules["flow"] == 1 and set(rules) <= {"flow", "figure"}


def test_a_touched_module_reruns_nothing(tiny):
    (tiny / "featflow/saes/sae.py").touch()
    (tiny / "featflow/figures/flow.py").touch()
    assert dry_run(tiny, "--profile", "local") == set()


def test_one_target_of_a_second_study_lies_beside(tiny):
    text = (tiny / "workflow_config.yaml").read_text()
    config = yaml.safe_load(text)
    config["studies"]["other"] = {"extends": "tiny", "seed": 1}
    with edited(tiny, "workflow_config.yaml", text, yaml.dump(config, sort_keys=False)):
        jobs = dry_run(tiny, paths.TOKENIZER.at(study="other"))
        assert counts(jobs) == {"corpus": 3, "tokenizer": 1}
        assert dry_run(tiny, "--profile", "local") == set()


def test_the_same_study_gives_the_same_bytes(tiny, tmp_path):
    again = copy_checkout(tmp_path, ROOT / "tests/workflow/tiny.yaml")
    targets = [
        paths.TOKENS.at(study="tiny", corpus="lua", split="train"),
        paths.WEIGHTS.at(study="tiny", model="base"),
        paths.TRAINING.at(study="tiny", model="base"),
        paths.SAE_WEIGHTS.at(study="tiny", model="base", sae="main"),
    ]
    result = snakemake(again, *targets, "--profile", "local")
    assert result.returncode == 0, result.stderr
    for target in targets:
        assert (again / target).read_bytes() == (tiny / target).read_bytes(), target
    shutil.rmtree(again)


def test_the_disk_estimate_fits_what_is_there(tiny):
    slices = Slices("tiny", load(tiny / "workflow_config.yaml").studies["tiny"])
    files = [f for f in (tiny / "results/tiny").rglob("*") if f.is_file()]
    assert disk.estimate(slices).total == pytest.approx(
        sum(f.stat().st_size for f in files), rel=0.3
    )


def test_the_menu_of_a_study_that_is_built(tiny):
    command = [sys.executable, "-m", "featflow", "menu", "tiny"]
    menu = subprocess.run(command, cwd=tiny, capture_output=True, text=True)
    assert menu.returncode == 0, menu.stderr
    states = dict(re.findall(r"^(results/\S+)  +(.*)$", menu.stdout, re.M))
    for path in (tiny / "results").rglob("*"):
        if path.is_file() and path.name not in OTHER_FILES:
            assert states[str(path.relative_to(tiny))] == "up to date"
    assert states["results/tiny/figures/flow.svg"] == "on request"
    stale = subprocess.run([*command, "--stale"], cwd=tiny, capture_output=True, text=True)
    assert "nothing of what was asked for is stale" in stale.stdout


OTHER_FILES = (
    "provenance.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""What lies beside outputs without being one."""
