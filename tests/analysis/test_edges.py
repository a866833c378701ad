"""Stage edges, and all stages from dumps to the table of edges on planted features."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from featflow.analysis import edges
from featflow.analysis.edge_tables import EDGE_COLUMNS, STRATA_COLUMNS, Beside, edge_table
from featflow.analysis.edge_words import table as text
from featflow.analysis.lines import joined
from featflow.core import paths
from featflow.core.artifacts import save_table
from featflow.core.provenance import Provenance

from .conftest import write_tables
from .controlled import NAME, SETTINGS, Controlled, Slices, Study, known

DENSITIES = {"base": [0.5, 9.5], "lua": [9.0, 2.2], "tales": [4.0, 5.0], "both": [10.0]}
"""Of the features: L0 is 10, 11.2, 9 and 10; tales and both have nine tenths of the larger."""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Controlled:
    root = tmp_path_factory.mktemp("edges")
    made = Controlled(root, Slices(NAME, Study.model_validate(SETTINGS)))
    for model, density in DENSITIES.items():
        cfg = made.slices.features(model, "main")
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
        kind = "unrelated" if edge == "base-lua" else "random"
        assert row["floor"] == pytest.approx(controls[edge, kind, *at])
        assert row["frozen"] == controls[edge, "frozen", *at] == 1
        gap = row["ceiling"] - row["floor"]
        expected = (row["share"] - row["floor"]) / gap if gap > 0 else np.nan
        assert row["corrected"] == pytest.approx(expected, nan_ok=True)
    assert rows["floor_of"].to_dict() == {
        "base-lua": "unrelated otherlua",
        **dict.fromkeys(["base-tales", "lua-both", "tales-both"], "random noise"),
    }
    assert rows["continued"]["base-lua"] == pytest.approx(controls["base-lua", "continued", *at])
    assert rows["stable_share"]["lua-both"] == pytest.approx(controls["lua-both", "stable", *at])
    assert np.isnan(rows["continued"]["lua-both"])
    assert rows["interval"].fillna("-").tolist() == ["seeds"] * 3 + ["-"]
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


def test_edges_whose_l0_differ_are_flagged(rows):
    assert rows["l0_parent"].tolist() == pytest.approx([10.0, 10.0, 11.2, 9.0])
    assert rows["l0_child"].tolist() == pytest.approx([11.2, 9.0, 10.0, 10.0])
    assert rows["l0_differs"].tolist() == [True, False, True, False]


def test_without_any_control_a_share_stands_alone(study):
    counts = pd.read_csv(study.path(paths.FLOW_COUNTS))
    l0 = dict.fromkeys(DENSITIES, 0.0)
    found = edge_table(counts, Beside(joined([]), study.slices.edges("main")), l0)
    nothing = ["ceiling", "ceiling_of", "floor", "floor_of", "low", "interval", "corrected"]
    nothing += ["ceiling_fragile_share", "floor_fragile_share"]
    assert found[[*nothing, "frozen", "continued", "stable_share"]].isna().all(axis=None)
    assert found["share"].tolist() == counts["share"].tolist()
    assert not found["l0_differs"].any()
    assert edge_table(counts.iloc[:0], Beside(joined([]), study.slices.edges("main")), l0).empty


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
        key = ("base-lua", "unrelated", row["kind"], row["stratum"])
        floor = controls.get(key, np.nan) if row["role"] == "parent" else np.nan
        assert row["floor"] == pytest.approx(floor, nan_ok=True)
        if row["role"] == "parent":
            key = ("base-lua", "edge", row["kind"], row["stratum"])
            assert row["share"] == pytest.approx(controls[key])


def test_the_typed_table_is_the_same_with_its_provenance(study):
    typed = pd.read_parquet(study.path(paths.FLOW_SHARES))
    csv = pd.read_csv(study.path(paths.FLOW_EDGES))
    assert list(typed) == list(csv) == list(EDGE_COLUMNS)
    pd.testing.assert_frame_equal(typed, csv, check_dtype=False)
    assert typed["l0_differs"].dtype == bool
    metadata = pq.read_schema(study.path(paths.FLOW_SHARES)).metadata
    provenance = json.loads(metadata[b"featflow"])
    assert provenance["stage"] == "edges" and len(provenance["inputs"]) == 3 + len(DENSITIES)


def test_a_share_that_its_controls_do_not_know_is_said(study, tmp_path, caplog):
    counts = pd.read_csv(study.path(paths.FLOW_COUNTS))
    counts.loc[0, "share"] += 0.1
    counts.to_csv(tmp_path / "counts.csv", index=False)
    cfg = study.slices.edges("main")
    with caplog.at_level("WARNING", "featflow"):
        edges.run(
            cfg,
            counts=tmp_path / "counts.csv",
            features=study.path(paths.FLOW_FEATURES),
            controls=study.path(paths.FLOW_CONTROLS),
            summaries=[study.path(paths.SUMMARY, model=model) for model in cfg.models],
            edges=tmp_path / "edges.csv",
            typed=tmp_path / "edges.parquet",
            strata=tmp_path / "strata.csv",
        )
    (warning,) = caplog.messages
    assert warning.startswith("base-lua: ") and "by counts.csv" in warning


def test_the_table_for_the_terminal():
    row = {
        **{name: 0 for name, kind in EDGE_COLUMNS.items() if kind == "int64"},
        **{"edge": "babypython-tinystories", "threshold": 0.8, "scope": "intersection"},
        **{"parent_features": 12_100, "persisting": 10_230, "child_features": 11_100},
        **{"emerging": 10_870, "traced_share": 0.0207, "parent_rare": 1100, "share": 0.209},
        **{"child_rare": 1234, "parent_silent": 1000, "child_silent": 1000, "one_to_one": 9_930},
        **{"low": 0.155, "high": 0.255, "interval": "documents", "floor": 0.1004},
        **{"floor_of": "unrelated other", "ceiling": 0.5, "ceiling_of": "lua", "corrected": 0.2723},
        **{"share_of_ceiling": 0.418},
        **{"stable_share": 0.4, "frozen": np.nan, "min_firings": 20, "min_documents": 5},
        **{"l0_parent": 20.04, "l0_child": 25.0, "l0_differs": True, "fragile": 1_023},
        **{"fragile_share": 0.1, "traced_fragile": 12, "traced_fragile_share": 0.0521},
        **{"ceiling_fragile_share": 0.05, "floor_fragile_share": np.nan},
    }
    other = {**row, "edge": "lua-luastories", "l0_differs": False, "interval": "seeds"}
    other |= {"ceiling_of": "lua", "floor_of": "random noise"}
    said = text(pd.DataFrame([row, other]))
    assert max(map(len, said.splitlines())) <= 100
    first, second, third = (x.split() for x in said.splitlines() if x.startswith("babypython-tiny"))
    assert first[1:] == [
        *("20.9%", "15.5-25.5", "d", "10.0%", "u", "50.0%*", "41.8%", "27.2%", "40.0%", "-"),
    ]
    assert second[1:] == [
        *("12,100", "10,230", "11,100", "10,870", "97.9%", "1,000/1,000", "1,100/1,234"),
        *("9,930", "20.0/25.0"),
    ]
    line = next(x for x in said.splitlines() if x.strip().startswith("lua-luastories"))
    assert "15.5-25.5 s" in line and "10.0% r" in line and "*" not in line
    assert third[1:] == ["1,023", "10.0%", "12", "5.2%", "5.0%", "-"]
    flags = [x for x in said.splitlines() if x.startswith("!")]
    assert flags[0].startswith("! babypython-tinystories: L0 20.0 and 25.0 differ")
    # not of the ceiling: 5 % are not over 5 %
    words = " ".join(said.split())
    for edge in ("babypython-tinystories", "lua-luastories"):
        for part in ("10.0% of the features that persist", "5.2% of the child's features that are"):
            assert sum(x.startswith(f"! {edge}: {part}") for x in flags) == 1
    assert len(flags) == 5
    assert words.count("hang on a handful of rows: without these r is not above 0.8.") == 4
    assert "ceiling of lua." in said and "r > 0.8" in said and "under 20 firings" in said
    assert "no edge" in text(pd.DataFrame(columns=list(EDGE_COLUMNS)))
