"""Slices: the text that decides what reruns."""

import json

import pytest

from featflow.config import ConfigError, load
from featflow.plan.slicer import Slices, seed_from
from featflow.plan.stages import STAGES
from tests.config.test_config import config, set_at


def slices(changed=None) -> Slices:
    return Slices("one", load(changed or config()).studies["one"])


def every_slice(s: Slices) -> dict:
    return {
        "corpus": STAGES["corpus"].slice(s, "en"),
        "tokenizer": STAGES["tokenizer"].slice(s),
        "tokens": STAGES["tokens"].slice(s, "en", "train"),
        "train": STAGES["train"].slice(s, "root"),
        "finetune": STAGES["finetune"].slice(s, "lua"),
        "sweep": STAGES["sweep"].slice(s, "both"),
        "merge": STAGES["merge"].slice(s, "both"),
        "evaluate": STAGES["evaluate"].slice(s, "lua"),
        "activations": STAGES["activations"].slice(s, "root", "blocks.0.mlp.hook_post", 0),
        "sae": STAGES["sae"].slice(s, "root", "main"),
        "metrics": STAGES["metrics"].slice(s, "root", "main"),
        "features": STAGES["features"].slice(s, "root", "main"),
        "correlation": STAGES["correlation"].slice(s, "root.main", "lua.main"),
        "shares": STAGES["shares"].slice(s, "main", "root", "lua"),
        "transfer": STAGES["transfer"].slice(s, "main", "root", "lua"),
        "flow": STAGES["flow"].slice(s, "main"),
        "controls": STAGES["controls"].slice(s, "main"),
        "edges": STAGES["edges"].slice(s, "main"),
        "case": STAGES["case"].slice(s, "sign"),
        "interpret": STAGES["interpret"].slice(s, "lua", "main"),
        "categories": STAGES["categories"].slice(s, "main"),
        "dashboards": STAGES["dashboards"].slice(s, "lua", "main"),
        "explorer": STAGES["explorer"].slice(s),
        "figure": STAGES["figure"].slice(s, "flow"),
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


JUDGED = {"flow", "controls", "edges", "case", "dashboards", "explorer"}
RESEEDED = {"shares", "controls", "edges", "case"}


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
        ("controls/thresholds", [0.6], {"shares", "controls"}),
        ("controls/shift", False, {"shares", "controls"}),
        ("controls/bootstrap", 0, {"shares", "controls"}),
        ("controls/transfer", False, {"controls", "edges", "dashboards"}),
        ("cases/sign/passages", 2, {"case"}),
        ("interpret/records/top", 4, {"interpret", "categories"}),
        ("explorer/top", 4, {"dashboards"}),
        ("saes/second", {"extends": "main", "seed": 2, "control_of": "main"}, RESEEDED),
        ("models/noise", {"kind": "random", "like": "root"}, {"controls", "edges"}),
    ],
)
def test_an_edit_reaches_the_stages_that_read_it(path, value, stages):
    assert changed_by(path, value) == stages


def test_a_reseed_differs_in_its_seed_alone():
    s = slices()
    main, reseed = STAGES["sae"].slice(s, "root", "main"), STAGES["sae"].slice(s, "root", "reseed")
    assert main.seed != reseed.seed
    assert main.settings.model_copy(update={"seed": 1}) == reseed.settings


def test_init_shared_gives_every_model_the_same_seed():
    shared = slices(set_at(config(), "saes/main/init", "shared"))
    assert (
        STAGES["sae"].slice(shared, "root", "main").seed
        == STAGES["sae"].slice(shared, "lua", "main").seed
    )
    assert (
        STAGES["sae"].slice(slices(), "root", "main").seed
        != STAGES["sae"].slice(slices(), "lua", "main").seed
    )


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
        STAGES["correlation"].slice(slices(split), "more.main", "other.main")


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
        STAGES["correlation"].slice(slices(wrong), "more.main", "other.main")
    assert str(error.value).endswith(remedy)


def test_seeds_are_the_same_on_every_machine():
    assert seed_from(0, "train", "lua") == seed_from(0, "train", "lua") < 2**31
    assert seed_from(0, "sae", "root", 0) != seed_from(0, "sae", "root", 1)
    assert seed_from(0) == 863368751


def test_shards_cover_the_tokens():
    s = slices(set_at(config(), "activations", {"tokens": 11, "shard_tokens": 4}))
    assert list(s.shards("main")) == [0, 1, 2]
    assert [STAGES["activations"].slice(s, "root", "h", i).tokens for i in s.shards("main")] == [
        4,
        4,
        3,
    ]
