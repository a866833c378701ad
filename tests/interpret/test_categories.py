import pandas as pd
import pytest
from pydantic import ValidationError

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import ConfigError
from featflow.config.interpreting import Category, Interpret
from featflow.interpret import categories, rules
from featflow.interpret.categories import COLUMNS
from featflow.interpret.rules import Rules, load
from featflow.plan.slices import Node
from featflow.plan.stages.interpret import CategoriesSlice

OWN = load(None)


def made(**patterns) -> Rules:
    return Rules({n: Category.model_validate(p) for n, p in patterns.items()})


@pytest.mark.parametrize(
    ("category", "tokens"),
    [
        ("document start", ["<s>"]),
        ("formatting", ["\n", "    ", "\t", "\n\n", " "]),
        ("numbers", ["1", " 12", "3.5"]),
        ("code syntax", [" =", "==", "):\n", "({},", "\tself", " return", "elif", "[", ".*"]),
        ("punctuation", [",", ".", ' "', ".\n", "!", ";", "..."]),
        ("identifiers", ["_name", "my_list", " getName", ".sort", "(b", " x"]),
        ("natural language", [" the", "word", " Mummy", "don't", "ing", "a"]),
        ("other", ["中", "\\xe4\\xb8", "$$"]),
    ],
)
def test_the_built_in_rules_on_tokens(category, tokens):
    for token in tokens:
        assert OWN.category(None, {token: 1.0}) == category, token


@pytest.mark.parametrize(
    ("category", "explanation"),
    [
        ("document start", "the start of a document"),
        ("formatting", "Indentation at the beginning of a line"),
        ("numbers", "digits in numerical values"),
        ("code syntax", "the assignment operator in Python code"),
        ("punctuation", "commas between clauses of a sentence"),
        ("identifiers", "names of variables in function signatures"),
        ("code", "Lua code that handles tables"),
        ("natural language", "verbs of motion in children's stories"),
        ("other", "something unheard of"),
    ],
)
def test_the_built_in_rules_on_explanations(category, explanation):
    assert OWN.category(explanation, {"中": 1.0}) == category


def test_every_name_is_once_and_other_is_last():
    names = OWN.names
    assert names[-1] == "other" and len(set(names)) == len(names) >= 8
    assert made(b={}, other={"tokens": ["x"]}, a={}).names == ["b", "a", "other"]


def test_most_of_the_activation_must_be_on_tokens_that_fit():
    own = made(digits={"tokens": ["[0-9]", "ten"]}, letters={"tokens": ["[a-z]"]})
    assert own.category(None, {"1": 3.0, "ten": 2.1, "a": 5.0}) == "digits"
    assert own.category(None, {"1": 3.0, "ten": 2.0, "a": 5.0}) == "other"  # a half is not most
    assert own.category(None, {"12": 9.0, "a": 5.0}) == "other"  # a pattern fits a whole token
    assert own.category(None, {}) == "other"


def test_the_first_that_fits_names_it():
    own = made(first={"explanation": ["colou?r"]}, second={"tokens": ["red"]}, third={})
    assert own.category("The COLOR of things", {"red": 1.0}) == "first"
    assert own.category("things", {"red": 1.0}) == "second"
    assert own.category(None, {"blue": 1.0}) == "other"


def test_what_an_explanation_cites_says_nothing_about_it():
    own = made(numbers={"explanation": [r"\bnumbers?\b"]})
    for cited in ("'number'", '"a number"', "‘number’", "“number”", "`number`"):
        assert own.category(f"the token {cited} in code", {"x": 1.0}) == "other"
    assert own.category("the child's numbers aren't quoted", {"x": 1.0}) == "numbers"


def test_a_pattern_that_is_none():
    with pytest.raises(ValidationError, match=r"tokens\.1\n.*no regular expression \(missing \)"):
        Category(tokens=["a", "("])


def test_the_file_may_be_edited(monkeypatch, tmp_path):
    before = rules.digest()
    edited = tmp_path / "categories.yaml"
    edited.write_text("sevens:\n  tokens: ['7']\n", encoding="utf-8")
    monkeypatch.setattr(rules, "FILE", edited)
    assert load(None).names == ["sevens", "other"] and rules.digest() != before
    edited.write_text("sevens:\n  tokn: ['7']\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"categories\.yaml\.categories\.sevens\.tokn: unknown key; did you mean"
    ):
        load(None)
    edited.write_text("- sevens\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected a mapping of categories"):
        load(None)


def scores(model: str) -> pd.DataFrame:
    """Six features by a voice and both lookups; the last has no explanation."""
    groups = ["persisting", "persisting+random", "persisting", "random", "listed", "listed"]
    voice = ["numbers", "code", "code", "code", None, None]
    lookup = ["numbers", "numbers", "other", "code", "code", None]
    tables = [
        pd.DataFrame({"feature": range(6), "groups": groups, "explainer": name, "category": found})
        for name, found in (("voice", voice), ("lookup", lookup), ("lookup_probe", lookup))
    ]
    return pd.concat(tables).astype({"category": "str"})


def test_shares_by_group_and_along_chains(tmp_path):
    node = Node(kind="base", corpora=["c"])
    cfg = CategoriesSlice(
        **{"study": "s", "sae": "main", "models": {"root": node, "lua": node}},
        settings=Interpret(),
        interpreted=["root", "lua"],
    )
    provenance = Provenance("categories", cfg)
    for model in cfg.interpreted:
        save_table(tmp_path / f"{model}.parquet", scores(model), provenance)
    fates = pd.DataFrame({"feature": range(6), "fate": ["persisting"] * 5 + ["rare"]})
    save_table(tmp_path / "flow.parquet", fates.assign(model="root"), provenance)
    status = ["persisting", "persisting", "disappearing", "persisting", "persisting", "rare"]
    chains = pd.DataFrame({"model": "root", "feature": range(6), "status": status})
    save_table(tmp_path / "chains.parquet", chains, provenance)
    output = tmp_path / "categories.parquet"
    categories.run(
        cfg,
        scores=[tmp_path / f"{model}.parquet" for model in cfg.interpreted],
        output=output,
        flow=tmp_path / "flow.parquet",
        chains=tmp_path / "chains.parquet",
    )
    table = pd.read_parquet(output)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == COLUMNS
    root = table[(table["model"] == "root") & (table["explainer"] == "voice")]
    rows = [tuple(row) for row in root.drop(columns=["model", "explainer", "population"]).values]
    assert rows == [
        ("group", "persisting", "code", 2, 3, 2 / 3),
        ("group", "persisting", "numbers", 1, 3, 1 / 3),
        ("group", "random", "code", 2, 2, 1.0),
        ("chain", "persisting", "code", 2, 3, 2 / 3),
        ("chain", "persisting", "numbers", 1, 3, 1 / 3),
        ("chain", "disappearing", "code", 1, 1, 1.0),
    ]
    assert root["population"].tolist() == [5, 5, 5, 4, 4, 1]
    listed = table[(table["name"] == "listed") & (table["explainer"] == "lookup")]
    assert listed["features"].tolist() == [1, 1] and listed["population"].isna().all()
    assert set(table["explainer"]) == {"voice", "lookup"}
    lua = table[table["model"] == "lua"]
    assert set(lua["kind"]) == {"group"}  # it is in no chain
    summed = table.groupby(["model", "explainer", "kind", "name"])["share"].sum()
    assert summed.to_list() == pytest.approx([1.0] * len(summed))


def test_equally_frequent_ones_are_in_the_order_of_the_rules():
    table = pd.DataFrame(
        {"feature": range(3), "groups": "random", "explainer": "voice", "category": list("cab")}
    )
    found = [line[3] for line in categories.count(table, None, ["b", "c", "a"])]
    assert found == ["b", "c", "a"]
