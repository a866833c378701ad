import networkx
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from featflow.analysis.fates import compare
from featflow.artifacts.io import ArtifactError
from featflow.config.study import Flow

from .conftest import Counts, from_floor, many, write_pair

FLOW = Flow()
"""τ 0.8, 20 firings, 5 documents."""


def matrix(entries: dict[tuple[int, int], float], shape=(3, 3)) -> np.ndarray:
    r = np.zeros(shape, dtype=np.float32)
    for place, value in entries.items():
        r[place] = value
    return r


def test_the_threshold_is_strict(tmp_path):
    r = matrix({(0, 0): 0.8, (1, 1): np.nextafter(np.float32(0.8), np.float32(1)), (2, 2): 0.79})
    pair = compare(*write_pair(tmp_path, r), FLOW)
    assert pair.a.matched.tolist() == pair.b.matched.tolist() == [False, True, False]
    assert pair.a.partner.tolist() == [0, 1, 2]  # the best partner is told, matched or not


def test_silent_and_rare_are_not_living_and_are_no_partners(tmp_path):
    r = matrix({(0, 0): 0.99, (0, 1): 0.85, (1, 2): 0.95})
    r[2], r[:, 3:] = np.nan, np.nan
    r = np.hstack([r, np.full((3, 1), np.nan, np.float32)])
    a = Counts(np.array([100, 100, 0]), np.array([9, 9, 0]), np.array([100, 100, 0]))
    b = Counts(np.array([19, 100, 100, 0]), np.array([9, 9, 4, 0]), np.array([19, 100, 100, 0]))
    pair = compare(*write_pair(tmp_path, r, a=a, b=b), FLOW)
    assert pair.a.silent.tolist() == [False, False, True]
    assert pair.b.silent.tolist() == [False, False, False, True]
    assert pair.b.rare.tolist() == [True, False, True, False]  # too few firings; too few documents
    # 0's best partner is rare, so the second one is told; all that 1 matches is rare
    assert pair.a.partner.tolist()[0] == 1 and pair.a.r[0] == np.float32(0.85)
    assert pair.a.matched.tolist() == [True, False, False]
    assert pair.a.partner[2] == -1 and np.isnan(pair.a.r[2])
    assert pair.b.matched.tolist() == [False, True, False, False]


def test_each_side_is_judged_on_its_own_scope(tmp_path):
    """A parent's feature that its home never fires makes a child's feature traced all the same."""
    r = matrix({(1, 1): 0.9})
    r[0] = np.nan  # silent on the parent's scope
    r_b = matrix({(0, 0): 0.95, (1, 1): 0.7, (2, 2): 0.9})
    a = Counts(
        np.array([0, 100, 100]), np.array([0, 9, 9]), np.array([60, 100, 3]), np.array([9, 9, 2])
    )
    pair = compare(*write_pair(tmp_path, r, r_b, a=a), FLOW)
    assert pair.a.silent.tolist() == [True, False, False]
    assert pair.a.matched.tolist() == [False, True, False]
    # 0: its partner fires here; 1: r is too small here; 2: its partner is rare here
    assert pair.b.matched.tolist() == [True, False, False]


def test_a_partner_in_too_few_documents_here_does_not_count(tmp_path):
    """However often, and in however many documents, it fires on its own scope."""
    r = matrix({(0, 0): 0.99})
    b = many(3)._replace(there=np.array([25, 100, 100]), documents_there=np.array([3, 50, 50]))
    assert not compare(*write_pair(tmp_path, r, b=b), FLOW).a.matched[0]


def test_a_rare_partner_is_rare_however_many_partners_are_listed(tmp_path):
    r = matrix({(0, 0): 0.99, (0, 1): 0.9})
    b = many(3)._replace(own=np.array([5, 100, 100]), there=np.array([5, 100, 100]))
    pair = compare(*write_pair(tmp_path, r, b=b, partners=1), FLOW)
    assert pair.a.partner[0] == 1 and pair.a.matched[0]


@pytest.mark.parametrize("seed", range(20))
def test_one_to_one_and_mutual_against_networkx_and_loops(tmp_path, seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 12, 2)
    r = rng.uniform(0.5, 1, shape).astype(np.float32)
    b = many(shape[1])._replace(there=np.where(rng.random(shape[1]) < 0.2, 3, 100))
    b = b._replace(own=b.there)
    pair = compare(*write_pair(tmp_path, r, b=b), FLOW)
    counts = [j for j in range(shape[1]) if b.own[j] >= 20]
    links = [(i, j) for i in range(shape[0]) for j in counts if r[i, j] > np.float32(0.8)]
    graph = networkx.Graph([(("a", i), ("b", j)) for i, j in links])
    top = {node for node in graph if node[0] == "a"}
    largest = networkx.bipartite.maximum_matching(graph, top) if links else {}
    assert pair.one_to_one() == len(largest) // 2
    mutual = [
        (i, j)
        for i, j in links
        if r[i, j] == max(r[i, k] for k in counts) and r[i, j] == r[:, j].max()
    ]
    assert pair.mutual() == len(mutual)
    assert sorted(zip(*pair.a.links[:2], strict=True)) == links
    assert sorted((i, j) for j, i in zip(*pair.b.links[:2], strict=True)) == links


def test_more_rows_than_a_block(tmp_path):
    rng = np.random.default_rng(0)
    r = rng.uniform(-1, 0.9, (2500, 3)).astype(np.float32)
    pair = compare(*write_pair(tmp_path, r), FLOW)
    assert np.array_equal(pair.a.partner, r.argmax(axis=1))
    assert np.array_equal(pair.a.matched, r.max(axis=1) > np.float32(0.8))
    assert np.array_equal(pair.b.r, r.max(axis=0))


def test_files_that_do_not_belong_together(tmp_path):
    small = write_pair(tmp_path / "small", matrix({}))
    large = write_pair(tmp_path / "large", matrix({}, (4, 3)))
    with pytest.raises(ArtifactError, match="not the 4 of the matrix"):
        compare(small.matches, large.matrix, FLOW)


@pytest.mark.parametrize("seed", range(12))
def test_a_floor_changes_nothing_but_who_is_best_among_the_unlisted(tmp_path, seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 25, 2)
    r, r_b = (rng.uniform(-1, 1, shape).astype(np.float32) ** 3 for _ in range(2))
    r[rng.random(shape[0]) < 0.2] = np.nan
    a, b = (
        many(m)._replace(own=rng.choice([0, 9, 100], m), there=rng.choice([3, 100, 100], m))
        for m in shape
    )
    files = write_pair(tmp_path, r, r_b, a=a, b=b, partners=4)
    full = compare(*files, FLOW)
    from_floor(files.matrix, 0.6)
    few = compare(*files, FLOW)
    listed = pd.read_parquet(files.matches)
    for side, mine, other in (("a", full.a, few.a), ("b", full.b, few.b)):
        for one, two in zip(mine.links, other.links, strict=True):
            np.testing.assert_array_equal(one, two)
        known = listed[listed["side"] == side].groupby("feature")["partner"].apply(set)
        for feature, partner in enumerate(mine.partner):
            told = mine.r[feature] >= 0.6 or partner in known[feature]
            assert other.partner[feature] == (partner if told else -1)
            assert other.r[feature] == mine.r[feature] or not told or partner < 0
            assert np.isnan(other.r[feature]) == (other.partner[feature] < 0)
    assert full.one_to_one() == few.one_to_one() and full.mutual() == few.mutual()


def test_a_sparse_matrix_of_another_shape_is_refused(tmp_path):
    files = write_pair(tmp_path, matrix({(0, 0): 0.9}))
    from_floor(files.matrix, 0.5)
    broken = load_file(files.matrix)
    save_file({**broken, "r.values": broken["r.values"][:0]}, files.matrix)
    with pytest.raises(ArtifactError, match="its r is no matrix of 3 rows"):
        compare(*files, FLOW)
    del broken["r.indices"]
    save_file(broken, files.matrix)
    with pytest.raises(ArtifactError, match=r"no tensor r\.indices"):
        compare(*files, FLOW)


def test_a_match_is_fragile_unless_it_holds_without_the_rows_that_make_it(tmp_path):
    """Strictly above τ in float32, like r; undefined does not hold; who is unmatched is neither."""
    above = np.nextafter(np.float32(0.8), np.float32(1))
    r = np.diag([0.9, 0.9, 0.9, 0.9, 0.7]).astype(np.float32)
    trimmed = np.diag([above, np.float32(0.8), np.float32(-0.1), np.nan, 0.1])
    pair = compare(*write_pair(tmp_path, r, trimmed=trimmed), FLOW)
    for side in (pair.a, pair.b):
        assert side.matched.tolist() == [True] * 4 + [False]
        assert side.fragile.tolist() == [False, True, True, True, False]
        np.testing.assert_array_equal(side.r_trimmed, np.diag(trimmed).astype(np.float32))


def test_of_a_partner_that_is_not_listed_it_is_unknown(tmp_path):
    """The matrix names the second best, since the best is rare; matches.parquet lists one."""
    r = matrix({(0, 0): 0.99, (0, 1): 0.9})
    b = many(3)._replace(own=np.array([5, 100, 100]), there=np.array([5, 100, 100]))
    files = write_pair(tmp_path, r, b=b, partners=1, trimmed=np.zeros((3, 3)))
    pair = compare(*files, FLOW)
    assert pair.a.matched[0] and not pair.a.fragile[0] and np.isnan(pair.a.r_trimmed[0])
    pair = compare(*write_pair(tmp_path, r, b=b, partners=2, trimmed=np.zeros((3, 3))), FLOW)
    assert pair.a.fragile[0] and pair.a.r_trimmed[0] == 0


def test_each_side_has_the_r_trimmed_of_its_own_scope(tmp_path):
    r, low = np.eye(3, dtype=np.float32), np.eye(3) / 2
    pair = compare(*write_pair(tmp_path, r, r, trimmed=np.eye(3), trimmed_b=low), FLOW)
    assert not pair.a.fragile.any() and pair.b.fragile.all()
