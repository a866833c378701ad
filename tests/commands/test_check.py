"""What `featflow check` says of the controls of each edge."""

from featflow.commands.check import controls


def test_edges_without_a_floor_or_reseeds_of_their_own_are_named(demo):
    lines = controls(demo)
    assert [line.split("  ")[1:3] for line in lines[:-1]] == [
        ["main", "babypython → lua"],
        ["main", "babypython → tinystories"],
        ["main", "lua → luastories"],
        ["main", "tinystories → luastories"],
    ]
    lua, stories, merged, _, last = lines
    assert "unrelated floor" not in lua
    assert lua.endswith("no reseed of lua (its seeds are taken to scatter alike)")
    assert "no unrelated floor (random weights alone); no reseed of tinystories" in stories
    assert merged.endswith("no reseed at either end (that of babypython is borrowed)")
    assert last == "  docs/controls.md says how to switch them on"


def test_a_study_without_any_control(demo):
    models = {
        n: m for n, m in demo.models.items() if n not in ("random", "unrelated", "unrelatedlua")
    }
    bare = demo.model_copy(update={"models": models, "saes": {"main": demo.saes["main"]}})
    assert all(
        line.endswith("no unrelated floor (none); no reseed at either end (no ceiling)")
        for line in controls(bare)[:-1]
    )


def test_nothing_is_lacking_where_each_end_has_reseeds_and_each_edge_a_floor(demo):
    models = {n: m for n, m in demo.models.items() if n not in ("tinystories", "luastories")}
    saes = {n: s.model_copy(update={"models": None}) for n, s in demo.saes.items()}
    whole = demo.model_copy(update={"models": models, "saes": saes})
    assert controls(whole) == ["  every edge has an unrelated floor and reseeds at both ends"]
