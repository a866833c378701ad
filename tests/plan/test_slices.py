"""Slices: the text that decides what reruns."""

import json

import pytest

from featflow.config import ConfigError, load
from featflow.plan.slicer import Slices
from featflow.plan.slicer_analysis import seed_from
from tests.config.test_config import config, set_at


def slices(changed=None) -> Slices:
    return Slices("one", load(changed or config()).studies["one"])


def every_slice(s: Slices) -> dict:
    return {
        "corpus": s.corpus("en"),
        "tokenizer": s.tokenizer(),
        "tokens": s.tokens("en", "train"),
        "train": s.train("root"),
        "finetune": s.finetune("lua"),
        "sweep": s.sweep("both"),
        "merge": s.merge("both"),
        "evaluate": s.evaluate("lua"),
        "activations": s.activations("root", "blocks.0.mlp.hook_post", 0),
        "sae": s.sae("root", "main"),
        "metrics": s.metrics("root", "main"),
        "features": s.features("root", "main"),
        "correlation": s.correlation("root.main", "lua.main"),
        "shares": s.shares("main", "root", "lua"),
        "transfer": s.transfer("main", "root", "lua"),
        "flow": s.flow("main"),
        "controls": s.controls("main"),
        "domains": s.domains("main"),
        "edges": s.edges("main"),
        "case": s.case("sign"),
        "interpret": s.interpret("lua", "main"),
        "categories": s.categories("main"),
        "dashboards": s.dashboards("lua", "main"),
        "explorer": s.explorer(),
        "figure": s.figure("flow"),
    }


def changed_by(path, value) -> set[str]:
    before, after = every_slice(slices()), every_slice(slices(set_at(config(), path, value)))
    return {stage for stage in before if before[stage].dumps() != after[stage].dumps()}


def test_slices_survive_their_text():
    for stage, cut in every_slice(slices()).items():
        text = cut.dumps()
        assert type(cut).model_validate_json(text) == cut, stage
        assert list(json.loads(text)) == sorted(json.loads(text))


def test_a_default_written_out_changes_no_slice():
    assert changed_by("saes/main", {"kind": "relu", "expansion": 16, "tokens": 15_000_000}) == set()
    assert changed_by("flow/threshold", 0.8) == set()


JUDGED = {"flow", "controls", "domains", "edges", "case", "dashboards", "explorer"}
RESEEDED = {"shares", "controls", "domains", "edges", "case"}


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        ("corpora/en/documents", 7, {"corpus"}),
        ("corpora/en/tokens", 7, {"tokens"}),
        ("tokenizer/vocabulary", 512, {"tokenizer"}),
        ("models/root/training/epochs", 2, {"train"}),
        ("models/lua/training/learning_rate", 1e-3, {"finetune"}),
        ("models/both/method/t", 0.25, {"merge"}),
        ("evaluation/sweep_points", 5, {"sweep"}),
        ("saes/main/seed", 3, {"sae"}),
        ("saes/main/models", ["root", "lua", "more", "both"], set()),
        ("flow/threshold", 0.7, JUDGED),
        ("flow/threshold", 0.72, {*JUDGED, "shares"}),
        ("flow/scope", "union", {"correlation", "shares", "transfer", *JUDGED}),
        ("probe/tokens_per_corpus", 99, {"features", "transfer"}),
        (
            "activations/window",
            12,
            {"activations", "sae", "metrics", "features", "transfer", "case"},
        ),
        ("controls/thresholds", [0.6], {"shares", "controls", "domains"}),
        ("controls/shift", False, {"shares", "controls"}),
        ("controls/bootstrap", 0, {"shares", "controls"}),
        ("controls/transfer", False, {"controls"}),
        ("cases/sign/passages", 2, {"case"}),
        ("interpret/records/top", 4, {"interpret", "categories"}),
        ("explorer/top", 4, {"dashboards"}),
        ("saes/second", {"extends": "main", "seed": 2, "control_of": "main"}, RESEEDED),
        ("models/noise", {"kind": "random", "like": "root"}, {"controls", "domains", "edges"}),
    ],
)
def test_an_edit_reaches_the_stages_that_read_it(path, value, stages):
    assert changed_by(path, value) == stages


def test_a_reseed_differs_in_its_seed_alone():
    s = slices()
    main, reseed = s.sae("root", "main"), s.sae("root", "reseed")
    assert main.seed != reseed.seed
    assert main.settings.model_copy(update={"seed": 1}) == reseed.settings


def test_init_shared_gives_every_model_the_same_seed():
    shared = slices(set_at(config(), "saes/main/init", "shared"))
    assert shared.sae("root", "main").seed == shared.sae("lua", "main").seed
    assert slices().sae("root", "main").seed != slices().sae("lua", "main").seed


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"model": "lau"}, "no model 'lau'; did you mean 'lua'?"),
        ({"model": "root", "sae": "mian"}, "no SAE 'mian'; did you mean 'main'?"),
        ({"model": "lua", "sae": "reseed"}, "no SAE 'reseed'; there are: main"),
        ({"sae": "reseed"}, "no SAE 'reseed'"),
        ({"a": "root.main", "b": "lau.main"}, "no dictionary (model.sae) 'lau.main'"),
        ({"figure": "flwo"}, "no figure 'flwo'; did you mean 'flow'?"),
        ({"model": "lua", "shard": "3"}, "no shard '3'; there are: 0, 1, 2"),
    ],
)
def test_a_misspelt_name_of_a_target(names, words):
    with pytest.raises(ConfigError) as error:
        slices().check(names)
    assert words in str(error.value)
    slices().check({"model": "root", "sae": "reseed", "shard": "2", "corpus": "en"})


def test_an_empty_scope_is_found_before_any_job():
    split = set_at(config(), "flow/scope", "intersection")
    split = set_at(split, "models/other", {"kind": "base", "corpora": ["lu"]})
    with pytest.raises(ConfigError, match=r"flow\.scope intersection leaves no corpus"):
        slices(split).correlation("more.main", "other.main")


@pytest.mark.parametrize(
    ("scope", "remedy"),
    [
        ("intersection", "use home or union, or add a corpus of both to probe.corpora"),
        ("home", "add what each of them has learnt to probe.corpora"),
    ],
)
def test_the_remedy_of_an_empty_scope_is_another_than_what_is_set(scope, remedy):
    wrong = set_at(set_at(config(), "flow/scope", scope), "probe/corpora", ["lu"])
    wrong = set_at(wrong, "models/other", {"kind": "base", "corpora": ["en"]})
    with pytest.raises(ConfigError) as error:
        slices(wrong).correlation("more.main", "other.main")
    assert str(error.value).endswith(remedy)


def test_seeds_are_the_same_on_every_machine():
    assert seed_from(0, "train", "lua") == seed_from(0, "train", "lua") < 2**31
    assert seed_from(0, "sae", "root", 0) != seed_from(0, "sae", "root", 1)
    assert seed_from(0) == 863368751


def test_shards_cover_the_tokens():
    s = slices(set_at(config(), "activations", {"tokens": 11, "shard_tokens": 4}))
    assert list(s.shards("main")) == [0, 1, 2]
    assert [s.activations("root", "h", i).tokens for i in s.shards("main")] == [4, 4, 3]
