"""Controls: what kind each is, and what is wrong with one."""

import copy

import pytest

from featflow.config import ConfigError, load
from featflow.config.controlling import model_arm, sae_arm
from featflow.config.graph import has, is_control
from featflow.config.study import Study

LUA = {"kind": "generated", "language": "lua"}
TUNED = {"kind": "finetune", "parent": "root", "corpora": ["lu"]}
MERGED = {"kind": "merge", "method": {"kind": "slerp", "t": 0.5}}
WITH_EVERY_ARM = {
    "corpora": {
        "en": {"kind": "generated", "language": "english"},
        "lu": LUA,
        "st": {"kind": "generated", "language": "stories"},
    },
    "tokenizer": {"kind": "bpe", "corpora": ["en"]},
    "activations": {"data": "lineage"},
    "models": {
        "root": {"kind": "base", "corpora": ["en"]},
        "lua": TUNED,
        "more": {**TUNED, "corpora": ["st"]},
        "both": {**MERGED, "parents": ["lua", "more"]},
        "other": {"kind": "base", "corpora": ["en"], "seed": 1, "control_of": "root"},
        "otherlua": {**TUNED, "parent": "other", "control_of": "lua"},
        "othermore": {**TUNED, "parent": "other", "corpora": ["st"], "control_of": "more"},
        "otherboth": {**MERGED, "parents": ["otherlua", "othermore"], "control_of": "both"},
        "again": {**TUNED, "corpora": ["en"], "control_of": "lua"},
        "twice": {**TUNED, "seed": 1, "control_of": "lua"},
        "noise": {"kind": "random", "like": "root"},
    },
    "saes": {
        "main": {"kind": "relu"},
        "reseed": {"extends": "main", "seed": 1, "control_of": "main", "models": ["root", "lua"]},
        "reseed2": {"extends": "reseed", "seed": 2},
        "wide": {
            "extends": "main", "corpora": ["lu", "en"], "control_of": "main", "models": ["root"],
        },
        "shared": {
            "extends": "main", "init": "shared", "control_of": "main", "models": ["root", "lua"],
        },
        "short": {
            "extends": "main", "context": "truncated", "control_of": "main",
            "models": ["root", "lua", "more"],
        },
    },
}  # fmt: skip


def study(changes: dict | None = None) -> Study:
    """The study with some keys changed: {"models/lua/seed": 3}; None deletes."""
    raw = copy.deepcopy(WITH_EVERY_ARM)
    for path, value in (changes or {}).items():
        *parents, last = path.split("/")
        inner = raw
        for key in parents:
            inner = inner.setdefault(key, {})
        if value is None:
            inner.pop(last)
        else:
            inner[last] = value
    return load({"study": "one", "studies": {"one": raw}}).studies["one"]


def test_what_kind_of_control_a_model_is():
    found = {name: model_arm(study(), name) for name in study().models}
    assert found == {
        "root": None, "lua": None, "more": None, "both": None,
        "other": "unrelated", "otherlua": "unrelated", "othermore": "unrelated",
        "otherboth": "unrelated", "again": "continued", "twice": "retrained", "noise": "random",
    }  # fmt: skip
    controls = {name for name, model in study().models.items() if is_control(model)}
    assert controls == {name for name, arm in found.items() if arm}


def test_what_kind_of_control_an_sae_is():
    assert {name: sae_arm(study(), name) for name in study().saes} == {
        "main": None, "reseed": "reseed", "reseed2": "reseed", "wide": "data", "shared": "init",
        "short": "context",
    }  # fmt: skip


def test_part_of_the_parent_s_corpora_is_continued_training_too():
    found = study({"models/root/corpora": ["en", "st"], "saes/wide/corpora": ["en", "lu", "st"]})
    assert model_arm(found, "again") == "continued"


def test_a_control_has_the_sae_and_none_of_its_controls():
    found = study({"saes/reseed/models": None})
    having = {s: {m for m in found.models if has(found, m, s)} for s in found.saes}
    assert having["main"] == set(found.models) - {"other"}  # a base that others descend from
    assert having["reseed"] == {"root", "lua", "more", "both"}
    assert having["wide"] == {"root"}
    asked = study({"saes/reseed/models": ["root", "other"], "saes/main/models": [*found.models]})
    assert has(asked, "other", "reseed") and has(asked, "other", "main")


NO_CONTROL = (
    "control_of: it is no control of '{}': it needs other bases (unrelated), the same parent and "
    "corpora of the parent's own (continued), or another seed alone (retrained)"
)
NOT_LUA = NO_CONTROL.format("lua")
OF_A_CONTROL = "models.child: its parent {} is a control; give it control_of too"
NOTHING_ELSE = (
    "seed: a control needs another seed than 'main' has, or other corpora, init or context"
)
ALONE = "a control differs from 'main' in its {} alone"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("models/twice/control_of", "again", "control_of: 'again' is itself a control"),
        ("models/twice/control_of", "noise", "control_of: 'noise' is itself a control"),
        ("models/twice/control_of", "both", "control_of: 'both' is a merge, 'twice' a finetune"),
        ("models/other/control_of", "lua", "control_of: 'lua' is a finetune, 'other' a base"),
        ("models/other/seed", 0, "seed: a control needs another seed than 'root' has"),
        ("models/twice/seed", 0, NOT_LUA),
        ("models/again/corpora", ["st"], NOT_LUA),
        ("models/again/corpora", ["en", "st"], NOT_LUA),
        ("models/again/parent", "more", NOT_LUA),
        ("models/otherboth/parents", ["lua", "othermore"], NO_CONTROL.format("both")),
        ("models/twice/control_of", "lau", "control_of: no model named 'lau'; did you mean 'lua'?"),
        ("models/noise/like", "lua", "like: no base or pretrained model named 'lua'"),
        ("models/child", {**TUNED, "parent": "twice"}, OF_A_CONTROL.format("twice")),
        ("models/child", {**TUNED, "parent": "noise"}, OF_A_CONTROL.format("noise")),
        ("models/child", {**MERGED, "parents": ["lua", "again"]}, OF_A_CONTROL.format("again")),
        ("saes/reseed2/control_of", "reseed", "control_of: 'reseed' is itself a control"),
        ("saes/reseed/control_of", "mian", "control_of: no SAE named 'mian'"),
        ("saes/reseed/seed", 0, NOTHING_ELSE),
        ("saes/short/context", None, NOTHING_ELSE),
        ("saes/wide/seed", 1, f"corpora: {ALONE.format('seed')}"),
        ("saes/short/init", "shared", f"context: {ALONE.format('init')}"),
        ("saes/shared/expansion", 4, f"expansion: {ALONE.format('init')}"),
        ("saes/wide/tokens", 9, f"tokens: {ALONE.format('corpora')}"),
        ("saes/short/models", ["both"], "models: 'main' is not trained on all of these models"),
        ("saes/wide/corpora", ["enn"], "corpora: no corpus named 'enn'; did you mean 'en'?"),
        ("saes/wide/corpora", [], "saes.wide: corpora: name at least one, or leave the key out"),
        ("corpora/home", LUA, "corpora.home: a scope is called that; choose another name"),
    ],
)
def test_what_is_wrong_with_a_control(path, value, message):
    trained_on = {"saes/main/models": ["root", "lua", "more"]}
    with pytest.raises(ConfigError) as error:
        study({path: value} | (trained_on if path == "saes/short/models" else {}))
    whose = "" if message.startswith(path.split("/")[0]) else f"{path.rpartition('/')[0]}/"
    assert f"studies.one.{whose.replace('/', '.')}{message}" in str(error.value)


def test_an_sae_that_differs_in_two_things_is_told_each():
    with pytest.raises(ConfigError) as error:
        study({"saes/reseed/context": "truncated", "saes/reseed/expansion": 4})
    for key in ("context", "expansion"):
        assert f"saes.reseed.{key}: a control differs from 'main' in its seed alone" in str(
            error.value
        )


def test_everything_wrong_with_controls_comes_in_one_message():
    with pytest.raises(ConfigError) as error:
        study({"models/twice/seed": 0, "models/other/seed": 0, "saes/reseed/seed": 0})
    for key in ("models.twice.control_of", "models.other.seed", "saes.reseed.seed"):
        assert f"studies.one.{key}: " in str(error.value)


def test_a_window_must_fit_the_context_of_a_control_too():
    small = {"activations/context": "truncated", "activations/window": 200}
    study(small)
    with pytest.raises(ConfigError, match=r"activations\.window: 200 tokens do not fit"):
        study({**small, "saes/short/context": "full"})
