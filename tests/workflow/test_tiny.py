"""The tiny study for real: what it makes, and what an edit makes again."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from featflow.artifacts.io import load_json, load_table
from featflow.commands import disk
from featflow.config import load
from featflow.plan import paths
from featflow.plan.slicer import Slices
from tests.workflow import trials
from tests.workflow.conftest import ROOT, copy_checkout, counts, dry_run, snakemake

pytestmark = pytest.mark.workflow


def edited(folder: Path, name: str, old: str, new: str):
    """A file of the checkout with one thing replaced, and put back afterwards."""
    return trials.edited(folder, {name: trials.text(lambda before: before.replace(old, new, 1))})


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


def test_each_corpus_is_measured_under_its_own_name(tiny):
    """The tiny study names its corpora in another order than that of the alphabet."""
    import torch
    from transformers import AutoModelForCausalLM

    from featflow.artifacts.io import load_tensors
    from featflow.data.windows import drawn
    from featflow.plan.slicer import seed_from

    folder = (tiny / paths.MODEL.at(study="tiny", model="base")).parent
    model = AutoModelForCausalLM.from_pretrained(folder)
    measured = load_json(tiny / paths.EVALUATE.at(study="tiny", model="base"))
    for corpus in ("english", "python", "lua"):
        file = tiny / paths.TOKENS.at(study="tiny", corpus=corpus, split="validation")
        ids = torch.from_numpy(load_tensors(file, "input_ids")["input_ids"]).long()
        blocks = ids[: len(ids) // 64 * 64].view(-1, 64)
        blocks = blocks[drawn(len(blocks), 4000 // 64, seed_from(0, "blocks"))]
        with torch.no_grad():
            loss = float(model(blocks, labels=blocks).loss)
        assert measured[corpus]["loss"] == pytest.approx(loss, rel=1e-3), corpus


def test_models_load_unchanged(tiny):
    from transformers import AutoModelForCausalLM

    for model in ("base", "lua", "merged"):
        folder = (tiny / paths.MODEL.at(study="tiny", model=model)).parent
        loaded = AutoModelForCausalLM.from_pretrained(folder)
        assert type(loaded).__name__ == "MistralForCausalLM"


def test_logs_and_benchmarks_lie_where_the_docs_say(tiny):
    log = (tiny / "logs/tiny/metrics/base/main.log").read_text()
    assert " metrics base/main: " in log
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
        "merge": 1,
        "evaluate": 1,
        "activations": 1,
        "sae": 1,
        "metrics": 1,
        "features": 1,
        "correlation": 3,
        "flow": 1,
        "figure": 4,
        "report": 1,
        # its two edges; what is drawn, and explained, by what became of features
        "shares": 2,
        "transfer": 2,
        "controls": 1,
        "edges": 1,
        "case": 1,
        "interpret": 4,
        "categories": 1,
        "dashboards": 4,
        "explorer": 1,
    }
    models = {job.wildcards for job in jobs if job.rule in ("merge", "evaluate", "activations")}
    assert all("model=merged" in wildcards for wildcards in models)


def noted(folder: Path) -> dict[str, dict]:
    """What Snakemake knows of each file: how it was made, and from what."""
    kept = ("rule", "input", "params", "code", "shellcmd", "log", "input_checksums")
    records = [p for p in (folder / ".snakemake/metadata").rglob("*") if p.is_file()]
    return {
        record.relative_to(folder).as_posix(): {
            key: json.loads(record.read_text())[key] for key in kept
        }
        for record in records
    }


def test_a_touch_notes_what_a_run_has_noted(tiny, tmp_path):
    """So that test_rebuilds.py can touch its studies."""
    touched = shutil.copytree(tiny, tmp_path / "touched", symlinks=True)
    shutil.rmtree(touched / ".snakemake" / "metadata")
    result = snakemake(touched, "all", "--touch", "--forceall", "--profile", "local")
    assert result.returncode == 0, result.stderr
    assert len(noted(tiny)) > 80 and noted(touched) == noted(tiny)


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
        of_a_page = path.suffix == ".js" and path.name != "index.js"
        other = of_a_page or path.name in OTHER_FILES or path.suffix == ".sha256"
        if path.is_file() and not other:
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
