"""Stage controls on a study with every control, against loops over the planted correlations."""

import copy
import json
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from featflow.analysis import controls
from featflow.analysis.controls import COLUMNS
from featflow.analysis.intervals import jackknife, together
from featflow.analysis.persistence import Bests, Judged, frozen, tally
from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance
from featflow.config.controls import Controls
from featflow.config.study import Flow
from featflow.plan import paths
from featflow.plan.slices import Compared
from featflow.plan.stages import STAGES
from featflow.plan.stages.analysis import ControlsSlice

from .conftest import Counts, Known, write_best
from .controlled import (
    SETTINGS,
    SIZE,
    TOKENS,
    Controlled,
    drawn_bootstrap,
    drawn_frozen,
    known,
    plant,
)

TAUS = [0.6, 0.7, 0.8]
"""0.8 is the flow's own, which the sweep does not name."""

ALL, CONTEXTUAL, SELDOM = ("all", "all"), ("lookup", "contextual"), ("density", "-4..-3")
STRATA = [ALL, CONTEXTUAL, SELDOM]


def run(it: Controlled) -> pd.DataFrame:
    output = it.path(paths.FLOW_CONTROLS)
    controls.run(
        STAGES["controls"].slice(it.slices, "main"),
        shares=it.each(paths.SHARES),
        bootstraps=it.each(paths.BOOTSTRAP),
        frozen=it.each(paths.FROZEN, transferred=True),
        output=output,
        domains=it.path(paths.FLOW_DOMAINS),
    )
    return pd.read_parquet(output)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Controlled:
    return plant(tmp_path_factory.mktemp("controlled"))


@pytest.fixture(scope="module")
def table(study) -> pd.DataFrame:
    return run(study)


@pytest.fixture(scope="module")
def by_domain(study, table) -> pd.DataFrame:
    return pd.read_parquet(study.path(paths.FLOW_DOMAINS))


@pytest.fixture(scope="module")
def shares(table) -> dict:
    keys = ["edge", "control", "kind", "stratum", "threshold"]
    assert not table.duplicated([*keys, "by"]).any()
    return table.set_index(keys)["share"].to_dict()


def inside(i: int, firings, lookup_r, stratum: tuple[str, str]) -> bool:
    if stratum == CONTEXTUAL:
        return lookup_r[i] <= 0.5
    if stratum == SELDOM:
        return 1e-4 <= firings[i] / TOKENS < 1e-3
    return True


def found_in(a: str, b: str, tau: float, stratum=ALL, domain="home", side="a") -> dict[int, bool]:
    """Each living feature of a stratum, and whether a partner that counts has r > τ."""
    of = known(a, b, domain)
    r, own, other, looks = (of.r, of.a, of.b, of.lookup_a)
    if side == "b":
        r, own, other, looks = (of.r_b.T, of.b, of.a, of.lookup_b)
    answer = {}
    for i in range(SIZE):
        if own.own[i] < 20 or own.documents[i] < 5 or not inside(i, own.own, looks, stratum):
            continue
        counting = [j for j in range(SIZE) if other.there[j] >= 20 and other.documents[j] >= 5]
        answer[i] = any(r[i, j] > np.float32(tau) for j in counting)
    return answer


def share(answer: dict[int, bool]) -> float:
    return sum(answer.values()) / len(answer)


def fragile_in(a: str, b: str, tau: float, stratum=ALL, side="a") -> int:
    """Those of a stratum that are found, but not by the r_trimmed of their best partner."""
    of = known(a, b, "home")
    r, trimmed, other = (
        (of.r, of.trimmed, of.b) if side == "a" else (of.r_b.T, of.trimmed_b.T, of.a)
    )
    counting = (other.there >= 20) & (other.documents >= 5)
    count = 0
    for i, found in found_in(a, b, tau, stratum, side=side).items():
        best = max(np.flatnonzero(counting & ~np.isnan(r[i])), key=lambda j: r[i, j], default=-1)
        count += found and not trimmed[i, best] > np.float32(tau)
    return count


SEEDS = {"base": ["main", "reseed", "reseed2"], "lua": ["main", "reseed"]}


def ceiling_of(model: str, tau: float, stratum) -> float:
    pairs = combinations(SEEDS[model], 2)
    return np.mean(
        [
            share(found_in(f"{model}.{a}", f"{model}.{b}", tau, stratum, side=side))
            for a, b in pairs
            for side in "ab"
        ]
    )


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("stratum", STRATA, ids=lambda each: each[1])
def test_every_share_is_the_one_counted_by_hand(shares, tau, stratum):
    at = (*stratum, tau)
    expected = {
        ("base-lua", "edge"): ("base.main", "lua.main"),
        ("base-tales", "edge"): ("base.main", "tales.main"),
        ("tales-both", "edge"): ("tales.main", "both.main"),
        ("base-lua", "unrelated"): ("base.main", "otherlua.main"),
        ("base-lua", "random"): ("base.main", "noise.main"),
        ("lua-both", "random"): ("lua.main", "noise.main"),
        ("base-lua", "continued"): ("base.main", "further.main"),
        ("base-lua", "data"): ("base.mixed", "lua.main"),
    }
    for (edge, control), (a, b) in expected.items():
        assert shares[edge, control, *at] == pytest.approx(share(found_in(a, b, tau, stratum)))
    base, lua = (ceiling_of(model, tau, stratum) for model in ("base", "lua"))
    for edge, top in {
        "base-lua": np.sqrt(base * lua),
        "base-tales": base,
        "lua-both": lua,
        "tales-both": np.sqrt(base * lua),  # borrowed: neither has a reseed
    }.items():
        assert shares[edge, "ceiling", *at] == pytest.approx(top)
    assert shares["base-lua", "ceiling_parent", *at] == pytest.approx(base)
    assert shares["base-lua", "ceiling_child", *at] == pytest.approx(lua)
    assert shares["base-lua", "shift", *at] == 0


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("stratum", STRATA, ids=lambda each: each[1])
def test_what_hangs_on_a_handful_of_rows_is_counted_for_every_share(table, tau, stratum):
    of = table.query("kind == @stratum[0] and stratum == @stratum[1] and threshold == @tau")
    of = of.set_index(["edge", "control"])
    for (edge, control), (a, b) in {
        ("base-lua", "edge"): ("base.main", "lua.main"),
        ("base-lua", "unrelated"): ("base.main", "otherlua.main"),
        ("lua-both", "random"): ("lua.main", "noise.main"),
        ("base-lua", "data"): ("base.mixed", "lua.main"),
    }.items():
        row, count = of.loc[(edge, control)], fragile_in(a, b, tau, stratum)
        assert row["fragile"] == count
        part = count / row["found"] if row["found"] else np.nan
        assert row["fragile_share"] == pytest.approx(part, nan_ok=True)

    def pooled(*models: str) -> float:
        pairs = [(f"{m}.{a}", f"{m}.{b}") for m in models for a, b in combinations(SEEDS[m], 2)]
        found = [sum(found_in(*p, tau, stratum, side=s).values()) for p in pairs for s in "ab"]
        hanging = [fragile_in(*p, tau, stratum, side=s) for p in pairs for s in "ab"]
        return sum(hanging) / sum(found)

    assert of["fragile_share"]["base-lua", "ceiling"] == pytest.approx(pooled("base", "lua"))
    assert of["fragile_share"]["base-tales", "ceiling"] == pytest.approx(pooled("base"))
    assert of["fragile_share"]["base-lua", "ceiling_child"] == pytest.approx(pooled("lua"))
    assert of["fragile"][:, "ceiling"].isna().all()
    grid = [(f"base.{a}", f"lua.{b}") for a in SEEDS["base"] for b in SEEDS["lua"]]
    hanging = sum(fragile_in(*ends, tau, stratum) for ends in grid)
    found = sum(sum(found_in(*ends, tau, stratum).values()) for ends in grid)
    assert of["fragile_share"]["base-lua", "edge_mean"] == pytest.approx(hanging / found)
    frozen_rows = of.xs("frozen", level="control")
    assert frozen_rows["fragile"].isna().all() and frozen_rows["fragile_share"].isna().all()
    assert of["found"]["base-lua", "edge"] > 0 or tau == 0.8


@pytest.mark.parametrize("tau", TAUS)
def test_stable_features_are_those_that_every_reseed_finds(table, tau):
    for stratum in STRATA:
        every = [found_in("base.main", f"base.{s}", tau) for s in SEEDS["base"][1:]]
        stable = {i for i in range(SIZE) if all(found.get(i) for found in every)}
        kept = found_in("base.main", "lua.main", tau, stratum)
        kept = {i: found for i, found in kept.items() if i in stable}
        row = table.query(
            "edge == 'base-lua' and control == 'stable' and stratum == @stratum[1]"
            " and kind == @stratum[0] and threshold == @tau"
        ).iloc[0]
        assert (row["features"], row["found"]) == (len(kept), sum(kept.values()))
        assert row["by"] == "base.reseed+base.reseed2"
    assert not ((table["control"] == "stable") & (table["edge"] == "tales-both")).any()


@pytest.mark.parametrize("stratum", STRATA, ids=lambda each: each[1])
def test_the_frozen_dictionary_compares_a_feature_with_itself(shares, stratum):
    for control, child in {
        "frozen": "lua",
        "frozen_unrelated": "otherlua",
        "frozen_random": "noise",
        "frozen_continued": "further",
    }.items():
        rows = drawn_frozen("base", child)
        looks = known("base.main", f"{child}.main", "home").lookup_a
        for tau in TAUS:
            answer = {
                i: row["r"] > tau and row["child_firings"] >= 20 and row["child_documents"] >= 5
                for i, row in enumerate(rows.to_dict("records"))
                if row["firings"] >= 20
                and row["documents"] >= 5
                and inside(i, rows["firings"], looks, stratum)
            }
            assert shares["base-lua", control, *stratum, tau] == pytest.approx(share(answer))


def test_the_interval_over_seeds_is_the_grids_jackknife(table):
    for edge, stratum, tau in [
        *(("base-lua", stratum, tau) for stratum in STRATA for tau in TAUS),
        ("base-tales", ALL, 0.7),
        ("lua-both", CONTEXTUAL, 0.7),
    ]:
        parent, child = edge.split("-")
        grid = [
            [
                share(found_in(f"{parent}.{a}", f"{child}.{b}", tau, stratum))
                for b in SEEDS.get(child, ["main"])
            ]
            for a in SEEDS[parent]
        ]
        expected = jackknife(np.array(grid))
        of = table.query("edge == @edge and kind == @stratum[0] and threshold == @tau")
        of = of[of["stratum"] == stratum[1]].set_index("control")
        for control, middle in (("edge", grid[0][0]), ("edge_mean", np.mean(grid))):
            assert of["share"][control] == pytest.approx(middle)
            assert of["low"][control] == pytest.approx(expected.low)
            assert of["high"][control] == pytest.approx(expected.high)
        drawn = drawn_bootstrap(parent, child, TAUS)
        drawn = drawn[drawn["threshold"] == tau]
        drawn = drawn[(drawn["side"] == "a") & (drawn["kind"] == stratum[0])]
        replicates = drawn.loc[drawn["stratum"] == stratum[1], "share"].dropna()
        documents = replicates.var() if len(replicates) > 1 else 0.0
        both = together(np.array(grid), documents)
        assert of["share"]["edge_both"] == pytest.approx(both.estimate)
        assert (of["low"]["edge_both"], of["high"]["edge_both"]) == pytest.approx(both[1:])
        assert of["by"]["edge_both"].endswith(", documents") == (len(replicates) > 1)
    alone = table[(table["edge"] == "tales-both") & (table["control"] == "edge")]
    assert alone["low"].isna().all() and alone["share"].notna().all()
    assert "edge_mean" not in set(table.loc[table["edge"] == "tales-both", "control"])


def test_the_interval_over_documents_is_the_bootstraps(table, shares):
    rows = drawn_bootstrap("base", "lua", TAUS)
    found = table[(table["control"] == "bootstrap") & (table["edge"] == "base-lua")]
    assert set(zip(found["kind"], found["stratum"], strict=True)) == {ALL, ("lookup", "lookup")}
    for row in found.to_dict("records"):
        of = rows[(rows["side"] == "a") & (rows["kind"] == row["kind"])]
        values = of.loc[of["threshold"] == row["threshold"], "share"].dropna()
        assert len(values) == (25 if row["kind"] == "all" else 24)
        assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
        key = ("base-lua", "edge", row["kind"], row["stratum"], row["threshold"])
        assert row["share"] == shares[key]


def test_what_the_table_looks_like(table):
    assert list(table) == list(COLUMNS)
    assert list(table)[:7] == ["edge", "domain", "control", "threshold", "share", "low", "high"]
    assert set(table["domain"]) == {"home"} and sorted(set(table["threshold"])) == TAUS
    first = table.groupby(["edge", "control"], sort=False)[["kind", "stratum"]].first()
    assert set(first["kind"]) == set(first["stratum"]) == {"all"}
    by = table.drop_duplicates(["edge", "control"]).set_index(["edge", "control"])["by"]
    assert by["base-lua", "edge"] == "base.main-lua.main"
    assert by["base-lua", "unrelated"] == "base.main-otherlua.main"
    assert by["base-lua", "edge_mean"] == ("base.main+base.reseed+base.reseed2-lua.main+lua.reseed")
    assert by["base-lua", "edge_both"] == "seeds of base+lua, documents"
    assert by["base-tales", "edge_both"] == "seeds of base, documents"
    assert by["base-lua", "ceiling"] == by["tales-both", "ceiling"] == "base+lua"
    assert by["base-tales", "ceiling"] == "base"
    assert by["base-lua", "frozen_unrelated"] == "base.main on otherlua"
    known_counts = table[table["features"].notna()]
    ratio = known_counts["found"] / known_counts["features"]
    np.testing.assert_allclose(ratio.astype(float), known_counts["share"])
    assert (known_counts["fragile"].fillna(0) <= known_counts["found"]).all()
    made = table[table["features"].isna()]["control"]
    assert set(made) == {"edge_mean", "edge_both", "ceiling", "ceiling_parent", "ceiling_child"}


def test_same_inputs_same_bytes_with_provenance(study, table, by_domain, caplog):
    file = study.path(paths.FLOW_CONTROLS)
    before = file.read_bytes()
    with caplog.at_level("INFO", "featflow"):
        run(study)
    assert caplog.messages[:2] == [
        "base: 3 seeds of its SAE",
        "lua: 2 seeds of its SAE; a published figure wants three or more",
    ]
    assert caplog.messages[2].startswith("base-lua: edge ")
    rows = pd.concat([table, by_domain[by_domain["domain"] != "home"]])
    rows = rows[(rows["threshold"] == 0.8) & (rows["kind"] == "all")]
    rows = rows[(rows["fragile_share"] > 0.05) & (rows["control"] != "bootstrap")]
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(told) == len(rows) > 0
    part = rows.set_index(["edge", "domain", "control"])["fragile_share"][
        "base-lua", "home", "edge"
    ]
    assert told[0] == (
        f"base-lua on home: {part:.1%} of what edge finds (base.main-lua.main) hang on a handful "
        "of rows: without these r is not above 0.8"
    )
    assert file.read_bytes() == before
    provenance = json.loads(pq.read_schema(file).metadata[b"featflow"])
    inputs = [*study.each(paths.SHARES), *study.each(paths.BOOTSTRAP)]
    inputs += study.each(paths.FROZEN, transferred=True)
    assert provenance["stage"] == "controls" and len(provenance["inputs"]) == len(inputs)


def test_a_threshold_is_strict_in_float32():
    """A stored 0.8 is 0.8000000119 in float64: no match at 0.8, as in stage flow."""
    r = np.array([0.8, np.nextafter(np.float32(0.8), np.float32(1)), np.nan], dtype=np.float32)
    side = Judged(np.ones(3, bool), r, np.full(3, 0.9), np.full(3, 0.01))
    assert tally(side, np.array([0.8]))[ALL].found.tolist() == [1]


def without(*saes: str, **changes) -> dict:
    settings = copy.deepcopy(SETTINGS) | changes
    settings["saes"] = {name: s for name, s in settings["saes"].items() if name not in saes}
    return settings


def test_a_study_without_reseeds_and_transfer_has_fewer_controls(tmp_path):
    bare = {"thresholds": [0.6], "transfer": False, "shift": False, "bootstrap": 0}
    table = run(plant(tmp_path, without("reseed", "reseed2", "mixed", controls=bare)))
    assert set(table["control"]) == {"edge", "bootstrap", "unrelated", "random", "continued"}
    assert table.loc[table["control"] == "edge", "low"].isna().all()


def bests(file, rows: pd.DataFrame) -> Bests:
    rows.to_parquet(file)
    return Bests([Compared(parent="base", child="lua")], [file], Flow())


def test_a_table_that_lacks_a_pair_or_a_feature_is_named(study, tmp_path):
    rows = pd.read_parquet(study.path(paths.SHARES, parent="base", child="lua"))
    file = tmp_path / "best.parquet"
    found = bests(file, rows[rows["b"] != "reseed"])
    with pytest.raises(
        ArtifactError, match=r"best\.parquet: .*base\.main with lua\.reseed on home"
    ):
        found.get("base", "lua", ("main", "reseed", "home", "a"))
    with pytest.raises(ArtifactError, match="not numbered from 0 on"):
        bests(file, rows[rows["feature"] != 3])
    again = bests(file, rows.sample(frac=1, random_state=0))  # their order means nothing
    key = ("main", "main", "home", "a")
    np.testing.assert_array_equal(
        again.get("base", "lua", key).r, bests(file, rows).get("base", "lua", key).r
    )


def test_a_frozen_table_of_another_dictionary_is_named(tmp_path):
    file = tmp_path / "frozen.parquet"
    drawn_frozen("base", "lua").iloc[1:].to_parquet(file)
    with pytest.raises(ArtifactError, match=r"frozen\.parquet: its features are not the 60"):
        frozen(file, Flow(), np.zeros(SIZE))


def test_an_edge_is_on_every_domain_that_it_has(by_domain):
    found = by_domain.groupby("edge")["domain"].agg(lambda each: set(each)).to_dict()
    corpora = {"code", "prose", "home", "union"}
    assert found == {
        "base-lua": corpora | {"intersection"},
        "base-tales": corpora | {"intersection"},
        "lua-both": corpora | {"intersection"},
        "tales-both": corpora | {"intersection"},
    }
    assert list(by_domain) == list(COLUMNS)
    assert by_domain["low"].isna().all() and by_domain["high"].isna().all()
    assert sorted(set(by_domain["threshold"])) == TAUS


@pytest.mark.parametrize("domain", ["code", "prose", "home", "intersection", "union"])
@pytest.mark.parametrize("stratum", [("all", "all"), ("lookup", "contextual")])
def test_every_share_by_domain_is_the_one_counted_by_hand(by_domain, domain, stratum):
    of = by_domain[(by_domain["edge"] == "base-lua") & (by_domain["domain"] == domain)]
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
    cfg = ControlsSlice(
        study="s",
        sae="main",
        flow=Flow(),
        controls=Controls(),
        edges=[("base", "lua")],
        seeds={"base": ["main"], "lua": ["main"]},
        arms=[],
        shares=[Compared(parent="base", child="lua")],
        transfers=[],
    )
    pairs = {("main", "main", "code"): none, ("main", "main", "home"): some}
    pairs["main", "main", "shift"] = some
    file = write_best(tmp_path / "best.parquet", pairs, Provenance("shares", cfg))
    table = controls.domain_table(cfg, Bests(cfg.shares, [file], cfg.flow), np.array([0.8]))
    rows = table[table["kind"] == "all"].set_index("domain")
    assert list(rows.index) == ["code", "home"]  # a shift is no domain
    assert (rows["features"]["code"], rows["found"]["code"]) == (0, 0)
    assert np.isnan(rows["share"]["code"]) and rows["share"]["home"] == 1
