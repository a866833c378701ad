"""A misspelt target: what was meant is said, and nothing runs."""

import pytest

from featflow.plan import paths
from featflow.plan.hints import hint, targets
from tests.bad_input.conftest import slices, state
from tests.workflow.conftest import snakemake

MISSPELT = [
    ("results/tny/sae/lua/main/cfg.json", "no study 'tny'; did you mean 'tiny'?"),
    ("results/tiny/saee/lua/main/cfg.json", "did you mean results/tiny/sae/lua/main/cfg.json?"),
    ("results/tiny/models/lau/config.json", "did you mean results/tiny/models/lua/config.json?"),
    ("results/tiny/sae/lua/mian/cfg.json", "no SAE 'mian'; did you mean 'main'?"),
    ("results/tiny/corpus/lau/train.parquet", "no corpus 'lau'; did you mean 'lua'?"),
    ("results/tiny/figures/flwo.html", "no figure 'flwo'; did you mean 'flow'?"),
    (
        "results/tiny/activations/lua/blocks.0.mlp.hook_pots/0.safetensors",
        "no hook 'blocks.0.mlp.hook_pots'; did you mean 'blocks.0.mlp.hook_post'?",
    ),
    (
        "results/tiny/activations/lua/blocks.0.mlp.hook_post/7.safetensors",
        "no shard '7'; there are: 0",
    ),
    (
        "results/tiny/correlation/base.main-lau.main/matches.parquet",
        "no dictionary (model.sae) 'lau.main'; did you mean 'lua.main'?",
    ),
]


@pytest.mark.workflow
@pytest.mark.parametrize(("target", "words"), MISSPELT, ids=[t for t, _ in MISSPELT])
def test_what_was_meant_is_said(checkout, target, words):
    before = state(checkout)
    result = snakemake(checkout, target, "--profile", "local")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and words in said, said
    assert {n for n in state(checkout).keys() - before.keys() if ".snakemake" not in n} == set()


@pytest.mark.workflow
def test_every_target_that_is_proposed_can_be_made(checkout):
    tiny = slices(activations={"tokens": 50_000, "shard_tokens": 50_000})
    result = snakemake(checkout, *targets(tiny), "-n", "--profile", "local", "--quiet", "all")
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_path_may_be_proposed():
    templates = [t for t in vars(paths).values() if isinstance(t, paths.Template)]
    found = "\n".join(targets(slices()))
    for template in set(templates) - {paths.STUDY}:
        assert template.rsplit("/")[-1].split("}")[-1] in found, template


def test_a_word_like_no_target_is_sent_to_the_menu():
    assert hint("saes", {"tiny": slices()}) == "`featflow menu` lists the targets"
