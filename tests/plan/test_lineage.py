"""Questions about the graph of models."""

from featflow.config import load
from featflow.plan.lineage import Lineage
from featflow.plan.slicer import Slices
from tests.config.test_config import config, set_at


def lineage(**changes) -> Lineage:
    return Lineage(load(config(**changes)).studies["one"])


def test_graph():
    graph = lineage()
    assert graph.order()[0] == "root" and graph.order()[-1] == "both"
    assert set(graph.edges()) == {
        ("root", "lua"),
        ("root", "more"),
        ("lua", "both"),
        ("more", "both"),
    }
    assert graph.ancestors("both") == ["root", "lua", "more"]
    assert graph.common_ancestor("both") == "root"
    assert graph.children("root") == ["lua", "more"]
    assert graph.corpora("both") == ["en", "lu"]
    assert graph.own_corpora("lua") == ["lu"]
    assert graph.corpora("more") == ["en"]


def test_pairs_are_edges_spans_and_controls():
    pairs = {(pair.role, str(pair)) for pair in lineage().pairs()}
    assert pairs == {
        ("edge", "root.main-lua.main"),
        ("edge", "root.main-more.main"),
        ("edge", "lua.main-both.main"),
        ("edge", "more.main-both.main"),
        ("span", "root.main-both.main"),
        ("control", "root.main-root.reseed"),
    }


def test_extra_pairs_are_added_once():
    graph = lineage(pairs=[["lua.main", "more.main"], ["root.main", "lua.main"]])
    assert [str(p) for p in graph.pairs() if p.role == "extra"] == ["lua.main-more.main"]


def test_a_reseed_is_correlated_by_name_alone():
    """Ceilings come from shares. What the config names is made, a pair of seeds included."""
    every, by_itself = lineage().pairs(), lineage().pairs_of_all()
    assert {str(p) for p in every} - {str(p) for p in by_itself} == {"root.main-root.reseed"}
    named = lineage(pairs=[["root.main", "root.reseed"]])
    assert [str(p) for p in named.pairs_of_all()] == [str(p) for p in named.pairs()]


def test_an_sae_of_some_models_has_only_their_edges():
    study = load(set_at(config(), "saes/some", {"kind": "relu", "models": ["root", "lua"]}))
    graph = Lineage(study.studies["one"])
    assert [str(p) for p in graph.pairs("some")] == ["root.some-lua.some"]


def test_scopes():
    def scopes(scope):
        return Slices("one", load(config(flow={"scope": scope})).studies["one"]).scopes(
            "root", "lua"
        )

    assert scopes("home") == (["en"], ["en", "lu"])
    assert scopes("intersection") == (["en"], ["en"])
    assert scopes("union") == (["en", "lu"], ["en", "lu"])


def test_common_ancestor_is_the_nearest():
    changed = set_at(
        config(), "models/deep", {"kind": "finetune", "parent": "lua", "corpora": ["en"]}
    )
    changed = set_at(changed, "models/both/parents", ["deep", "lua"])
    assert Lineage(load(changed).studies["one"]).common_ancestor("both") == "lua"
