import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from featflow.analysis.flow import COUNT_COLUMNS, count_lines
from featflow.config.study import Flow

from .conftest import Files, activations_pair, many, write_pair

TOKENS, PER_DOCUMENT = 4000, 20


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activations of a parent (T, 13) and a child (T, 17), and each token's document."""
    rng = np.random.default_rng(0)

    def feature() -> np.ndarray:
        return rng.exponential(size=TOKENS) * (rng.random(TOKENS) < 0.1)

    def noised(x: np.ndarray, r: float) -> np.ndarray:
        """Another feature that correlates with x about so much: noise where it fires."""
        where = x > 0
        other = np.where(where, np.abs(rng.normal(size=TOKENS)), 0)
        return np.where(where, x + other * x[where].std() * np.sqrt(1 / r**2 - 1), 0)

    def at(count: int, documents: int) -> np.ndarray:
        """Fires `count` times in the first `documents` documents."""
        x = np.zeros(TOKENS)
        x[rng.permutation(documents * PER_DOCUMENT)[:count]] = 1 + rng.random(count)
        return x

    copies = [feature() for _ in range(4)]
    noisy, lost, split, doubled, alone, spiked = (feature() for _ in range(6))
    half = rng.random(TOKENS) < 0.5
    few, narrow, spike = at(12, 200), at(40, 3), np.zeros(TOKENS)
    spiked[17] = spike[17] = 100.0
    silent = np.zeros(TOKENS)
    parent = [*copies, noisy, lost, split, doubled, alone, spiked, few, narrow, silent]
    child = [
        *(copies[i] * 2 for i in (2, 0, 3, 1)),
        noised(noisy, 0.9),
        noised(lost, 0.2) + feature(),
        split * half,
        split * ~half,
        doubled,
        doubled * 3,
        spike,
        few,
        narrow,
        silent,
        silent,
        feature(),
        feature(),
    ]
    return np.stack(parent, 1), np.stack(child, 1), np.arange(TOKENS) // PER_DOCUMENT


def test_planted_features_give_exactly_the_planted_table(planted, tmp_path, run_flow):
    files = activations_pair(tmp_path / "pair", *planted)
    paths = run_flow({("edge", "base.main", "lua.main"): files})
    row = pd.read_csv(paths["counts"]).iloc[0].to_dict()
    assert list(row)[:14] == [
        "edge",
        "threshold",
        "parent_features",
        "parent_silent",
        "parent_rare",
        "persisting",
        "disappearing",
        "child_features",
        "child_silent",
        "child_rare",
        "traced",
        "emerging",
        "mutual",
        "one_to_one",
    ]
    expected = {
        "edge": "base-lua",
        "threshold": 0.8,
        "parent_features": 10,  # 13 without the silent, the few, the narrow
        "parent_silent": 1,
        "parent_rare": 2,
        "persisting": 6,  # copies, noisy, doubled
        "disappearing": 4,  # lost, split, alone, spiked (whose only partner is rare)
        "child_features": 12,
        "child_silent": 2,
        "child_rare": 3,  # spike, few, narrow
        "traced": 7,  # copies, noised, both doubles
        "emerging": 5,  # noised away, two halves, two new ones
        "mutual": 6,
        "one_to_one": 6,  # of the doubles only one
        "share": 0.6,
        "traced_share": 7 / 12,
        "traced_here": 7,
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    assert list(row) == COUNT_COLUMNS


def test_the_fate_of_every_planted_feature(planted, tmp_path, run_flow):
    files = activations_pair(tmp_path / "pair", *planted)
    rows = pd.read_parquet(run_flow({("edge", "base.main", "lua.main"): files})["features"])
    assert list(rows)[:7] == ["edge", "role", "model", "feature", "fate", "partner", "r"]
    parent, child = rows[rows["role"] == "parent"], rows[rows["role"] == "child"]
    assert set(parent["model"]) == {"base"} and set(child["model"]) == {"lua"}
    yes, no = "persisting", "disappearing"
    expected = [*[yes] * 5, no, no, yes, no, no, "rare", "rare", "silent"]
    assert parent["fate"].tolist() == expected
    assert parent["partner"].tolist()[:5] == [1, 3, 0, 2, 4]
    assert parent["partner"].tolist()[7] == 8  # of two equal ones the first
    assert parent["partner"].isna().tolist() == [False] * 12 + [True]
    new = "emerging"
    expected = [*[yes] * 5, *[new] * 3, yes, yes, *["rare"] * 3, "silent", "silent", new, new]
    assert child["fate"].tolist() == expected
    assert child["partner"].tolist()[6:10] == [6, 6, 7, 7]
    assert (parent["r"][:4] == 1).all() and 0.85 < parent["r"].iloc[4] < 0.99


def pair_of(links, shape=(4, 4), value=0.9):
    r = np.zeros(shape, np.float32)
    for i, j in links:
        r[i, j] = value
    return r


def test_a_merge_is_traced_to_any_parent(tmp_path, run_flow):
    firings = np.array([100, 100, 100, 5])
    rare_on_one = many(4)._replace(own=firings, there=firings)
    paths = run_flow(
        {
            ("edge", "lua.main", "both.main"): write_pair(tmp_path / "1", pair_of([(0, 0)])),
            ("edge", "stories.main", "both.main"): write_pair(
                tmp_path / "2", pair_of([(1, 1), (2, 1), (3, 3)]), b=rare_on_one
            ),
        }
    )
    edges = pd.read_csv(paths["counts"]).set_index("edge")
    assert edges["traced_here"].to_dict() == {"lua-both": 1, "stories-both": 1}
    assert edges["traced"].to_dict() == {"lua-both": 2, "stories-both": 2}
    assert edges["emerging"].to_dict() == {"lua-both": 2, "stories-both": 1}
    assert edges["persisting"].to_dict() == {"lua-both": 1, "stories-both": 2}
    rows = pd.read_parquet(paths["features"])
    fates = rows[rows["role"] == "child"].groupby("edge")["fate"].apply(list).to_dict()
    yes, no = "persisting", "emerging"
    assert fates == {"lua-both": [yes, yes, no, no], "stories-both": [yes, yes, no, "rare"]}


def test_what_hangs_on_a_handful_of_rows_is_counted_and_said(tmp_path, run_flow, caplog):
    r, trimmed = np.eye(40, dtype=np.float32), np.eye(40)
    trimmed[:2], trimmed[2, 2] = np.nan, 0.8
    few = trimmed.copy()
    few[1], few[2] = np.eye(40)[1:3]
    for name, planted, hanging in (("many", trimmed, 3), ("few", few, 1)):
        caplog.clear()
        files = write_pair(tmp_path / name, r, trimmed=planted)
        with caplog.at_level("WARNING", "featflow"):
            found = run_flow({("edge", "base.main", "lua.main"): files})
        row = pd.read_csv(found["counts"]).iloc[0]
        assert row["persisting"] == row["traced"] == 40
        assert row["fragile"] == row["traced_fragile"] == hanging
        assert row["fragile_share"] == row["traced_fragile_share"] == hanging / 40
        expected = (
            "base-lua: 7.5% of the features that persist and 7.5% of the child's features that are "
            "traced hang on a handful of rows: without these r is not above 0.8"
        )
        assert caplog.messages == ([expected] if hanging == 3 else [])
    rows = pd.read_parquet(found["features"])
    rows = rows[rows["role"] == "parent"]
    np.testing.assert_array_equal(rows["r_trimmed"], np.diag(few).astype(np.float32))
    assert (rows["fate"] == "persisting").all()  # it changes no fate


def test_what_is_traced_to_a_second_parent_without_them_is_not_fragile(tmp_path, run_flow):
    def files(name: str, links, holding) -> Files:
        trimmed = pair_of(holding)
        return write_pair(tmp_path / name, pair_of(links), trimmed=trimmed)

    edges = pd.read_csv(
        run_flow(
            {
                ("edge", "lua.main", "both.main"): files("1", [(0, 0), (1, 1)], []),
                ("edge", "stories.main", "both.main"): files("2", [(0, 0), (2, 2)], [(0, 0)]),
            }
        )["counts"]
    ).set_index("edge")
    assert edges["fragile"].to_dict() == {"lua-both": 2, "stories-both": 1}
    assert edges["traced"].to_dict() == {"lua-both": 3, "stories-both": 3}
    # 0 holds in stories; 1 and 2 hold in neither parent that they are traced to
    assert edges["traced_fragile"].to_dict() == {"lua-both": 2, "stories-both": 2}


def test_giant_rows_that_unrelated_features_share_make_them_persist_and_fragile(tmp_path, run_flow):
    """From activations to the table: two copies, two pairs that have three rows in common."""
    from scipy.sparse import csr_array

    from featflow.features.correlation import correlate
    from featflow.features.scope import Rows, Source

    rng = np.random.default_rng(0)
    base, lua = (rng.exponential(size=(TOKENS, 4)) * (rng.random((TOKENS, 4)) < 0.05) for _ in "ab")
    lua[:, :2] = base[:, :2]
    giants = np.array([3, 1200, 3999])
    for feature, size in ((2, 1e3), (3, 30)):
        base[giants, feature] = lua[giants, feature] = size
    document = np.arange(TOKENS) // PER_DOCUMENT
    source = Source(np.zeros(TOKENS, np.int32), document, (document % 2).astype(np.int8))
    whole = Rows([], range(TOKENS), range(TOKENS))
    sparse = (csr_array(x.astype(np.float32)) for x in (base, lua))
    (r,), matches = correlate(*sparse, whole, source, 10, (20, 5))
    assert (r.diagonal() > 0.8).all()
    files = Files(tmp_path / "matches.parquet", tmp_path / "matrix.safetensors")
    matches.to_parquet(files.matches)
    save_file({"r": r}, files.matrix)
    found = run_flow({("edge", "base.main", "lua.main"): files})
    row = pd.read_csv(found["counts"]).iloc[0]
    assert (row["persisting"], row["fragile"], row["traced_fragile"]) == (4, 2, 2)
    rows = pd.read_parquet(found["features"])
    rows = rows[rows["role"] == "parent"]
    np.testing.assert_allclose(rows["r_trimmed"], [1, 1, 0, 0], atol=0.05)


def test_tables_agree_with_each_other(tmp_path, run_flow):
    rng = np.random.default_rng(3)

    def files(name: str, high: float):
        r = rng.uniform(0, high, (60, 50)).astype(np.float32)
        looks = {f"lookup_{side}": rng.uniform(0, 1, n) for side, n in (("a", 60), ("b", 50))}
        a, b = (many(n)._replace(own=rng.choice([0, 7, 30, 300, 3000, 30000], n)) for n in (60, 50))
        r[a.own == 0], r[:, b.own == 0] = np.nan, np.nan
        a, b = a._replace(there=a.own), b._replace(there=b.own)
        return write_pair(tmp_path / name, r, a=a, b=b, **looks)

    paths = run_flow(
        {
            ("edge", "base.main", "lua.main"): files("1", 0.805),
            ("edge", "base.main", "poems.main"): files("2", 0.81),
            ("edge", "lua.main", "both.main"): files("3", 0.81),
            ("edge", "poems.main", "both.main"): files("4", 0.81),
        }
    )
    features = pd.read_parquet(paths["features"])
    counts = features.value_counts(["edge", "role", "fate"]).sort_index()
    for row in pd.read_csv(paths["counts"]).to_dict("records"):
        of = {role: counts[row["edge"], role] for role in ("parent", "child")}
        assert row["persisting"] == of["parent"]["persisting"]
        assert row["disappearing"] == of["parent"]["disappearing"]
        assert row["traced"] == of["child"]["persisting"]
        assert row["emerging"] == of["child"]["emerging"]
        assert (row["parent_silent"], row["child_rare"]) == (
            of["parent"]["silent"],
            of["child"]["rare"],
        )
        assert row["persisting"] + row["disappearing"] == row["parent_features"]
        assert row["traced"] + row["emerging"] == row["child_features"]
        assert row["share"] == row["persisting"] / row["parent_features"]
        assert row["one_to_one"] <= min(row["persisting"], row["traced_here"])
        assert row["mutual"] <= row["one_to_one"]


def test_the_log_has_the_counts(tmp_path, run_flow, caplog):
    r = np.diag([0.9, 0.9, 0.1, 0.1]).astype(np.float32)
    with caplog.at_level("INFO", "featflow"):
        run_flow({("edge", "base.main", "lua.main"): write_pair(tmp_path / "1", r)})
    assert caplog.messages[0].startswith("base-lua: 2 of 4 persist (50.0%), 2 of 4 emerge")
    assert any(message.startswith("base: 2 of 4") for message in caplog.messages)


def test_strata_borders(tmp_path, run_flow):
    looks = np.array([0.5, 0.51, 0.8, 0.81, np.nan])
    firings = np.array([99, 100, 1000, 10_000, 100_000])
    counts = many(5)._replace(own=firings, there=firings)
    files = write_pair(tmp_path / "1", np.eye(5), a=counts, lookup_a=looks, tokens=1_000_000)
    rows = pd.read_parquet(run_flow({("edge", "a.main", "b.main"): files})["features"])
    rows = rows[rows["role"] == "parent"]
    assert rows["lookup"].tolist() == ["contextual", "between", "between", "lookup", "unknown"]
    assert rows["density"].tolist() == ["<-4", "-4..-3", "-3..-2", "-2..-1", ">=-1"]


def test_threshold_and_rarity_come_from_the_config(tmp_path, run_flow):
    counts = many(4)._replace(own=np.array([30, 100, 100, 100]))
    files = write_pair(tmp_path / "1", np.diag([0.95, 0.7, 0.7, 0.3]), a=counts)
    pairs = {("edge", "a.main", "b.main"): files}
    loose = pd.read_csv(run_flow(pairs, threshold=0.6)["counts"]).iloc[0]
    assert (loose["threshold"], loose["persisting"], loose["parent_rare"]) == (0.6, 3, 0)
    strict = pd.read_csv(run_flow(pairs, min_firings=31)["counts"]).iloc[0]
    assert (strict["persisting"], strict["parent_rare"], strict["parent_features"]) == (0, 1, 3)
    assert (strict["scope"], strict["min_firings"], strict["min_documents"]) == ("home", 31, 5)
    wide = pd.read_csv(run_flow(pairs, min_documents=51)["counts"]).iloc[0]
    assert wide["parent_rare"] == wide["child_rare"] == 4


def test_nothing_alive_and_no_pairs(tmp_path, run_flow):
    dead = many(3)._replace(own=np.zeros(3, int), there=np.zeros(3, int))
    files = write_pair(tmp_path / "1", np.full((3, 3), np.nan), a=dead, b=dead)
    row = pd.read_csv(run_flow({("edge", "a.main", "b.main"): files})["counts"]).iloc[0]
    assert (row["parent_silent"], row["persisting"], row["one_to_one"]) == (3, 0, 0)
    assert np.isnan(row["share"])
    paths = run_flow({})
    assert len(pd.read_csv(paths["counts"])) == 0
    for name in ("features", "chains"):
        assert len(pd.read_parquet(paths[name])) == 0
    assert "no edge" in count_lines(pd.read_csv(paths["counts"]))[0]


def test_same_inputs_same_bytes_with_provenance(planted, tmp_path, run_flow):
    files = activations_pair(tmp_path / "pair", *planted)
    pairs = {("edge", "base.main", "lua.main"): files}
    first = {name: path.read_bytes() for name, path in run_flow(pairs).items()}
    assert {name: path.read_bytes() for name, path in run_flow(pairs).items()} == first
    metadata = pq.read_schema(run_flow(pairs)["chains"]).metadata
    provenance = json.loads(metadata[b"featflow"])
    assert provenance["stage"] == "flow" and len(provenance["inputs"]) == 2


def test_flow_does_not_import_torch():
    code = "import featflow.analysis.flow, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_new_control_never_reruns_the_flow():
    from featflow.plan.fingerprint import closure

    names = {
        name.split(".")[-1] for name in closure("featflow.analysis.flow") if "analysis" in name
    }
    beside = {"controls", "ceilings", "persistence", "intervals", "edges"}
    assert {"flow", "fates", "chains"} <= names and not names & beside


def test_defaults_are_what_the_docs_say():
    assert (Flow().threshold, Flow().min_firings, Flow().min_documents) == (0.8, 20, 5)


def test_it_reads_what_the_correlation_stage_writes(planted, tmp_path, run_flow):
    """The planted table once more, through the real correlation."""
    from scipy.sparse import csr_array

    from featflow.features.correlation import correlate
    from featflow.features.scope import Rows, Source

    parent, child, document = planted
    rows = Rows([], range(TOKENS), range(TOKENS))
    source = Source(np.zeros(TOKENS, np.int32), document, (document % 2).astype(np.int8))
    a, b = csr_array(parent.astype(np.float32)), csr_array(child.astype(np.float32))
    r, matches = correlate(a, b, rows, source, 10, (20, 5))
    assert len(r) == 1
    files = Files(tmp_path / "matches.parquet", tmp_path / "matrix.safetensors")
    matches.to_parquet(files.matches)
    save_file({"r": r[0]}, files.matrix)
    real = pd.read_csv(run_flow({("edge", "base.main", "lua.main"): files})["counts"])
    known = activations_pair(tmp_path / "pair", *planted)
    expected = pd.read_csv(run_flow({("edge", "base.main", "lua.main"): known})["counts"])
    pd.testing.assert_frame_equal(real, expected)
