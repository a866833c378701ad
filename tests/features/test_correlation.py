"""The correlation stage on planted dumps, against computations on dense arrays."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array

from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance
from featflow.config.errors import FeatflowError
from featflow.features import dump
from featflow.features.correlation import run
from featflow.plan.stages.features import CorrelationSlice
from tests.features.test_lookup import naive
from tests.features.test_trimmed import naive as naive_trimmed

ROWS = {"x": 400, "y": 300}
FEATURES = {"a": 12, "b": 15}
WIDTH = 6


def slice_of(**changes) -> CorrelationSlice:
    settings = {
        "study": "tiny", "a": "base.main", "b": "child.main", "corpora": ["x", "y"],
        "scope_a": ["x"], "scope_b": ["x", "y"], "partners": 3, "decoders": True,
        "min_firings": 8, "min_documents": 3,
    }  # fmt: skip
    return CorrelationSlice(**{**settings, **changes})


class Pair:
    """Two dictionaries' dumps on two corpora, in files and as dense arrays.

    Feature 0 never fires on either side, 1 of a fires only on y; b's 3 … 8 are a's 8 … 3, with
    noise, its 9 is a's 9; its 14 is a's 10 on 6 rows of a corpus, where that is huge.
    """

    def __init__(self, root: Path, draw):
        self.root, self.dense, self.tokens, self.documents = root, {}, {}, {}
        self.provenance = Provenance("correlation", slice_of())
        rng = np.random.default_rng(0)
        self.decoders = {}
        for side, features in FEATURES.items():
            self.decoders[side] = rng.normal(size=(features, WIDTH)).astype(np.float32)
            folder = root / side
            folder.mkdir()
            save_file({"W_dec": self.decoders[side]}, folder / "sae_weights.safetensors")
            (folder / "cfg.json").write_text(f'{{"d_sae": {features}}}')
        for i, (corpus, rows) in enumerate(ROWS.items()):
            a = draw(10 * i, rows, FEATURES["a"], 0.1).toarray()
            b = draw(10 * i + 1, rows, FEATURES["b"], 0.1).toarray()
            b[:, 3:9] = a[:, 8:2:-1] * rng.uniform(0.8, 1.2, (rows, 6)).astype(np.float32)
            a[:, 0] = b[:, 0] = 0
            b[:, 9] = a[:, 9]
            first = (a[:, 10] > 0) & (np.cumsum(a[:, 10] > 0) < 7)
            a[first, 10] *= 100
            b[:, 14] = a[:, 10] * first  # a's 10 where that is huge: 6 rows, rare on x
            if corpus == "x":
                a[:, 1] = 0
            self.dense[corpus] = a, b
            positions = np.arange(rows) * 2 + 5
            for side, found in zip("ab", (a, b), strict=True):
                path = root / side / f"{corpus}.safetensors"
                dump.write(path, dump.Dump(csr_array(found), positions), self.provenance)
            ids = rng.integers(0, 20, 2 * rows + 9).astype(np.int32)
            starts = np.arange(0, len(ids), 31)
            save_file({"input_ids": ids, "document_starts": starts}, self.token_file(corpus))
            self.tokens[corpus] = ids[positions]
            self.documents[corpus] = np.searchsorted(starts, positions, side="right") - 1

    def token_file(self, corpus: str) -> Path:
        return self.root / f"{corpus}.tokens.safetensors"

    def run(self, cfg: CorrelationSlice) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
        matrix, matches = self.root / "matrix.safetensors", self.root / "matches.parquet"
        run(
            cfg,
            a=[self.root / "a" / f"{c}.safetensors" for c in cfg.corpora],
            b=[self.root / "b" / f"{c}.safetensors" for c in cfg.corpora],
            sae_a=self.root / "a",
            sae_b=self.root / "b",
            tokens=[self.token_file(c) for c in cfg.corpora],
            matrix=matrix,
            matches=matches,
        )
        return load_file(matrix), pd.read_parquet(matches)

    def scope(self, side: int, corpora: list[str]) -> np.ndarray:
        """Dense activations on a scope: the first rows of each corpus, equally many."""
        rows = min(ROWS[c] for c in corpora)
        return np.vstack([self.dense[c][side][:rows] for c in corpora]).astype(np.float64)


@pytest.fixture
def pair(tmp_path, activations) -> Pair:
    return Pair(tmp_path, activations)


def r_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]


def test_r_on_the_scope_of_each_side(pair):
    found, _ = pair.run(slice_of())
    assert set(found) == {"r", "r_b"}
    for key, scope in (("r", ["x"]), ("r_b", ["x", "y"])):
        expected = r_of(pair.scope(0, scope), pair.scope(1, scope))
        np.testing.assert_allclose(found[key], expected, atol=1e-6)
    assert np.isnan(found["r"][1]).all() and not np.isnan(found["r_b"][1, 1:]).any()


def test_one_matrix_where_the_scopes_are_the_same(pair):
    found, _ = pair.run(slice_of(scope_a=["x", "y"]))
    assert set(found) == {"r"}
    both = ["x", "y"]
    np.testing.assert_allclose(
        found["r"], r_of(pair.scope(0, both), pair.scope(1, both)), atol=1e-6
    )


def test_planted_pairs_are_each_others_best(pair):
    _, table = pair.run(slice_of())
    best = table[table["rank"] == 0].set_index(["side", "feature"])
    for i, partner in [*((i, 11 - i) for i in range(3, 9)), (9, 9)]:
        for side in "ab":
            assert best["partner"][side, i] == partner
            assert 0.9 < best["r"][side, i] <= 1
    assert best["r"]["a", 9] == best["jaccard"]["a", 9] == 1


@pytest.mark.parametrize(("side", "scope"), [("a", ["x"]), ("b", ["x", "y"])])
def test_every_column_of_the_matches(pair, side, scope):
    found, table = pair.run(slice_of())
    table = table[table["side"] == side]
    r = found["r"] if side == "a" else found["r_b"].T
    one, other = (pair.scope(s, scope) for s in ((0, 1) if side == "a" else (1, 0)))
    W, V = (pair.decoders[s].astype(float) for s in ("ab" if side == "a" else "ba"))
    rows = min(ROWS[c] for c in scope)
    tokens = np.concatenate([pair.tokens[c][:rows] for c in scope])
    folds = np.concatenate([pair.documents[c][:rows] % 2 for c in scope])
    documents = np.concatenate([1000 * i + pair.documents[c][:rows] for i, c in enumerate(scope)])
    lookup = naive(one, tokens, folds)
    assert table["feature"].is_monotonic_increasing
    assert set(table["feature"]) == set(range(one.shape[1]))
    told = set()
    for feature, group in table.groupby("feature"):
        firing = one[:, feature] > 0
        assert (group["firings"] == firing.sum()).all()
        assert (group["documents"] == len(set(documents[firing]))).all()
        assert (group["tokens"] == len(documents)).all()
        np.testing.assert_allclose(group["lookup_r"], lookup[feature], atol=1e-9)
        assert list(group["rank"]) == list(range(len(group)))
        valid = [j for j in range(r.shape[1]) if not np.isnan(r[feature, j])]
        expected = sorted(valid, key=lambda j: (-r[feature, j], j))[:3]
        assert list(group["partner"]) == (expected or [-1])
        for match in group[group["partner"] >= 0].itertuples():
            partner = other[:, match.partner] > 0
            assert match.r == r[feature, match.partner]
            assert match.partner_firings == partner.sum()
            assert match.partner_documents == len(set(documents[partner]))
            assert match.cofirings == (firing & partner).sum()
            assert match.jaccard == (firing & partner).sum() / (firing | partner).sum()
            w, v = W[feature], V[match.partner]
            cosine = w @ v / np.linalg.norm(w) / np.linalg.norm(v)
            assert match.decoder_cosine == pytest.approx(cosine, abs=1e-6)
        # r_trimmed is that of the best partner that is not rare, and of no other
        counts = (group["partner_firings"] >= 8) & (group["partner_documents"] >= 3)
        best = group[counts & (group["partner"] >= 0)].head(1)
        others = group.drop(best.index)
        assert others["r_trimmed"].isna().all()
        for match in best.itertuples():
            expected = naive_trimmed(one[:, feature], other[:, match.partner])
            assert match.r_trimmed == pytest.approx(expected, abs=1e-6, nan_ok=True)
            told.add(match.rank)
    assert told == ({0, 1} if side == "a" else {0})


def test_a_silent_feature_has_one_row(pair):
    _, table = pair.run(slice_of())
    for side in "ab":
        row = table[(table["side"] == side) & (table["feature"] == 0)]
        assert len(row) == 1
        assert row["rank"].item() == 0 and row["partner"].item() == -1
        assert row["firings"].item() == row["documents"].item() == 0
        missing = ["r", "jaccard", "decoder_cosine", "lookup_r"]
        assert row[missing].isna().all(axis=None)


def test_without_a_common_ancestor_there_is_no_cosine(pair):
    _, table = pair.run(slice_of(decoders=False))
    assert table["decoder_cosine"].isna().all()
    assert table["decoder_cosine"].dtype == np.float64


def test_the_same_bytes_again(pair):
    files = [pair.root / name for name in ("matrix.safetensors", "matches.parquet")]
    pair.run(slice_of())
    first = [file.read_bytes() for file in files]
    pair.run(slice_of())
    assert [file.read_bytes() for file in files] == first


def test_an_empty_scope_names_the_pair_and_the_key(pair):
    with pytest.raises(FeatflowError, match=r"base\.main-child\.main.*scope of child.*flow\.scope"):
        pair.run(slice_of(scope_b=[]))


def test_dumps_of_other_tokens_are_refused_by_name(pair):
    path = pair.root / "b" / "y.safetensors"
    found = dump.read(path, FEATURES["b"])
    dump.write(path, found._replace(positions=found.positions + 1), pair.provenance)
    with pytest.raises(ArtifactError, match="not of the same tokens") as error:
        pair.run(slice_of())
    for side in "ab":
        assert str(pair.root / side / "y.safetensors") in str(error.value)
    assert "--forcerun" in str(error.value)


def test_directions_of_different_length_are_refused(pair):
    save_file({"W_dec": np.zeros((15, 4), np.float32)}, pair.root / "b" / "sae_weights.safetensors")
    with pytest.raises(ArtifactError, match="directions of 6 numbers"):
        pair.run(slice_of())


def test_it_starts_without_torch():
    code = "import sys, featflow.features.correlation; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
