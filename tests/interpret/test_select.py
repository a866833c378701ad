import logging

import numpy as np
import pandas as pd
import pytest

from featflow.config.errors import FeatflowError
from featflow.config.interpreting import Interpret
from featflow.interpret.select import members_of, select
from featflow.plan.stages.interpret import InterpretSlice

SIZE = 300
EDGES = [("root", "lua"), ("root", "stories"), ("lua", "both"), ("stories", "both")]


def fates(seed: int = 0) -> pd.DataFrame:
    """A flow in which every feature has any fate on any edge."""
    rng = np.random.default_rng(seed)
    tables = []
    for parent, child in EDGES:
        for role, model, gone in (
            ("parent", parent, "disappearing"),
            ("child", child, "emerging"),
        ):
            fate = rng.choice(["persisting", gone, "rare", "silent"], SIZE, p=[0.6, 0.2, 0.1, 0.1])
            lookup = rng.choice(["lookup", "contextual", "unknown"], SIZE)
            feature = np.arange(SIZE, dtype=np.int32)
            rows = pd.DataFrame({"feature": feature, "fate": fate, "lookup": lookup})
            tables.append(rows.assign(edge=f"{parent}-{child}", role=role, model=model))
    return pd.concat(tables, ignore_index=True)


def cfg(model: str = "lua", features=(), seed: int = 0, edges=None, **select) -> InterpretSlice:
    own = [edge for edge in EDGES if model in edge] if edges is None else edges
    return InterpretSlice(
        **{"study": "s", "model": model, "sae": "main", "corpora": ["c"], "seed": seed},
        **{"edges": own, "features": list(features)},
        settings=Interpret.model_validate({"select": select}),
    )


def judged(flow: pd.DataFrame, model: str) -> dict[int, set[tuple[str, str]]]:
    """By feature: role and fate on each edge of the model on which it lives."""
    found: dict[int, set] = {}
    for row in flow[flow["model"] == model].itertuples():
        if row.fate not in ("rare", "silent"):
            found.setdefault(row.feature, set()).add((row.role, row.fate))
    return found


@pytest.mark.parametrize("model", ["root", "lua", "both"])
def test_groups_are_those_of_the_definitions(model):
    flow = fates()
    on = judged(flow, model)
    groups = members_of(flow[flow["model"] == model])
    assert groups["random"].tolist() == sorted(on)
    assert groups["persisting"].tolist() == sorted(
        f for f, seen in on.items() if {fate for _, fate in seen} == {"persisting"}
    )
    for group, role in (("disappearing", "parent"), ("emerging", "child")):
        assert groups[group].tolist() == sorted(
            f for f, seen in on.items() if (role, group) in seen
        )
    assert bool(len(groups["emerging"])) == (model != "root")
    assert bool(len(groups["disappearing"])) == (model != "both")


def test_each_group_gives_as_many_as_asked_for():
    flow = fates()
    asked = {"persisting": 20, "disappearing": 15, "emerging": 10, "random": 25}
    chosen = select(cfg(features=[7, 3, 7], **asked), flow, np.zeros(0))
    groups = members_of(flow[flow["model"] == "lua"])
    assert [c.feature for c in chosen] == sorted({c.feature for c in chosen})
    for group, count in asked.items():
        drawn = {c.feature for c in chosen if group in c.groups}
        assert len(drawn) == count and drawn <= set(groups[group].tolist())
    assert {c.feature for c in chosen if "listed" in c.groups} == {3, 7}
    assert len(chosen) < sum(asked.values()) + 2  # some are in two groups, and here once
    assert any(len(c.groups) > 1 for c in chosen)


def test_a_group_that_is_too_small_gives_all():
    flow = fates()
    members = members_of(flow[flow["model"] == "root"])["disappearing"]
    chosen = select(cfg("root", disappearing=10**6), flow, np.zeros(0))
    assert [c.feature for c in chosen] == members.tolist()


def test_the_draw_is_seeded_and_even():
    flow = fates()
    one, same, other = (
        [c.feature for c in select(cfg(random=20, seed=s), flow, np.zeros(0))] for s in (0, 0, 1)
    )
    assert one == same != other
    members = members_of(flow[flow["model"] == "lua"])["random"]
    counts = dict.fromkeys(members.tolist(), 0)
    for seed in range(60):
        for each in select(cfg(random=len(members) // 2, seed=seed), flow, np.zeros(0)):
            counts[each.feature] += 1
    assert min(counts.values()) > 10 and max(counts.values()) < 50


def test_the_stratum_is_that_of_the_first_edge_that_has_one():
    flow = fates()
    for each in select(cfg(random=100), flow, np.zeros(0)):
        rows = flow[(flow["model"] == "lua") & (flow["feature"] == each.feature)]
        known = [stratum for stratum in rows["lookup"] if stratum != "unknown"]
        assert each.stratum == (known[0] if known else "unknown")


def test_other_edges_of_the_flow_do_not_count():
    flow = fates()
    chosen = select(cfg(edges=[("root", "lua")], disappearing=50), flow, np.zeros(0))
    assert chosen == []  # lua is the child of that edge


def test_without_a_flow_only_random_and_listed_features(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("featflow"), "propagate", True)
    firings = np.array([0, 5, 0, 2, 9])
    asked = cfg(edges=[], features=[0], random=2, persisting=3)
    with caplog.at_level(logging.WARNING):
        chosen = select(asked, None, firings)
    assert "lua has no edge with SAE main" in caplog.text and "persisting" in caplog.text
    assert {c.feature for c in chosen if "random" in c.groups} <= {1, 3, 4}
    assert [c.groups for c in chosen if c.feature == 0] == [("listed",)]
    assert len(chosen) == 3 and {c.stratum for c in chosen} == {"unknown"}


def test_a_number_that_no_feature_has():
    with pytest.raises(FeatflowError, match=r"features\.lua: 300: SAE main has features 0 to 299"):
        select(cfg(features=[299, 300]), fates(), np.zeros(0))
