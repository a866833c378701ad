"""The config: what is allowed, what is found wrong, and how it is said."""

import copy

import pytest

from featflow.core.config import ConfigError, load
from featflow.core.config.load import merged


def study() -> dict:
    base = {"kind": "base", "corpora": ["en"]}
    return {
        "corpora": {
            "en": {"kind": "generated", "language": "english"},
            "lu": {"kind": "generated", "language": "lua"},
        },
        "tokenizer": {"kind": "bpe", "corpora": ["en"]},
        "models": {
            "root": base,
            "lua": {"kind": "finetune", "parent": "root", "corpora": ["lu"], "training": {}},
            "more": {"kind": "finetune", "parent": "root", "corpora": ["en"]},
            "both": {
                "kind": "merge",
                "parents": ["lua", "more"],
                "method": {"kind": "slerp", "t": 0.5},
            },
        },
        "saes": {
            "main": {"kind": "relu"},
            "reseed": {"extends": "main", "seed": 1, "control_of": "main", "models": ["root"]},
        },
        "cases": {"sign": {"tokens": ["="]}},
        "interpret": {},
    }


def config(**changes) -> dict:
    return {"study": "one", "studies": {"one": {**study(), **changes}}}


def set_at(mapping: dict, path: str, value) -> dict:
    mapping = copy.deepcopy(mapping)
    *parents, last = path.split("/")
    inner = mapping["studies"]["one"]
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return mapping


def test_a_right_config_loads_and_extends_resolve():
    loaded = load(config()).studies["one"]
    assert loaded.saes["reseed"].seed == 1
    assert loaded.saes["reseed"].hook == loaded.saes["main"].hook


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("modles", {}, ["studies.one.modles", "unknown key", "did you mean 'models'"]),
        (
            "models/lua/training/learnig_rate",
            1,
            ["models.lua.training.learnig_rate", "'learning_rate'"],
        ),
        ("models/lua/parent", "rot", ["models.lua.parent", "no model named 'rot'", "'root'"]),
        ("models/root/corpora", ["enn"], ["models.root.corpora", "no corpus named 'enn'", "'en'"]),
        ("models/lua/parent", "both", ["models", "a cycle", "lua → both → lua"]),
        ("models/both/parents", ["lua"], ["models.both.parents", "at least 2"]),
        ("models/both/parents", ["lua", "lua"], ["models.both", "different parents"]),
        ("models/both/parents", ["lua", "more", "root"], ["slerp merges exactly 2"]),
        ("models/both/method/t", 1.3, ["models.both.method.t", "less than or equal to 1", "1.3"]),
        ("models/both/method/kind", "slurp", ["models.both.method.kind", "'slurp'", "slerp"]),
        ("corpora/en/kind", "file", ["corpora.en.kind", "found 'file'", "files, generated, hub"]),
        ("corpora/en/validation", 1.5, ["corpora.en.validation", "less than 1"]),
        ("tokenizer/corpora", ["x"], ["tokenizer.corpora", "no corpus named 'x'"]),
        ("saes/main/sparsity", {"l0": 3, "l1": 1}, ["saes.main.sparsity", "either l1", "or l0"]),
        ("saes/reseed/seed", 0, ["saes.reseed.seed", "another seed"]),
        ("saes/reseed/control_of", "mian", ["saes.reseed.control_of", "'main'"]),
        ("saes/main/models", ["nobody"], ["saes.main.models", "no model named"]),
        ("models/root/corpora", ["en", "en"], ["models.root.corpora", "named twice"]),
        (
            "models/root/training",
            {"betas": [0.9, 1.5]},
            ["root.training.betas", "less than 1"],
        ),
        ("saes/main/hook", "blocks.7.mlp.hook_post", ["saes.main.hook", "last block of root is 0"]),
        ("saes/main/hook", "blocks/0", ["saes.main.hook", "pattern"]),
        ("saes/reseed/expansion", 4, ["saes.reseed.expansion", "in its seed alone"]),
        ("activations/window", 200, ["activations.window", "do not fit", "smaller window"]),
        ("probe/corpora", [], ["probe.corpora", "at least 1"]),
        ("pairs", [["root.main"]], ["pairs"]),
        ("pairs", [["lua.reseed", "root.main"]], ["pairs", "lua.reseed"]),
        ("models/more/extends", ["lua"], ["models.more.extends", "nothing named"]),
        ("flow/threshold", 1.0, ["flow.threshold", "less than 1"]),
        ("pairs", [["root.main", "lua.mian"]], ["pairs", "lua.mian"]),
        ("models/Root", {"kind": "base", "corpora": ["en"]}, ["models", "Root"]),
    ],
)
def test_what_is_wrong_is_named(path, value, words):
    with pytest.raises(ConfigError) as error:
        load(set_at(config(), path, value))
    for word in words:
        assert word in str(error.value)


def test_everything_wrong_comes_in_one_message():
    wrong = set_at(set_at(config(), "models/both/method/t", -1), "flow/thresold", 0.5)
    with pytest.raises(ConfigError) as error:
        load(wrong)
    assert "models.both.method.t" in str(error.value)
    assert "flow.thresold" in str(error.value)


def test_merge_of_different_architectures_is_refused():
    wrong = set_at(
        set_at(
            config(),
            "models/other",
            {"kind": "base", "corpora": ["en"], "architecture": {"hidden": 64}},
        ),
        "models/both/parents",
        ["lua", "other"],
    )
    with pytest.raises(ConfigError, match="different architectures"):
        load(wrong)


def test_balanced_needs_a_common_ancestor():
    wrong = set_at(config(), "models/other", {"kind": "base", "corpora": ["en"]})
    wrong = set_at(wrong, "models/both/parents", ["lua", "other"])
    load(wrong)
    with pytest.raises(ConfigError, match="balanced needs a common ancestor of lua and other"):
        load(set_at(wrong, "models/both/method/t", "balanced"))


@pytest.mark.parametrize("study", [None, ["x"], "demo"])
def test_a_study_that_is_no_mapping(study):
    with pytest.raises(ConfigError, match=r"studies\.a: expected a mapping"):
        load({"study": "a", "studies": {"a": study}})


def test_merged_follows_the_rules_of_extends():
    below = {"a": {"kind": "x", "one": 1}, "list": [1, 2], "gone": 3, "deep": {"p": 1, "q": 2}}
    above = {"a": {"kind": "y", "two": 2}, "list": [3], "gone": None, "deep": {"q": 5}}
    assert merged(below, above) == {
        "a": {"kind": "y", "two": 2},
        "list": [3],
        "deep": {"p": 1, "q": 5},
    }


def test_extends_in_a_cycle():
    wrong = {"study": "a", "studies": {"a": {"extends": "b"}, "b": {"extends": "a"}}}
    with pytest.raises(ConfigError, match="cycle"):
        load(wrong)


def test_a_figure_of_what_the_study_does_not_have():
    drawn = {"draw": {"a": {"kind": "sweep"}, "b": {"kind": "density"}}}
    few = set_at(set_at(config(), "figures", drawn), "saes", {})
    for path in ("models/both", "cases", "interpret"):
        *above, last = path.split("/")
        inner = few["studies"]["one"]
        for key in above:
            inner = inner[key]
        del inner[last]
    with pytest.raises(ConfigError) as error:
        load(few)
    assert "figures.draw.a: it draws a merge whose method has a t" in str(error.value)
    assert "figures.draw.b: it draws an SAE; the study has none" in str(error.value)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"intermediate": 1}, "architecture.intermediate: input should be greater than or equal"),
        ({"context": 1}, "architecture.context: input should be greater than or equal to 2"),
        ({"hidden": 12, "heads": 4, "kv_heads": 4}, "(12 / 4 = 3) must be even"),
        ({"hidden": 1, "heads": 1, "kv_heads": 1}, "(1 / 1 = 1) must be even"),
    ],
)
def test_sizes_that_no_model_can_have_are_said_before_anything_is_made(sizes, words):
    with pytest.raises(ConfigError) as found:
        load(set_at(config(), "models/root/architecture", sizes))
    assert words in str(found.value) and "models.root" in str(found.value)


def test_the_smallest_model_is_right():
    sizes = {"hidden": 2, "heads": 1, "kv_heads": 1, "layers": 1, "intermediate": 2, "context": 2}
    small = set_at(config(), "models/root/architecture", sizes)
    loaded = load(set_at(small, "activations/window", 1)).studies["one"]
    assert loaded.models["root"].architecture.intermediate == 2
