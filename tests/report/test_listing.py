"""The list of files: each with its digest, its stage, its provenance and its target."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from featflow.artifacts.io import (
    ArtifactError,
    load_provenance,
    save_json,
    save_table,
    save_tensors,
)
from featflow.artifacts.provenance import Provenance
from featflow.artifacts.reading import named
from featflow.plan import paths
from featflow.plan.stages import STAGES
from featflow.plan.stages.data import TokensSlice
from featflow.report.listing import artifacts

from .conftest import EVIL


@pytest.fixture(scope="module")
def listed(planted):
    provenance = Provenance("report", planted.cfg, planted.files)
    found = artifacts(planted.cfg, planted.files, provenance.fields["inputs"])
    return {artifact.target: artifact for artifact in found}


def test_every_input_is_listed_with_its_own_digest_and_size(planted, listed):
    for file in planted.files:
        artifact = listed[named(file)]
        assert artifact.digest == hashlib.sha256(file.read_bytes()).hexdigest()
        assert artifact.size == file.stat().st_size
        assert artifact.command == f"snakemake --profile local {named(file)}"
        assert artifact.provenance is not None, file
        assert artifact.provenance["stage"] == artifact.stage


def test_what_others_were_made_of_is_listed_too(planted, listed):
    shard = paths.ACTIVATIONS.at(study="planted", model="both", hook="h", shard=0)
    assert listed[shard].stage == "activations" and listed[shard].size is None
    assert listed[shard].digest == hashlib.sha256(b"activations").hexdigest()
    assert listed[shard].code == "revision 2"
    matrix = paths.MATRIX.at(study="planted", a="base.main", b="tuned.main")
    assert listed[matrix].stage == "correlation"


def test_files_without_provenance_have_that_of_their_job(listed):
    edges = listed[paths.FLOW_EDGES.at(study="planted", sae="main")]
    assert edges.origin == "edges.parquet" and edges.provenance["stage"] == "edges"
    assert edges.code.startswith("code ")
    weights = listed[paths.WEIGHTS.at(study="planted", model="base")]
    assert weights.origin == "config.json" and weights.stage == "train"
    assert listed[paths.TOKENIZER.at(study="planted")].origin == "provenance.json"
    assert listed[paths.MODEL.at(study="planted", model="tuned")].origin == ""


def test_the_stages_come_in_their_order(listed):
    order = [list(STAGES).index(artifact.stage) for artifact in listed.values()]
    assert order == sorted(order)


def test_the_page_shows_all_of_it(page, listed):
    rows = {row[0].split("Make it again")[0]: row for row in page.tables["files"][1:]}
    assert list(rows) == list(listed)
    corpus = rows[paths.CORPUS.at(study="planted", corpus="prose", split="train")]
    assert EVIL in corpus[0] and corpus[1] == "corpus" and corpus[3] == "revision 2"
    copied = [attrs["data-copy"] for tag, attrs in page.elements if attrs.get("class") == "copy"]
    assert copied == [artifact.command for artifact in listed.values()]


def test_provenance_is_read_from_every_format(tmp_path):
    made = Provenance("tokens", TokensSlice(study="one", corpus="en", split="train"))
    save_tensors(tmp_path / "a.safetensors", {"x": np.zeros(2)}, made)
    save_table(tmp_path / "a.parquet", pd.DataFrame({"x": [1]}), made)
    save_json(tmp_path / "a.json", {"x": 1}, made)
    save_json(tmp_path / "cfg.json", {"metadata": {"featflow": made.fields}}, made)
    page = f'<script type="application/json" id="featflow-provenance">{made.dumps()}</script>'
    (tmp_path / "a.html").write_text(page)
    for file in tmp_path.iterdir():
        assert load_provenance(file) == made.fields, file
    save_table(tmp_path / "a.csv", pd.DataFrame({"x": [1]}), made)
    (tmp_path / "none.json").write_text("[1]")
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "none.parquet")
    (tmp_path / "none.html").write_text("<p>")
    for name in ("a.csv", "none.json", "none.parquet", "none.html"):
        assert load_provenance(tmp_path / name) is None, name
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match=r"a\.parquet"):
        load_provenance(tmp_path / "a.parquet")
