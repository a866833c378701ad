import numpy as np
import pandas as pd
import pytest

from featflow.analysis.chain_counts import chain_counts
from featflow.analysis.chains import COLUMNS

from .conftest import Files, from_floor, many, write_pair

THRESHOLD = np.float32(0.8)


def links(*entries: tuple[int, int, float], size: int = 8) -> np.ndarray:
    r = np.zeros((size, size), np.float32)
    for i, j, value in entries:
        r[i, j] = value
    return r


def chains_of(run_flow, folder, matrices: dict[tuple[str, str, str], np.ndarray], **counts):
    """chains.parquet of pairs (role, a, b) of models; counts: a model's Counts."""
    pairs = {}
    for (role, a, b), r in matrices.items():
        of = {"a": counts.get(a), "b": counts.get(b)}
        pairs[role, f"{a}.main", f"{b}.main"] = write_pair(folder / f"{a}-{b}", r, **of)
    return pd.read_parquet(run_flow(pairs)["chains"])


@pytest.fixture
def diamond(tmp_path, run_flow) -> pd.DataFrame:
    """base → {lua, poems} → both, 8 features each; both's 6 is rare, its 7 silent."""
    firings = np.array([100, 100, 100, 100, 100, 100, 5, 0])
    both = many(8)._replace(own=firings, there=firings)
    of_poems = links((2, 1, 0.9), (3, 2, 0.95), (7, 6, 0.99))
    of_lua = links((0, 0, 0.85), (1, 1, 0.81), (1, 6, 0.99), (6, 3, 0.9))
    span = links((0, 0, 0.7), (5, 1, 0.4), (6, 4, 0.83), (0, 5, 0.9), (1, 1, 0.6))
    of_poems[:, 7] = of_lua[:, 7] = span[:, 7] = np.nan
    matrices = {
        ("edge", "base", "lua"): links((0, 0, 0.9), (5, 1, 0.81), (5, 6, 0.5)),
        ("edge", "base", "poems"): links((0, 4, 0.9), (1, 2, 0.82), (4, 3, 0.8)),
        ("edge", "lua", "both"): of_lua,
        ("edge", "poems", "both"): of_poems,
        ("span", "base", "both"): span,
    }
    return chains_of(run_flow, tmp_path, matrices, both=both)


def test_a_floor_takes_only_the_end_to_end_r_under_it(diamond, tmp_path, run_flow):
    edges = [("base", "lua"), ("base", "poems"), ("lua", "both"), ("poems", "both")]
    pairs = {}
    for role, a, b in [*(("edge", *ends) for ends in edges), ("span", "base", "both")]:
        folder = tmp_path / f"{a}-{b}"
        from_floor(folder / "matrix.safetensors", 0.65)
        pairs[role, f"{a}.main", f"{b}.main"] = Files(
            folder / "matches.parquet", folder / "matrix.safetensors"
        )
    found = pd.read_parquet(run_flow(pairs)["chains"])
    expected = diamond.assign(r_end=diamond["r_end"].where(diamond["r_end"] >= 0.65))
    assert len(diamond["r_end"].dropna()) > len(expected["r_end"].dropna()) > 0
    pd.testing.assert_frame_equal(found, expected)


def test_the_roots_side(diamond):
    base = diamond[diamond["role"] == "root"].set_index("feature")
    assert list(diamond) == list(COLUMNS)
    assert set(base["model"]) == {"base"} and len(base) == 8
    kept = base[base["status"] == "persisting"]
    assert kept["via"].to_dict() == {0: "lua+poems", 1: "poems", 5: "lua"}
    assert (base["status"].drop(kept.index) == "disappearing").all()


def test_the_far_side(diamond):
    both = diamond[diamond["role"] == "descendant"].set_index("feature")
    assert both["status"].tolist() == [
        "base-derived",  # base 0 → lua 0 → 0
        "base-derived",  # base 1 → poems 2 → 1 is 0.82 · 0.9, base 5 → lua 1 → 1 less
        "emerged-in-finetune",  # poems 3 is base 4 at just 0.8
        "emerged-in-finetune",  # lua 6 is base 5 at 0.5
        "emerging",  # but base 6 matches it, which neither fine-tune has
        "emerging",  # base 0 matches it, but lives on in both fine-tunes
        "rare",
        "silent",
    ]
    assert both["via"].dropna().tolist() == ["lua", "lua+poems", "poems", "lua"]
    first = both.loc[1]
    assert (first["parent"], first["parent_feature"]) == ("poems", 2)
    assert (first["root"], first["root_feature"]) == ("base", 1)
    assert first[["r_last", "r_first", "r_end"]].tolist() == pytest.approx([0.9, 0.82, 0.6])
    assert both.loc[0, ["r_last", "r_first", "r_end"]].tolist() == pytest.approx([0.85, 0.9, 0.7])
    later = both.loc[2]
    assert (later["parent"], later["parent_feature"], later["r_last"]) == (
        "poems",
        3,
        pytest.approx(0.95),
    )
    assert later[["root", "root_feature", "r_first", "r_end"]].isna().all()
    assert both.index[both["direct"]].tolist() == [4]
    assert (both.loc[4, "root"], both.loc[4, "root_feature"]) == ("base", 6)
    assert both.loc[4, "r_end"] == pytest.approx(0.83)


def test_what_the_chains_add_up_to(diamond):
    counts = chain_counts(diamond).set_index(["model", "statement"])
    assert counts.apply(tuple, axis=1).to_dict() == {
        ("base", "persist into any child"): (3, 8),
        ("both", "are traced to a parent"): (4, 6),
        ("both", "are derived from a base, of those traced"): (2, 4),
        ("both", "emerged in fine-tuning, of those traced"): (2, 4),
        ("both", "are emerging"): (2, 6),
        ("both", "match a base, but no model between"): (1, 6),
    }


def test_a_fine_tune_of_a_fine_tune(tmp_path, run_flow):
    """base → one → two → three: a feature must be linked all the way down."""
    matrices = {
        ("edge", "base", "one"): links((0, 1, 0.9), (4, 4, 0.9)),
        ("edge", "one", "two"): links((1, 2, 0.95), (5, 5, 0.9)),
        ("edge", "two", "three"): links((2, 3, 0.85), (5, 0, 0.9), (7, 1, 0.9)),
    }
    found = chains_of(run_flow, tmp_path, matrices)
    assert found.groupby("model", sort=False)["role"].first().to_dict() == {
        "base": "root",
        "two": "descendant",
        "three": "descendant",
    }
    three = found[found["model"] == "three"].set_index("feature")
    path = three.loc[3, ["status", "parent", "parent_feature", "root", "root_feature"]]
    assert path.tolist() == ["base-derived", "two", 2, "base", 0]
    assert three.loc[3, ["r_last", "r_first"]].tolist() == pytest.approx([0.85, 0.9])
    assert three["r_end"].isna().all()  # no pair of base and three was correlated
    assert three["status"][[0, 1]].tolist() == ["emerged-in-finetune"] * 2
    assert (three["status"] == "emerging").sum() == 5


def test_a_merge_of_a_base_and_its_fine_tune_and_of_two_bases(tmp_path, run_flow):
    matrices = {
        ("edge", "base", "lua"): links((0, 0, 0.9)),
        ("edge", "base", "both"): links((3, 3, 0.9), (0, 0, 0.82)),
        ("edge", "lua", "both"): links((0, 0, 0.95), (1, 1, 0.9)),
        ("edge", "other", "mixed"): links((2, 2, 0.9)),
        ("edge", "base", "mixed"): links((1, 1, 0.9)),
    }
    found = chains_of(run_flow, tmp_path, matrices)
    both = found[found["model"] == "both"].set_index("feature")
    assert both.loc[3, ["parent", "root", "r_last", "r_first", "r_end"]].tolist() == [
        "base",
        "base",
        *([pytest.approx(0.9)] * 3),
    ]
    assert both.loc[0, "parent"] == "lua"  # 0.95 · 0.9 is more than 0.82
    assert both.loc[0, "r_end"] == pytest.approx(0.82)
    assert both.loc[1, "status"] == "emerged-in-finetune"
    mixed = found[found["model"] == "mixed"].set_index("feature")
    assert mixed["root"].dropna().to_dict() == {1: "base", 2: "other"}
    assert (mixed["status"][[1, 2]] == "base-derived").all()
    assert set(found.loc[found["role"] == "root", "model"]) == {"base", "other"}


@pytest.mark.parametrize("seed", range(6))
def test_random_lineages_against_a_walk_over_every_path(tmp_path, run_flow, seed):
    """Two bases, fine-tunes of fine-tunes, merges of merges."""
    rng = np.random.default_rng(seed)
    lineage = {
        "lua": ["base"],
        "poems": ["base"],
        "more": ["lua"],
        "both": ["lua", "poems"],
        "far": ["other", "both"],
        "last": ["more", "far"],
    }
    matrices = {
        ("edge", parent, child): rng.uniform(0, 0.84, (9, 9)).astype(np.float32)
        for child, parents in lineage.items()
        for parent in parents
    }
    matrices["span", "base", "last"] = rng.uniform(0, 0.84, (9, 9)).astype(np.float32)
    found = chains_of(run_flow, tmp_path, matrices)

    def paths(model: str, feature: int) -> list[tuple]:
        """Every chain of links from here: (product, root or None, its feature, steps)."""
        if model not in lineage:
            return [(1.0, model, feature, [])]
        return [
            (float(r[i]) * product, root, end, [(parent, i, float(r[i])), *steps])
            for parent in lineage[model]
            for r in [matrices["edge", parent, model][:, feature]]
            for i in np.flatnonzero(r > THRESHOLD)
            for product, root, end, steps in paths(parent, i) or [(1.0, None, None, [])]
        ]

    assert set(found.loc[found["role"] == "descendant", "model"]) == {"more", "both", "far", "last"}
    for row in found[found["role"] == "descendant"].to_dict("records"):
        known = paths(row["model"], row["feature"])
        rooted = [path for path in known if path[1] is not None]
        if not known:
            assert row["status"] == "emerging" and pd.isna(row["via"])
            continue
        via = {path[3][0][0] for path in known}
        assert row["via"] == "+".join(p for p in lineage[row["model"]] if p in via)
        assert row["status"] == ("base-derived" if rooted else "emerged-in-finetune")
        if rooted:
            _, root, end, steps = max(rooted, key=lambda path: path[0])
            assert (row["root"], row["root_feature"]) == (root, end)
            assert (row["parent"], row["parent_feature"]) == steps[0][:2]
            assert (row["r_last"], row["r_first"]) == pytest.approx((steps[0][2], steps[-1][2]))
            r = matrices.get(
                ("span", root, row["model"]), matrices.get(("edge", root, row["model"]))
            )
            expected = np.nan if r is None else r[end, row["feature"]]
            assert row["r_end"] == pytest.approx(expected, nan_ok=True)
        else:
            assert row["r_last"] == pytest.approx(max(path[3][0][2] for path in known))
    base_kept = {
        i
        for child in ("lua", "poems")
        for i in np.flatnonzero((matrices["edge", "base", child] > THRESHOLD).any(axis=1))
    }
    root = found[(found["model"] == "base") & (found["status"] == "persisting")]
    assert set(root["feature"]) == base_kept
    last = found[found["model"] == "last"].set_index("feature")
    span = matrices["span", "base", "last"]
    direct = {
        j
        for j in last.index[last["status"] == "emerging"]
        if any(span[i, j] > THRESHOLD for i in range(9) if i not in base_kept)
    }
    assert set(last.index[last["direct"]]) == direct
