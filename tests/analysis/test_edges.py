"""Stage edges, and all stages from dumps to the table of edges on planted features."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from featflow.analysis import edges
from featflow.analysis.controls import joined
from featflow.analysis.edge_words import over_what
from featflow.analysis.edges import EDGE_COLUMNS, STRATA_COLUMNS, ControlRows, edge_table
from featflow.analysis.terminal import table as text
from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.plan import paths
from featflow.plan.stages import STAGES

from .conftest import write_metrics, write_scaling, write_tables
from .controlled import NAME, SETTINGS, Controlled, Slices, Study, known

DENSITIES = {"base": [0.5, 9.5], "lua": [9.0, 2.2], "tales": [4.0, 5.0], "both": [10.0]}
"""Of the features: L0 is 10, 11.2, 9 and 10; tales and both have nine tenths of the larger."""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Controlled:
    root = tmp_path_factory.mktemp("edges")
    made = Controlled(root, Slices(NAME, Study.model_validate(SETTINGS)))
    for model, density in DENSITIES.items():
        cfg = STAGES["features"].slice(made.slices, model, "main")
        summary = pd.DataFrame({"density": np.array(density)})
        save_table(made.path(paths.SUMMARY, model=model), summary, Provenance("features", cfg))
    write_tables(made.slices, "main", root, known)
    return made


@pytest.fixture(scope="module")
def rows(study) -> pd.DataFrame:
    return pd.read_csv(study.path(paths.FLOW_EDGES)).set_index("edge")


@pytest.fixture(scope="module")
def controls(study) -> pd.Series:
    table = pd.read_parquet(study.path(paths.FLOW_CONTROLS))
    table = table[table["threshold"] == 0.8]
    return table.set_index(["edge", "control", "kind", "stratum"])["share"].sort_index()


def test_the_counts_stay_as_they_are(study, rows):
    counts = pd.read_csv(study.path(paths.FLOW_COUNTS)).set_index("edge")
    pd.testing.assert_frame_equal(rows[list(counts)], counts)


def test_a_share_stands_beside_its_controls(rows, controls):
    at = ("all", "all")
    for edge, row in rows.iterrows():
        assert row["share"] == pytest.approx(controls[edge, "edge", *at], abs=1e-6)
        assert row["ceiling"] == pytest.approx(controls[edge, "ceiling", *at])
        assert row["share_of_ceiling"] == pytest.approx(row["share"] / row["ceiling"])
        assert row["floor_random"] == pytest.approx(controls[edge, "random", *at])
        assert row["floor"] == pytest.approx(controls[edge, "random", *at])
        assert row["frozen"] == controls[edge, "frozen", *at] == 1
        gap = row["ceiling"] - row["floor"]
        expected = (row["share"] - row["floor"]) / gap if gap > 0 else np.nan
        assert row["corrected"] == pytest.approx(expected, nan_ok=True)
    # one kind for all edges, so that the column compares like with like; the other beside it
    assert set(rows["floor_of"]) == {"random noise"}
    assert rows["floor_unrelated"].notna().tolist() == [True, False, False, False]
    lua = rows.loc["base-lua"]
    assert lua["floor_unrelated"] == pytest.approx(controls["base-lua", "unrelated", *at])
    gap = lua["ceiling"] - lua["floor_unrelated"]
    assert lua["corrected_unrelated"] == pytest.approx(
        (lua["share"] - lua["floor_unrelated"]) / gap if gap > 0 else np.nan, nan_ok=True
    )
    assert rows["corrected_unrelated"].iloc[1:].isna().all()
    assert rows["continued"]["base-lua"] == pytest.approx(controls["base-lua", "continued", *at])
    assert rows["stable_share"]["lua-both"] == pytest.approx(controls["lua-both", "stable", *at])
    assert np.isnan(rows["continued"]["lua-both"])
    assert rows["interval"].fillna("-").tolist() == ["seeds"] * 3 + ["-"]
    assert rows["interval_of"].fillna("-").tolist() == ["base+lua", "base", "lua", "-"]
    assert rows["seed_mean"].notna().tolist() == [True] * 3 + [False]
    centre = (rows["low"] + rows["high"]) / 2
    inner = (rows["low"] > 0) & (rows["high"] < 1)
    assert inner.any() and np.allclose(centre[inner], rows["seed_mean"][inner])


def test_what_hangs_on_a_handful_of_rows_stands_beside_each_share(study, rows):
    table = pd.read_parquet(study.path(paths.FLOW_CONTROLS))
    table = table[(table["threshold"] == 0.8) & (table["kind"] == "all")]
    beside = table.groupby(["edge", "control"])[["fragile", "found", "fragile_share"]].sum()
    for edge, row in rows.iterrows():
        at = beside.loc[edge]
        assert row["fragile"] == at["fragile"]["edge"] > 0
        assert row["fragile_share"] == pytest.approx(row["fragile"] / row["persisting"])
        assert row["traced_fragile_share"] == pytest.approx(row["traced_fragile"] / row["traced"])
        assert row["ceiling_fragile_share"] == pytest.approx(at["fragile_share"]["ceiling"])
        floor = at.loc[row["floor_of"].split()[0]]
        expected = floor["fragile"] / floor["found"] if floor["found"] else np.nan
        assert row["floor_fragile_share"] == pytest.approx(expected, nan_ok=True)


def test_a_kind_that_all_edges_have_is_the_floor(study):
    """Were every edge matched by an unrelated lineage, that would be the floor of all."""
    cfg = STAGES["edges"].slice(study.slices, "main")
    table = pd.read_parquet(study.path(paths.FLOW_CONTROLS))
    random = table[table["control"] == "random"]
    matched = random.assign(control="unrelated", by="base.main-other.main", share=0.25)
    counts = pd.read_csv(study.path(paths.FLOW_COUNTS))
    edges = list(counts["edge"])
    for controls, kind in (
        (pd.concat([table[table["control"] != "unrelated"], matched]), "unrelated"),
        (table, "random"),
        (table[table["control"] != "random"], None),  # one edge alone has an unrelated one
        (table[(table["control"] != "random") | (table["edge"] != edges[0])], None),
    ):
        beside = ControlRows(controls, cfg)
        assert beside.common_floor(edges) == kind
        found = edge_table(counts, beside, dict.fromkeys(DENSITIES, 0.0), {})
        assert found["floor"].notna().tolist() == [kind is not None] * len(edges)
        kinds = {str(of).split()[0] for of in found["floor_of"].dropna()}
        assert kinds == ({kind} if kind else set())
    assert ControlRows(table, cfg).common_floor([]) is None


def test_edges_whose_l0_differ_are_flagged(rows):
    assert rows["l0_parent"].tolist() == pytest.approx([10.0, 10.0, 11.2, 9.0])
    assert rows["l0_child"].tolist() == pytest.approx([11.2, 9.0, 10.0, 10.0])
    assert rows["l0_differs"].tolist() == [True, False, True, False]


def test_without_any_control_a_share_stands_alone(study):
    counts = pd.read_csv(study.path(paths.FLOW_COUNTS))
    l0 = dict.fromkeys(DENSITIES, 0.0)
    found = edge_table(
        counts, ControlRows(joined([]), STAGES["edges"].slice(study.slices, "main")), l0, {}
    )
    nothing = ["ceiling", "ceiling_of", "floor", "floor_of", "low", "interval", "corrected"]
    nothing += ["ceiling_fragile_share", "floor_fragile_share"]
    nothing += ["interval_of", "floor_unrelated", "corrected_unrelated", "remarks"]
    assert found[[*nothing, "frozen", "continued", "stable_share"]].isna().all(axis=None)
    assert found["share"].tolist() == counts["share"].tolist()
    assert not found["l0_differs"].any()
    beside = ControlRows(joined([]), STAGES["edges"].slice(study.slices, "main"))
    assert edge_table(counts.iloc[:0], beside, l0, {}).empty


def test_strata_have_the_floor_and_the_ceiling_of_their_own(study, controls):
    table = pd.read_csv(study.path(paths.FLOW_STRATA))
    assert list(table) == list(STRATA_COLUMNS)
    assert set(table["role"]) == {"parent", "child"}
    sums = table.groupby(["edge", "role", "kind"])[["features", "persisting"]].sum()
    for row in pd.read_csv(study.path(paths.FLOW_EDGES)).to_dict("records"):
        for kind in ("all", "lookup", "density"):
            parent, child = (sums.loc[row["edge"], role, kind] for role in ("parent", "child"))
            assert parent.tolist() == [row["parent_features"], row["persisting"]]
            assert child.tolist() == [row["child_features"], row["traced"]]
    for row in table[table["edge"] == "base-lua"].to_dict("records"):
        key = ("base-lua", "ceiling", row["kind"], row["stratum"])
        assert row["ceiling"] == pytest.approx(controls.get(key, np.nan), nan_ok=True)
        keys = [("base-lua", k, row["kind"], row["stratum"]) for k in ("unrelated", "random")]
        floors = [controls.get(key, np.nan) for key in keys]
        if row["role"] == "child" or np.isnan(floors).all():
            assert np.isnan(row["floor"]) and not isinstance(row["floor_of"], str)
        else:
            assert row["floor"] == pytest.approx(np.nanmax(floors))
            higher = ("unrelated otherlua", "random noise")[int(np.nanargmax(floors))]
            assert row["floor_of"] == higher
        if row["role"] == "parent":
            key = ("base-lua", "edge", row["kind"], row["stratum"])
            assert row["share"] == pytest.approx(controls[key])


def test_what_an_interval_is_over_in_words():
    row = {"edge": "base-lua", "low": 0.1, "high": 0.2}
    for interval, of, said in (
        ("seeds", "base+lua", "the SAE seeds of both ends"),
        ("seeds", "base", "the SAE seeds of both ends (lua’s taken to scatter as base’s)"),
        ("seeds+documents", "base+lua", "the SAE seeds of both ends and documents"),
        (
            "seeds+documents",
            "lua",
            "the SAE seeds of both ends (base’s taken to scatter as lua’s) and documents",
        ),
        ("documents", None, "documents, for these very SAEs"),
        ("documents", np.nan, "documents, for these very SAEs"),
    ):
        assert over_what({**row, "interval": interval, "interval_of": of}) == said
    assert over_what({**row, "low": np.nan, "interval": np.nan, "interval_of": np.nan}) == ""


def test_the_typed_table_is_the_same_with_its_provenance(study):
    typed = pd.read_parquet(study.path(paths.FLOW_SHARES))
    csv = pd.read_csv(study.path(paths.FLOW_EDGES))
    assert list(typed) == list(csv) == list(EDGE_COLUMNS)
    pd.testing.assert_frame_equal(typed, csv, check_dtype=False)
    assert typed["l0_differs"].dtype == bool
    metadata = pq.read_schema(study.path(paths.FLOW_SHARES)).metadata
    provenance = json.loads(metadata[b"featflow"])
    cfg = STAGES["edges"].slice(study.slices, "main")
    files = 3 + len(DENSITIES) + len(cfg.saes) + len(cfg.scaled)
    assert provenance["stage"] == "edges" and len(provenance["inputs"]) == files


def test_what_latent_scaling_says_is_counted_beside_what_is_traced(study, rows):
    fates = pd.read_parquet(study.path(paths.FLOW_FEATURES))
    files = write_scaling(study.slices, "main", study.root)
    scaled = STAGES["edges"].slice(study.slices, "main").scaled
    assert len(scaled) == 4
    for (parent, child), file in zip(scaled, files, strict=True):
        nu = pd.read_parquet(file).to_dict("records")
        row = rows.loc[f"{parent}-{child}"]
        of = fates[(fates["edge"] == f"{parent}-{child}") & (fates["role"] == "child")]
        for end, fate in (("emerging", "emerging"), ("traced", "persisting")):
            found = [nu[i] for i in of[of["fate"] == fate]["feature"]]
            found = [x for x in found if x["nu_error"] >= 0 and x["nu_reconstruction"] >= 0]
            assert row[f"{end}_scaled"] == len(found)
            assert row[f"{end}_specific"] == sum(
                x["nu_error"] < 0.2 and x["nu_reconstruction"] < 0.5 for x in found
            )
            errors = [x["nu_error"] for x in found]
            middle = float(np.median(errors)) if errors else np.nan
            assert row[f"{end}_nu_error"] == pytest.approx(middle, nan_ok=True)
    assert rows["emerging_scaled"].sum() > 0 < rows["traced_scaled"].sum()


def test_a_share_that_its_controls_do_not_know_is_said(study, tmp_path, caplog):
    counts = pd.read_csv(study.path(paths.FLOW_COUNTS))
    counts.loc[0, "share"] += 0.1
    counts.to_csv(tmp_path / "counts.csv", index=False)
    cfg = STAGES["edges"].slice(study.slices, "main")
    with caplog.at_level("WARNING", "featflow"):
        edges.run(
            cfg,
            counts=tmp_path / "counts.csv",
            features=study.path(paths.FLOW_FEATURES),
            controls=study.path(paths.FLOW_CONTROLS),
            summaries=[study.path(paths.SUMMARY, model=model) for model in cfg.models],
            metrics=write_metrics(study.slices, "main", study.root),
            scaling=write_scaling(study.slices, "main", study.root),
            edges=tmp_path / "edges.csv",
            typed=tmp_path / "edges.parquet",
            strata=tmp_path / "strata.csv",
        )
    (warning,) = caplog.messages
    assert warning.startswith("base-lua: ") and "by counts.csv" in warning


def test_the_table_for_the_terminal():
    row = {
        **{name: 0 for name, kind in EDGE_COLUMNS.items() if kind in ("int64", "Int64")},
        "edge": "babypython-tinystories",
        "threshold": 0.8,
        "scope": "intersection",
        "parent_features": 12_100,
        "persisting": 10_230,
        "child_features": 11_100,
        "emerging": 10_870,
        "traced_share": 0.0207,
        "parent_rare": 1100,
        "share": 0.209,
        "child_rare": 1234,
        "parent_silent": 1000,
        "child_silent": 1000,
        "one_to_one": 9_930,
        "low": 0.155,
        "high": 0.255,
        "interval": "documents",
        "floor": 0.1004,
        "floor_of": "random noise",
        "ceiling": 0.5,
        "ceiling_of": "lua",
        "corrected": 0.2723,
        "floor_unrelated": 0.2,
        "corrected_unrelated": 0.03,
        "interval_of": None,
        "remarks": "SAE lua.main is not good enough: L0 9.0, over 20.0% off its target 20",
        "share_of_ceiling": 0.418,
        "stable_share": 0.4,
        "frozen": np.nan,
        "min_firings": 20,
        "min_documents": 5,
        "l0_parent": 20.04,
        "l0_child": 25.0,
        "l0_differs": True,
        "fragile": 1_023,
        "fragile_share": 0.1,
        "traced_fragile": 12,
        "traced_fragile_share": 0.0521,
        "ceiling_fragile_share": 0.05,
        "floor_fragile_share": np.nan,
        "emerging_scaled": 742,
        "emerging_specific": 73,
        "traced_nu_error": 0.131,
        "emerging_nu_error": 0.304,
        "emerging_nu_reconstruction": 0.478,
    }
    other = {**row, "edge": "lua-luastories", "l0_differs": False, "interval": "seeds+documents"}
    other |= {"interval_of": "lua", "floor_unrelated": np.nan, "corrected_unrelated": np.nan}
    said = text(pd.DataFrame([row, other]))
    assert max(map(len, said.splitlines())) <= 100
    first, floors, second, third, fourth, *_ = (
        x.split() for x in said.splitlines() if x.startswith("babypython-tiny")
    )
    assert first[1:] == [
        "20.9%",
        "15.5-25.5",
        "d",
        "10.0%",
        "r",
        "50.0%*",
        "41.8%",
        "27.2%",
        "40.0%",
        "-",
    ]
    assert floors[1:] == ["20.0%", "3.0%"]
    assert second[1:] == [
        "12,100",
        "10,230",
        "11,100",
        "10,870",
        "97.9%",
        "1,000/1,000",
        "1,100/1,234",
        "9,930",
        "20.0/25.0",
    ]
    line = next(x for x in said.splitlines() if x.strip().startswith("lua-luastories"))
    assert "15.5-25.5 sd" in line and "10.0% r" in line and "*" not in line
    assert fourth[1:] == ["73", "of", "742", "9.8%", "(0.30,", "0.48)", "-"]
    assert third[1:] == ["1,023", "10.0%", "12", "5.2%", "5.0%", "-"]
    assert "s: luastories has no reseeds, its SAE is taken to scatter as lua's." in said
    flags = [x for x in said.splitlines() if x.startswith("!")]
    assert flags[0].startswith("! babypython-tinystories: L0 20.0 and 25.0 differ")
    assert flags[-1] == "! SAE lua.main is not good enough: L0 9.0, over 20.0% off its target 20."
    # not of the ceiling: 5 % are not over 5 %
    words = " ".join(said.split())
    for edge in ("babypython-tinystories", "lua-luastories"):
        both = "10.0% of the features that persist and 5.2% of the child's features that are traced"
        assert words.count(f"! {edge}: {both} hang on a handful of rows: without these r is") == 1
    assert len(flags) == 4
    assert "ceiling of lua." in said and "r > 0.8" in said and "under 20 firings" in said
    assert "no edge" in text(pd.DataFrame(columns=list(EDGE_COLUMNS)))
