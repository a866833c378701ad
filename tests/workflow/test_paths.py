"""Files of this machine wherever they lie: names full of what shells, globs and Python cut up."""

import os
import re
import shutil
import time

import pytest
import yaml

from featflow.artifacts.io import load_json
from featflow.plan import paths
from tests.models.architectures import write_model
from tests.workflow.conftest import ROOT, copy_checkout, counts, dry_run, snakemake

pytestmark = pytest.mark.workflow

NAME = 'it\'s "one" {study} $HOME; `a` & <b> #c *'
TARGETS = (paths.MODEL.at(study="far", model="own"), "--profile", "local")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer_file):
    """A model with its tokenizer, as featflow writes one: a table of its training beside it."""
    found = tmp_path_factory.mktemp("far") / NAME
    write_model("llama", found)
    shutil.copy(tokenizer_file, found / "tokenizer.json")
    (found / "training.parquet").write_bytes(b"no documents")
    (found / "README.md").symlink_to("/gone/README.md")
    soon = time.time() + 10**7
    for name in ("tokenizer.json", "model.safetensors", "config.json"):
        os.utime(found / name, (soon, soon))
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, folder):
    study = {
        "corpora": {"lua": {"kind": "generated", "language": "lua", "documents": 20}},
        "tokenizer": {"kind": "pretrained", "name": str(folder)},
        "models": {
            "own": {"kind": "pretrained", "name": str(folder), "context": 32, "corpora": ["lua"]}
        },
    }
    config = tmp_path_factory.mktemp("config") / "workflow_config.yaml"
    config.write_text(yaml.dump({"study": "far", "studies": {"far": study}}, sort_keys=False))
    return copy_checkout(tmp_path_factory.mktemp("clone"), config)


def test_every_word_of_a_command_is_quoted():
    for file in (ROOT / "rules").glob("*.smk"):
        words = re.findall(r"\{(?:input|output|params|log)\b[^}]*\}", file.read_text())
        assert [word for word in words if not word.endswith(":q}")] == [], file.name


def test_a_model_and_its_tokenizer_are_read_once(checkout, folder):
    result = snakemake(checkout, *TARGETS)
    assert result.returncode == 0, result.stdout + result.stderr
    assert load_json(checkout / TARGETS[0])["model_type"] == "llama"
    assert dry_run(checkout, *TARGETS) == set()  # though its files are dated in the future
    (folder / "training.parquet").write_bytes(b"more")
    assert dry_run(checkout, *TARGETS) == set()
    (folder / "tokenizer_config.json").write_text('{"bos_token": "</s>"}')
    assert counts(dry_run(checkout, *TARGETS)) == {"tokenizer": 1, "pretrained": 1}


def test_a_link_that_leads_nowhere_is_said_before_any_job(checkout, folder):
    (folder / "tokenizer_config.json").unlink(missing_ok=True)
    (folder / "tokenizer_config.json").symlink_to("/gone/t.json")
    result = snakemake(checkout, "-n", *TARGETS)
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "most recent call last" not in said
    assert re.search(r"studies\.far\.(models\.own|tokenizer)\.name: /", said)
    assert "tokenizer_config.json is a link to /gone/t.json, which is not there; mend" in said
