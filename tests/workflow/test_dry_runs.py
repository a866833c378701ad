"""The shipped studies, seen from a login node: no torch, no network, no data."""

import pytest

from tests.workflow.conftest import ROOT, copy_checkout, counts, dry_run, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("clone"), ROOT / "workflow_config.yaml")


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """A folder in which importing torch, or what brings it, is an error."""
    folder = tmp_path_factory.mktemp("no-torch")
    for name in ("torch", "transformers", "transformer_lens", "datasets", "plotly"):
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} in a dry run')\n")
    return str(folder)


SAES = 7 + 2 + 1 + 2 + 2
"""On all models but the unrelated base; two reseeds; one of Lua's data; a shared start and true
context, each on the base and on Lua."""


def test_paper_has_the_jobs_of_its_graph(checkout, without_torch):
    jobs = dry_run(checkout, "--config", "study=paper", PYTHONPATH=without_torch)
    assert counts(jobs) == {
        "corpus": 4,
        "tokenizer": 1,
        "tokens": 4 + 4 + 2,  # train, validation; selection of two
        # the four models; an unrelated base and its Lua, continued training, random weights
        "train": 1 + 1,
        "finetune": 2 + 2,
        "random": 1,
        "sweep": 1,
        "merge": 1,
        "evaluate": 8,
        "activations": 7 * 3,  # 15 M tokens in shards of 5 M; not of the unrelated base
        **dict.fromkeys(("sae", "metrics", "features"), SAES),
        "correlation": 4 + 1,  # edges, base to merge
        # edges, the base with itself, three parents with random weights, unrelated, continued
        "shares": 4 + 1 + 3 + 2,
        "transfer": 4 + 3 + 2,
        "flow": 1,
        "controls": 1,
        "edges": 1,
        "case": 2,
        "interpret": 4,
        "categories": 1,
        "dashboards": 4,
        "explorer": 1,
        "figure": 9 * 2,
        "report": 1,  # html to look at, json for the report
    }


def test_demo_is_a_study_of_its_own(checkout, without_torch):
    rules = counts(dry_run(checkout, PYTHONPATH=without_torch))
    assert rules["sae"] == 6 + 2 and rules["figure"] == 9 * 2


def test_a_stage_s_name_stands_for_its_rules(checkout):
    """`features` is a rule a study, `figure_json` is beside `figure`."""
    until = counts(dry_run(checkout, "--until", "features"))
    assert until["features"] == until["sae"] == 8 and "correlation" not in until
    without = counts(dry_run(checkout, "--omit-from", "features", "figure"))
    assert "features" not in without and "figure" not in without and without["metrics"] == 8
    result = snakemake(checkout, "features", "-n", "--profile", "local")
    assert "features: a stage, and no target; `" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("study=nan", ["study: no study named 'nan'; there are: paper, demo, desk"]),
        ("study=dmo", ["study", "no study named 'dmo'", "did you mean 'demo'"]),
        ("sutdy=demo", ["sutdy", "unknown key", "did you mean 'study'"]),
    ],
)
def test_a_wrong_config_is_explained_before_any_job(checkout, config, words):
    result = snakemake(checkout, "-n", "--config", config)
    assert result.returncode != 0
    assert all(word in result.stdout + result.stderr for word in words)
    assert "Traceback" not in result.stdout + result.stderr


def test_a_missing_variable_is_named_and_only_for_the_study_that_needs_it(checkout):
    environment = {"FEATFLOW_CORPORA": ""}
    result = snakemake(checkout, "-n", "--config", "study=desk", **environment)
    assert result.returncode != 0 and "FEATFLOW_CORPORA" in result.stdout
    assert snakemake(checkout, "-n", **environment).returncode == 0
