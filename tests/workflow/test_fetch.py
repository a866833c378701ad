"""`fetch`: what needs a network, on the machine where Snakemake runs, before anything else."""

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

from featflow.artifacts.io import load_table
from featflow.plan import paths
from tests.data.hub_server import serving
from tests.workflow.conftest import copy_checkout, counts, dry_run, snakemake

pytestmark = pytest.mark.workflow

TOKEN = "hf_theRightOne"
STUDY = {
    "corpora": {
        "far": {"kind": "hub", "dataset": "owner/far", "validation": 0.2, "selection": 0.2},
        "closed": {"extends": "far", "dataset": "owner/closed"},
        "near": {"extends": "far", "dataset": "${FEATFLOW_TEST_DATA}/near"},
        "here": {"kind": "generated", "language": "lua", "documents": 20},
    },
    "tokenizer": {"kind": "pretrained", "name": "owner/model"},
    "models": {
        "base": {
            "kind": "base",
            "corpora": ["far", "near", "here"],
            "architecture": {"hidden": 32, "intermediate": 32, "heads": 4, "kv_heads": 2},
            "training": {"epochs": 1, "batch": 16, "learning_rate": 0.003},
        },
    },
    "saes": {"main": {"kind": "relu", "expansion": 4, "sparsity": {"l1": 0.003}, "tokens": 1000}},
}
LOCAL = {
    "extends": "remote",
    "corpora": {"far": {"dataset": "${FEATFLOW_TEST_DATA}/near"}, "closed": None},
    "tokenizer": {"name": "${FEATFLOW_TEST_DATA}/tokenizer.json"},
}
CONFIG = {"study": "remote", "studies": {"remote": STUDY, "local": LOCAL}}


@pytest.fixture(scope="module")
def server(tmp_path_factory, tokenizer_file):
    """A hub with two data sets, one of them gated, and a tokenizer."""
    root = tmp_path_factory.mktemp("hub")
    for name in ("datasets/owner/far", "datasets/owner/closed", "near"):
        (root / name / "data").mkdir(parents=True)
        texts = [f"the cat sat on {name} {i}" for i in range(40)]
        pd.DataFrame({"text": texts}).to_parquet(root / name / "data/train-00000-of-00001.parquet")
    (root / "models/owner/model").mkdir(parents=True)
    for place in ("models/owner/model/tokenizer.json", "tokenizer.json"):
        (root / place).write_bytes(tokenizer_file.read_bytes())
    with serving(root, gated={"owner/closed": TOKEN}) as server:
        yield server


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "workflow_config.yaml"
    config.write_text(yaml.dump(CONFIG, sort_keys=False))
    return copy_checkout(tmp_path_factory.mktemp("clone"), config)


@pytest.fixture(scope="module")
def environment(server, tmp_path_factory):
    """The hub's address, and a SLURM whose sbatch submits nothing but tells that it was called."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "sbatch").write_text(f"#!/bin/sh\ntouch {folder}/called\nexit 1\n")
    (folder / "sbatch").chmod(0o755)
    return {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(folder / "home"),
        "FEATFLOW_TEST_DATA": str(server.root),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }


def test_a_gated_corpus_without_a_token_leaves_nothing(checkout, environment):
    target = paths.CORPUS.at(study="remote", corpus="closed", split="train")
    given = {**environment, "HF_TOKEN": ""}
    result = snakemake(checkout, target, "--profile", "local", **given)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "studies.remote.corpora.closed.dataset: 'owner/closed' is gated" in said
    assert not list((checkout / "results").rglob("*.parquet"))
    assert not list((checkout / "results").rglob("*.tmp"))


def test_fetch_makes_what_needs_a_network_and_submits_no_job(checkout, environment):
    before = dry_run(checkout, "--profile", "local", **environment)
    given = {**environment, "HF_TOKEN": TOKEN}
    soon = ("--slurm-init-seconds-before-status-checks", "1")  # it sleeps as long at the end
    result = snakemake(checkout, "fetch", "--profile", "slurm", *soon, **given)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert not (Path(environment["PATH"].split(":")[0]) / "called").exists()
    assert "Study remote: from the hub come corpus far, corpus closed, the tokenizer." in said
    assert TOKEN not in said
    for corpus in ("far", "closed"):
        train = paths.CORPUS.at(study="remote", corpus=corpus, split="train")
        assert load_table(checkout / train).text.str.startswith("the cat sat on datasets").all()
    assert (checkout / paths.TOKENIZER.at(study="remote")).is_file()
    assert {p.name for p in (checkout / "results/remote/corpus").iterdir()} == {"far", "closed"}

    after = dry_run(checkout, "--profile", "local", **environment)
    assert counts(before - after) == {"corpus": 2, "tokenizer": 1} and after < before
    gone = {**environment, "HF_ENDPOINT": "http://127.0.0.1:9"}
    rest = [paths.TOKENS.at(study="remote", corpus=c, split="train") for c in ("far", "near")]
    made = snakemake(checkout, *rest, "--profile", "local", **gone)
    assert made.returncode == 0, made.stdout + made.stderr  # the rest needs no network
    assert counts(dry_run(checkout, "fetch", **environment)) == {}


def test_a_study_of_this_machine_has_nothing_to_fetch(checkout, environment):
    given = {**environment, "HF_ENDPOINT": "http://127.0.0.1:9"}
    result = snakemake(checkout, "fetch", "--profile", "local", "--config", "study=local", **given)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "Study local needs no network: there is nothing to fetch." in said
    assert not (checkout / "results/local").exists()


def test_a_study_that_does_not_exist_is_explained(checkout, environment):
    result = snakemake(checkout, "fetch", "-n", "--config", "study=locl", **environment)
    assert result.returncode != 0 and "did you mean 'local'" in result.stdout + result.stderr
