"""The config: what is allowed, what is found wrong, and how it is said."""

import copy

import pytest

from featflow.config import ConfigError, load
from featflow.config.load import merged


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


def said(data: dict) -> list[str]:
    """The lines of what `load` finds wrong."""
    with pytest.raises(ConfigError) as error:
        load(data)
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (  # a key that is wrong by itself hides nothing of the names
            {"saes/main/sparsity": {"l0": 3, "l1": 1}, "models/root/corpora": ["enn"]},
            [
                "saes.main.sparsity: give either l1 (a weight) or l0 (features a token)",
                "models.root.corpora: no corpus named 'enn'; did you mean 'en'?",
            ],
        ),
        (  # nor of the graph
            {"models/lua/training/epochs": -1, "saes/main/hook": "blocks.7.mlp.hook_post"},
            [
                "models.lua.training.epochs: input should be greater than 0, found -1",
                "saes.main.hook: blocks.7.mlp.hook_post, but the last block of root is 0",
            ],
        ),
        (  # an unknown name hides nothing of what does not depend on it
            {"models/lua/parent": "rot", "saes/main/hook": "blocks.7.mlp.hook_post"},
            [
                "models.lua.parent: no model named 'rot'; did you mean 'root'?",
                "saes.main.hook: blocks.7.mlp.hook_post, but the last block of root is 0",
            ],
        ),
        (  # what is named and cannot be read is no unknown name
            {"models/lua": {"kind": "finetun"}, "tokenizer/corpora": ["enn"]},
            [
                "models.lua.kind: found 'finetun'; allowed: base, pretrained, finetune, merge, "
                "random",
                "tokenizer.corpora: no corpus named 'enn'; did you mean 'en'?",
            ],
        ),
        (  # what follows from a mistake alone is not said: the default has one layer
            {
                "models/root/architecture": {"layers": "two"},
                "saes/main/hook": "blocks.1.mlp.hook_post",
            },
            [
                "models.root.architecture.layers: input should be a valid integer, unable to "
                "parse string as an integer, found 'two'"
            ],
        ),
        (
            {"tokenizer": {"kind": "bp"}, "flow": {"floor": 0.9}},
            [
                "tokenizer.kind: found 'bp'; allowed: bpe, pretrained",
                "flow.floor: 0.9 is above flow.threshold, 0.8: pairs between them would be lost; "
                "use 0.8 at most, or null to keep every pair",
            ],
        ),
    ],
)
def test_a_mistake_hides_no_other_and_makes_none(changes, lines):
    wrong = config()
    for path, value in changes.items():
        wrong = set_at(wrong, path, value)
    assert said(wrong) == [f"studies.one.{line}" for line in lines]


def test_an_inherited_mistake_is_told_once_where_it_is_made():
    wrong = set_at(set_at(config(), "saes/main/batch", -1), "models/root/corpora", ["enn"])
    wrong["studies"]["heir"] = {"extends": "one"}
    wrong["studies"]["further"] = {"extends": "heir", "flow": {"threshold": 3}}
    wrong["studies"]["again"] = {"extends": "one", "saes": {"main": {"batch": -1}}}
    lines = said(wrong)  # saes.reseed extends saes.main, three studies extend the first
    assert lines == [
        "studies.one.saes.main.batch: input should be greater than 0, found -1",
        "studies.one.models.root.corpora: no corpus named 'enn'; did you mean 'en'?",
        "studies.further.flow.threshold: input should be less than 1, found 3",
        "studies.again.saes.main.batch: input should be greater than 0, found -1",
    ]


def test_an_extends_that_leads_nowhere_hides_nothing():
    wrong = set_at(config(), "saes/reseed/extends", "mian")
    wrong["studies"] |= {"heir": {"extends": "one"}, "lost": {"extends": "on"}, "typo": {"seed": 1}}
    assert said(wrong) == [
        "studies.lost.extends: nothing named 'on'; did you mean 'one'?",
        "studies.one.saes.reseed.extends: nothing named 'mian'; did you mean 'main'?",
        *(f"studies.typo.{key}: missing" for key in ("corpora", "tokenizer", "models")),
    ]


BOOLEAN = 'as YAML reads `on`, `yes` and `true`: quote the word, as in "on"'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("corpora: {on: {kind: generated, language: lua}}", f"corpora: the key true, {BOOLEAN}"),
        ("models: {null: {kind: base, corpora: [en]}}", "models: the key null, as YAML reads"),
        ("models: {12:30: {kind: base, corpora: [en]}}", "models: the key 750, as YAML reads a"),
        ("models: {1e5: {kind: base, corpora: [en]}}", "models.1e5: a name is of small letters"),
        ("models: {lua: {parent: on}}", f"models.lua.parent: found true, {BOOLEAN}"),
        ("models: {lua: {extends: no}}", "models.lua.extends: nothing named false, as YAML reads"),
        ("tokenizer: {corpora: [2024-01-31]}", "tokenizer.corpora.0: found 2024-01-31, as YAML"),
        ("probe: {corpora: [1_000]}", "probe.corpora.0: found 1000, as YAML reads a number"),
        ("cases: {sign: {tokens: [yes]}}", f"cases.sign.tokens.0: found true, {BOOLEAN}"),
        ("cases: {sign: {tokens: [1_0]}}", "cases.sign.tokens.0: found 10, as YAML reads a num"),
        ("activations: {tokens: 1e6}", "activations.tokens: write it as a whole number: 1_000_000"),
        ("on: 3", "on: unknown key"),
    ],
)
def test_words_that_yaml_takes_for_something_else(text, line):
    import yaml

    changed = config()
    changed["studies"]["one"] = merged(changed["studies"]["one"], yaml.safe_load(text))
    assert any(each.startswith(f"studies.one.{line}") for each in said(changed)), said(changed)


def test_a_name_that_yaml_takes_for_something_else_may_be_quoted():
    import yaml

    changed = set_at(config(), "corpora/on", {"kind": "generated", "language": "lua"})
    changed = set_at(changed, "models/lua/corpora", ["on"])
    assert load(yaml.safe_load(yaml.safe_dump(changed))).studies["one"].models["lua"].corpora == [
        "on"
    ]


@pytest.mark.parametrize(("value", "name"), [(float("nan"), "nan"), (float("inf"), "infinity")])
def test_a_study_that_snakemake_takes_for_a_number(value, name):
    """`--config study=nan` reaches the Snakefile as a float."""
    named = config()
    named["studies"][name] = {"extends": "one"}
    assert load({**named, "study": value}).study == name


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "study: no study named 'nan'; there are: one"),
        (float("inf"), "study: no study named 'inf'; there are: one"),
        (1e5, "study: found 100000.0, as YAML reads a number"),
        (1.0, "study: found 1.0, as YAML reads a number"),
        (True, f"study: found true, {BOOLEAN}; there are: one"),
        (None, "study: it names no study; there are: one"),
        ("null", "study: no study named 'null'; there are: one"),
    ],
)
def test_a_study_that_is_no_name(value, words):
    assert said({**config(), "study": value})[0].startswith(words)
