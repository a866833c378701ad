"""What is compared because of a study's controls: arms of edges, pairs of models, their slices."""

import itertools

import pytest

from featflow.config import ConfigError
from featflow.plan.lineage import Lineage
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from tests.config.test_controlling import study

EDGES = [("root", "lua"), ("root", "more"), ("lua", "both"), ("more", "both")]
FLOORS = [
    ("root", "noise"),
    ("root", "again"),
    ("root", "otherlua"),
    ("root", "twice"),
    ("root", "othermore"),
    ("lua", "noise"),
    ("lua", "otherboth"),
    ("more", "noise"),
    ("more", "otherboth"),
]
"""Pairs of models that are compared for a control's sake, by edge."""


def slices(changes: dict | None = None) -> Slices:
    return Slices("one", study(changes))


@pytest.fixture(scope="module")
def lineage() -> Lineage:
    return Lineage(study())


def test_controls_flow_nowhere(lineage):
    assert lineage.models() == ["root", "lua", "more", "both"]
    assert lineage.roots() == ["root"]
    assert lineage.edges() == lineage.flow_edges("main") == EDGES
    assert lineage.flow_edges("short") == EDGES[:2] and lineage.flow_edges("wide") == []
    named = {name for pair in lineage.pairs() for name in (pair.a.model, pair.b.model)}
    assert named == {"root", "lua", "more", "both"}
    assert lineage.study.flow_saes == ["main"]


def test_seeds_are_the_sae_and_its_reseeds_alone(lineage):
    assert lineage.reseeds("main") == ["reseed", "reseed2"]
    assert lineage.seeds("root", "main") == lineage.seeds("lua", "main")
    assert lineage.seeds("root", "main") == ["main", "reseed", "reseed2"]
    assert lineage.seeds("more", "main") == lineage.seeds("twice", "main") == ["main"]


def test_every_control_stands_at_its_edge(lineage):
    found = [(f"{a.parent}-{a.child}", a.kind, f"{a.a}-{a.b}") for a in lineage.arms("main")]
    assert found == [
        ("root-lua", "random", "root.main-noise.main"),
        ("root-lua", "continued", "root.main-again.main"),
        ("root-lua", "unrelated", "root.main-otherlua.main"),
        ("root-lua", "retrained", "root.main-twice.main"),
        ("root-lua", "init", "root.shared-lua.shared"),
        ("root-lua", "context", "root.short-lua.short"),
        ("root-lua", "data", "root.wide-lua.main"),
        ("root-more", "random", "root.main-noise.main"),
        ("root-more", "unrelated", "root.main-othermore.main"),
        ("root-more", "context", "root.short-more.short"),
        ("lua-both", "random", "lua.main-noise.main"),
        ("lua-both", "unrelated", "lua.main-otherboth.main"),
        ("more-both", "random", "more.main-noise.main"),
        ("more-both", "unrelated", "more.main-otherboth.main"),
    ]


def test_a_data_arm_stands_where_the_child_s_sae_saw_the_same(lineage):
    assert lineage.activation_corpora("lua") == lineage.activation_corpora("root", "wide")
    with pytest.raises(ConfigError, match=r"of its models is trained on; there is: en, lu, st$"):
        study({"activations/data": "common"})
    all_three = Lineage(
        study({"activations/data": "common", "saes/wide/corpora": ["en", "lu", "st"]})
    )
    found = [(a.parent, a.child) for a in all_three.arms("main") if a.kind == "data"]
    assert found == EDGES[:2]


def test_a_random_model_of_another_root_is_no_control_of_the_edge():
    second = {"kind": "base", "corpora": ["st"], "seed": 5}
    found = Lineage(study({"models/second": second, "models/noise/like": "second"}))
    assert "random" not in {arm.kind for arm in found.arms("main")}


def test_what_is_compared():
    found = [(p.parent, p.child) for p in slices().compared("main")]
    assert found == [("root", "root"), ("lua", "lua"), *EDGES, *FLOORS]
    cut = slices()
    asked = STAGES["controls"].slice(cut, "main")
    assert [(p.parent, p.child) for p in asked.shares] == found
    assert {(arm.a.split(".")[0], arm.b.split(".")[0]) for arm in asked.arms} <= set(found)


SEEDS = ["main", "reseed", "reseed2"]


def test_shares_of_an_edge_are_of_all_seeds_and_of_its_sae_arms():
    cfg = STAGES["shares"].slice(slices(), "main", "root", "lua")
    arms = [("shared", "shared"), ("short", "short"), ("wide", "main")]
    assert cfg.pairs == [*itertools.product(SEEDS, SEEDS), *arms]
    assert cfg.everywhere == [("main", "main"), *arms]
    assert cfg.a == [*SEEDS, "shared", "short", "wide"]
    assert cfg.b == [*SEEDS, "shared", "short"]
    assert cfg.shift and cfg.bootstrap == 200 and 0.8 in cfg.thresholds and cfg.partners == 10
    assert cfg.domain == "home"
    assert {name: (d.a, d.b) for name, d in cfg.domains.items()} == {
        "en": (["en"], ["en"]),
        "lu": (["lu"], ["lu"]),
        "st": (["st"], ["st"]),
        "home": (["en"], ["en", "lu"]),
        "intersection": (["en"], ["en"]),
        "union": (["en", "lu"], ["en", "lu"]),
    }


def test_shares_of_a_model_with_itself_take_each_two_seeds_once():
    cfg = STAGES["shares"].slice(slices(), "main", "lua", "lua")
    assert cfg.pairs == cfg.everywhere == list(itertools.combinations(SEEDS, 2))
    assert (cfg.a, cfg.b) == (["main", "reseed"], ["reseed", "reseed2"])
    assert not cfg.shift and cfg.bootstrap == 0 and cfg.thresholds == []


@pytest.mark.parametrize("child", ["noise", "again", "otherlua", "twice", "othermore"])
def test_shares_with_a_control_are_of_the_sae_alone(child):
    cfg = STAGES["shares"].slice(slices(), "main", "root", child)
    assert cfg.pairs == cfg.everywhere == [("main", "main")]
    assert not cfg.shift and cfg.bootstrap == 0
    home = cfg.domains["home"]
    assert home.a == ["en"]
    assert home.b == {"noise": ["en", "lu", "st"], "again": ["en"], "othermore": ["en", "st"]}.get(
        child, ["en", "lu"]
    )


def test_an_edge_s_floor_is_judged_on_the_edge_s_own_tokens():
    cut = slices()
    edge, floor = (
        STAGES["shares"].slice(cut, "main", "root", "lua"),
        STAGES["shares"].slice(cut, "main", "root", "otherlua"),
    )
    assert edge.domains == floor.domains


def test_what_the_parent_s_sae_is_applied_to():
    cut = slices()
    found = [(p.parent, p.child) for p in cut.transferred("main")]
    assert found == [*EDGES, *FLOORS]
    assert found == [(p.parent, p.child) for p in STAGES["controls"].slice(cut, "main").transfers]
    compared = {(p.parent, p.child) for p in cut.compared("main")}
    assert set(found) == {pair for pair in compared if pair[0] != pair[1]}
    related = {pair for pair in found if STAGES["transfer"].slice(cut, "main", *pair).scaling}
    assert related == {*EDGES, ("root", "again"), ("root", "twice")}
    cfg = STAGES["transfer"].slice(cut, "main", "root", "otherlua")
    assert (cfg.scope_a, cfg.scope_b) == (["en"], ["en", "lu"])


def test_without_transfer_nothing_is_applied():
    cut = slices({"controls/transfer": False})
    assert cut.transferred("main") == STAGES["controls"].slice(cut, "main").transfers == []


def test_a_target_of_models_that_are_not_compared_is_refused():
    cut = slices()
    cut.check({"sae": "main", "parent": "root", "child": "otherlua"})
    for wrong, words in (
        ({"parent": "root", "child": "both"}, "no child 'both'"),
        ({"parent": "noise", "child": "root"}, "no parent 'noise'"),
    ):
        with pytest.raises(ConfigError, match=words):
            cut.check({"sae": "main", **wrong})
