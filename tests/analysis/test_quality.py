"""What makes the numbers of an edge doubtful: each bar from either side, and causes by name."""

import pandas as pd
import pytest

from featflow.analysis.quality import doubts, each_once, few_living, remarks
from featflow.config.study import Flow
from featflow.plan.stages.analysis import EdgeSae

from .conftest import METRICS

SAE = EdgeSae(dictionary="lua.main", l0=20.0, own=["lua"], edges=["base-lua"])
FLOW = Flow(min_firings=20, min_documents=5)


def metrics(own: dict | None = None, **values) -> dict:
    found = METRICS | values
    return {**found, "corpora": {"lua": found | (own or {}), "python": METRICS | {"loss_sae": 3.9}}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, None),
        ({"fve": 0.5}, None),
        ({"fve": 0.499}, "variance explained 49.9% (bar 50.0%)"),
        ({"fve": None}, None),
        (
            {"fve": 0.974, "fve_without_outliers": 0.3},
            "variance explained without outliers 30.0% (bar 50.0%)",
        ),
        ({"fve": 0.2, "fve_without_outliers": 0.9}, None),
        ({"fve": 0.2, "fve_without_outliers": None}, "variance explained 20.0% (bar 50.0%)"),
        ({"l0": 24.0}, None),
        ({"l0": 24.1}, "L0 24.1, over 20.0% off its target 20"),
        ({"l0": 15.9}, "L0 15.9, over 20.0% off its target 20"),
        ({"dead_fraction": 0.2}, None),
        ({"dead_fraction": 0.21}, "21.0% of its features never fire (bar 20.0%)"),
        ({"own": {"loss_sae": 3.41}}, "explained loss 59.0% (bar 60.0%)"),
        ({"own": {"loss_sae": 3.4}}, None),
        # zeroing the activations hardly costs anything: the ratio says nothing
        ({"own": {"loss_sae": 3.04, "loss_zero": 3.04}}, None),
        (
            {"fve": 0.4, "dead_fraction": 0.5},
            "variance explained 40.0% (bar 50.0%), 50.0% of its features never fire (bar 20.0%)",
        ),
    ],
)
def test_an_sae_that_is_not_good_enough_says_why(values, said):
    found = doubts(SAE, metrics(**values))
    assert found == (said and f"SAE lua.main is not good enough: {said}")


def test_a_fixed_penalty_has_no_target():
    assert doubts(SAE.model_copy(update={"l0": None}), metrics(l0=500.0)) is None


def side(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["fate", "firings", "documents"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("persisting", 90, 9), ("silent", 0, 0)], None),
        (
            [("persisting", 90, 9), ("silent", 0, 0), ("rare", 3, 3)],
            "1 of 3 features of lua.main live where lua is judged against base (flow.scope home), "
            "1 are silent and 1 rare (bar 50.0%)",
        ),
        (
            [("rare", 900, 3), ("rare", 400, 2), ("silent", 0, 0)],
            "none fires in more than 3 documents, and flow.min_documents asks for 5. Where",
        ),
        (
            [("rare", 12, 6), ("rare", 8, 7)],
            "none fires at more than 12 tokens, and flow.min_firings asks for 20. Where",
        ),
        (
            [("rare", 12, 2), ("silent", 0, 0)],
            "none fires in more than 2 documents, and flow.min_documents asks for 5, none fires at "
            "more than 12 tokens, and flow.min_firings asks for 20. Where",
        ),
        (
            [("rare", 900, 2), ("rare", 8, 7)],
            "none fires at 20 tokens (flow.min_firings) and in 5 documents (flow.min_documents) at "
            "once. Where",
        ),
        ([("silent", 0, 0)] * 3, "so its share says nothing: none fires there at all"),
    ],
)
def test_a_side_on_which_few_features_live_says_why(rows, said):
    found = few_living("base-lua", "child", "main", side(*rows), FLOW)
    assert (found is None) == (said is None)
    assert said is None or said in found
    if found and all(fate != "persisting" for fate, *_ in rows):
        assert found.startswith(
            f"none of the {len(rows)} features of lua.main lives where lua is judged against base"
        )


def test_each_edge_has_the_remarks_of_its_own_saes():
    ends = [("base-lua", role) for role in ("parent", "child")] + [("base-tales", "parent")]
    features = pd.concat(
        side(("persisting", 90, 9)).assign(edge=edge, role=role) for edge, role in ends
    )
    features = pd.concat([features, side(("silent", 0, 0)).assign(edge="base-tales", role="child")])
    saes = [
        SAE.model_copy(update={"dictionary": "base.main", "edges": ["base-lua", "base-tales"]}),
        SAE,
    ]
    found = remarks(
        ["base-lua", "base-tales"],
        saes,
        [metrics(fve=0.1), metrics(dead_fraction=0.9)],
        features,
        "main",
        FLOW,
    )
    base, lua = (part.split(": ")[0] for part in found["base-lua"].split("; "))
    assert (base, lua) == ("SAE base.main is not good enough", "SAE lua.main is not good enough")
    none, doubt = found["base-tales"].split("; ")
    assert none.startswith("none of the 1 features of tales.main lives") and "base.main" in doubt
    rows = [{"remarks": each} for each in found.values()]
    assert len(list(each_once([*rows, {"remarks": None}]))) == 3
    good = remarks(["base-lua"], [SAE], [metrics()], features, "main", FLOW)
    assert good == {"base-lua": None}
