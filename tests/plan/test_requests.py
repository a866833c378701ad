"""What the command line asks for by the names of rules."""

import pytest

from featflow.config import ConfigError
from featflow.plan.requests import check_targets, rules_of

RULES = ["all", "corpus", "corpus_hub", "features_demo", "features_desk", "figure", "figure_json"]


@pytest.mark.parametrize(
    ("word", "rules"),
    [
        ("features", {"features_demo", "features_desk"}),
        ("corpus", {"corpus", "corpus_hub"}),
        ("figure", {"figure", "figure_json"}),
        ("features_demo", {"features_demo"}),
        ("all", {"all"}),
        ("results/demo/evaluate/lua.json", {"results/demo/evaluate/lua.json"}),
        ("featuers", {"featuers"}),
    ],
)
def test_a_stage_stands_for_all_its_rules(word, rules):
    assert rules_of([word], RULES) == rules


@pytest.mark.parametrize("word", ["features", "features_demo", "corpus_hub", "sae"])
def test_a_stage_is_no_target(word):
    stage = word.split("_")[0]
    words = f"^{word}: a stage, and no target; `featflow menu --stage {stage}` .* --until {stage}`"
    with pytest.raises(ConfigError, match=words):
        check_targets([word], RULES)


def test_other_targets_pass():
    check_targets(["all", "fetch", "results/demo/evaluate/lua.json"], RULES)
