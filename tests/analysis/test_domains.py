"""Stage domains: every edge on each corpus and scope, against loops over the planted pairs."""

import numpy as np
import pandas as pd
import pytest

from featflow.analysis import domains
from featflow.analysis.judged import Bests
from featflow.analysis.lines import COLUMNS
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Flow
from featflow.plan import paths
from featflow.plan.slices import Compared
from featflow.plan.stages import STAGES
from featflow.plan.stages.analysis import DomainsSlice

from .conftest import Counts, Known, write_best
from .controlled import Controlled, plant
from .test_controls import found_in, share

TAUS = [0.6, 0.7, 0.8]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Controlled:
    return plant(tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def table(study) -> pd.DataFrame:
    output = study.path(paths.FLOW_DOMAINS)
    cfg = STAGES["domains"].slice(study.slices, "main")
    domains.run(cfg, shares=study.each(paths.SHARES), output=output)
    return pd.read_parquet(output)


def test_an_edge_is_on_every_domain_that_it_has(table):
    found = table.groupby("edge")["domain"].agg(lambda each: set(each)).to_dict()
    corpora = {"code", "prose", "home", "union"}
    assert found == {
        "base-lua": corpora | {"intersection"},
        "base-tales": corpora | {"intersection"},
        "lua-both": corpora | {"intersection"},
        "tales-both": corpora | {"intersection"},
    }
    assert list(table) == list(COLUMNS)
    assert table["low"].isna().all() and table["high"].isna().all()
    assert sorted(set(table["threshold"])) == TAUS


@pytest.mark.parametrize("domain", ["code", "prose", "home", "intersection", "union"])
@pytest.mark.parametrize("stratum", [("all", "all"), ("lookup", "contextual")])
def test_every_share_is_the_one_counted_by_hand(table, domain, stratum):
    of = table[(table["edge"] == "base-lua") & (table["domain"] == domain)]
    of = of[(of["kind"] == stratum[0]) & (of["stratum"] == stratum[1])]
    shares = of.set_index(["control", "threshold"])["share"]
    for tau in TAUS:
        for control, (a, b) in {
            "edge": ("base.main", "lua.main"),
            "unrelated": ("base.main", "otherlua.main"),
            "random": ("base.main", "noise.main"),
            "continued": ("base.main", "further.main"),
            "data": ("base.mixed", "lua.main"),
        }.items():
            answer = found_in(a, b, tau, stratum, domain)
            assert shares[control, tau] == pytest.approx(share(answer))
        of_lua = [found_in("lua.main", "lua.reseed", tau, stratum, domain, s) for s in "ab"]
        assert shares["ceiling_child", tau] == pytest.approx(np.mean([share(x) for x in of_lua]))
        ends = [shares[f"ceiling_{end}", tau] for end in ("parent", "child")]
        assert shares["ceiling", tau] == pytest.approx(np.sqrt(np.prod(ends)))
    expected = {"edge", "ceiling", "ceiling_parent", "ceiling_child", "continued", "data"}
    expected |= {"random", "unrelated"}
    assert set(of["control"]) == expected


def test_where_no_feature_lives_there_is_no_share(tmp_path):
    dead = Counts(*(np.zeros(3, int),) * 3)
    none = Known(np.full((3, 3), np.nan), a=dead, b=dead, tokens=0)
    some = Known(np.eye(3, dtype=np.float32))
    cfg = DomainsSlice(
        **{"study": "s", "sae": "main", "flow": Flow(), "thresholds": [0.8], "arms": []},
        **{"edges": [("base", "lua")], "seeds": {"base": ["main"], "lua": ["main"]}},
        shares=[Compared(parent="base", child="lua")],
    )
    pairs = {("main", "main", "code"): none, ("main", "main", "home"): some}
    pairs["main", "main", "shift"] = some
    file = write_best(tmp_path / "best.parquet", pairs, Provenance("domains", cfg))
    table = domains.domain_table(cfg, Bests(cfg.shares, [file], cfg.flow))
    rows = table[table["kind"] == "all"].set_index("domain")
    assert list(rows.index) == ["code", "home"]  # a shift is no domain
    assert (rows["features"]["code"], rows["found"]["code"]) == (0, 0)
    assert np.isnan(rows["share"]["code"]) and rows["share"]["home"] == 1
