"""The slurm profile: a row for every rule, nothing misspelt, and what it asks for is asked for."""

import os
import re
from pathlib import Path

import pytest
import yaml
from yte import process_yaml

from featflow.plan.stages import STAGES
from tests.workflow.conftest import ROOT, copy_checkout, snakemake

PROFILE = ROOT / "profiles/slurm/config.yaml"
VERB = r"-m featflow (\w+)"
LOCAL = {"pretrained"}
"""It needs a network: on the machine where Snakemake is started."""


def rendered(monkeypatch, **environment: str) -> dict:
    for name in ("SLURM_PROFILE_ACCOUNT", "SLURM_PROFILE_PARTITION", "SLURM_PROFILE_GPU_PARTITION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("FEATFLOW_GPU", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return process_yaml(PROFILE.read_text(), require_use_yte=True)


def test_every_rule_has_a_row_and_those_with_a_gpu_say_so():
    rows = yaml.safe_load(PROFILE.read_text())["__variables__"]["rules"]
    assert set(rows) == set(STAGES) - LOCAL
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    blocks = re.split(r"\n(?: {4})?rule\b", text)
    wanting = {m[1] for b in blocks if "gpu=1" in b and (m := re.search(VERB, b))}
    assert {rule for rule, row in rows.items() if row.get("gpu")} == wanting


def test_nothing_is_asked_of_the_cluster_that_is_not_named(monkeypatch):
    found = rendered(monkeypatch)
    asked = [found["default-resources"], *found["set-resources"].values()]
    assert not any({"slurm_account", "slurm_partition"} & set(row) for row in asked)
    assert found["set-resources"]["sae"]["gpu_model"] == "a100"
    assert "gpu_model" not in found["set-resources"]["merge"]


def test_account_partitions_and_gpu_come_from_the_environment(monkeypatch):
    found = rendered(
        monkeypatch,
        SLURM_PROFILE_ACCOUNT="mine",
        SLURM_PROFILE_PARTITION="cpu",
        SLURM_PROFILE_GPU_PARTITION="gpus",
        FEATFLOW_GPU="",
    )
    assert found["default-resources"]["slurm_account"] == "mine"
    assert found["default-resources"]["slurm_partition"] == "cpu"
    sae = found["set-resources"]["sae"]
    assert sae["slurm_partition"] == "gpus" and "gpu_model" not in sae and sae["gpu"] == 1


@pytest.mark.parametrize(("age", "first"), [(300, 15), (180, 15), (120, 60), (None, 60)])
def test_polling_never_misses_a_finished_job(monkeypatch, age, first):
    """The plugin sleeps 180 s at most; under 3 × the first pause it turns to sacct."""
    monkeypatch.setattr(
        "snakemake_executor_plugin_slurm.job_status_query.get_min_job_age", lambda: age
    )
    assert rendered(monkeypatch)["slurm-init-seconds-before-status-checks"] == first
    assert age is None or 3 * first <= age or age < 180 <= 3 * first


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--set-resources", "trian:gpu=1"], "no rule named 'trian'; did you mean 'train'?"),
        (["--set-resources", "train:mem_gb=1"], "no resource named 'mem_gb'"),
        (["--set-resources", "train:gpu=many"], "set-resources: train: gpu is 'many'"),
        (["--set-threads", "fetures=3"], "did you mean 'features'?"),
    ],
)
def test_a_misspelt_request_ends_the_run(tmp_path: Path, flags, words):
    folder = copy_checkout(tmp_path / "clone", ROOT / "tests/workflow/tiny.yaml")
    result = snakemake(folder, "-n", *flags, **os.environ)
    assert result.returncode != 0 and words in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.workflow
def test_the_second_attempt_gets_more_and_features_are_every_studys(tmp_path: Path):
    folder = copy_checkout(tmp_path / "clone", ROOT / "tests/workflow/tiny.yaml")
    for attempt, rule, words in [
        ("1", "features_tiny", ["mem_mb=32000,", "runtime=120,", "gpu=1,", "gpu_model=a100"]),
        ("2", "features_tiny", ["mem_mb=64000,", "runtime=120,"]),  # it goes on where it was
        ("3", "flow", ["mem_mb=16000,", "runtime=60,"]),  # begins again: more time, too
    ]:
        said = snakemake(folder, "--profile", "slurm", "-n", "--attempt", attempt).stdout
        block = re.search(rf"^rule {rule}:.*?^ +resources: (.*?)$", said, re.M | re.S)
        assert block and all(word in f"{block[1]}," for word in words), block
